package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	msmux "github.com/multiformats/go-multistream"

	"pttnode/keys"
	"pttnode/protocol"
)

// peerID returns the libp2p name of a device.
func peerID(id keys.ID) (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(id[:])
	if err != nil {
		return "", fmt.Errorf("device %v: %w", id, err)
	}
	p, err := peer.IDFromPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("device %v: %w", id, err)
	}
	return p, nil
}

// deviceID returns the device that a libp2p name is made from; other identities
// than Ed25519 ones have none.
func deviceID(p peer.ID) (keys.ID, error) {
	pub, err := p.ExtractPublicKey()
	if err != nil {
		return keys.ID{}, fmt.Errorf("peer %v: %w", p, err)
	}
	raw, err := pub.Raw()
	if err != nil || pub.Type() != crypto.Ed25519 || len(raw) != 32 {
		return keys.ID{}, fmt.Errorf("peer %v: not an Ed25519 identity", p)
	}
	return keys.ID(raw), nil
}

// stream is one stream of one of our protocols: framed, limited and with the
// device at its other end.
type stream struct {
	network.Stream
	rw   io.ReadWriteCloser // the stream behind its lazy protocol negotiation
	r    *bufio.Reader
	peer keys.ID

	subnet string // of an incoming stream's other end, "" if it does not matter
}

// openStream opens a stream to a device over a connection it dials if there is
// none. It waits neither for identify nor for the protocol negotiation: both ride
// with the first frame (docs/PROTOCOL.md §5.5). Addresses must be in the
// peerstore.
func (n *Node) openStream(ctx context.Context, device keys.ID, id libprotocol.ID) (*stream, error) {
	p, err := peerID(device)
	if err != nil {
		return nil, err
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if id == protocol.SyncID { // what a relay cuts off is taken up again, and nothing else is as patient
		dial = network.WithAllowLimitedConn(dial, "sync")
	}
	conn, err := n.host.Network().DialPeer(dial, p)
	if err != nil {
		return nil, fmt.Errorf("dial %v: %w", device, err)
	}
	s, err := conn.NewStream(dial)
	if err != nil {
		return nil, fmt.Errorf("open stream to %v: %w", device, err)
	}
	if err := s.SetProtocol(id); err != nil {
		_ = s.Reset()
		return nil, fmt.Errorf("open stream to %v: %w", device, err)
	}
	rw := msmux.NewMSSelect(s, id)
	return &stream{Stream: s, rw: rw, r: bufio.NewReader(rw), peer: device}, nil
}

// accepted wraps an incoming stream. It is refused unless the other end is an
// Ed25519 identity.
func accepted(s network.Stream) (*stream, error) {
	device, err := deviceID(s.Conn().RemotePeer())
	if err != nil {
		return nil, err
	}
	return &stream{Stream: s, rw: s, r: bufio.NewReader(s), peer: device, subnet: subnetOf(s.Conn())}, nil
}

// read reads one frame: its type and payload. The length is checked against the
// type's limit, and reserved with the resource manager, before memory is taken.
func (s *stream) read(limit func(typ uint8) int) (typ uint8, payload []byte, err error) {
	return s.readTo(nil, limit)
}

// readTo is read where the payload takes the place of what is in buf, if it has room.
func (s *stream) readTo(buf []byte, limit func(typ uint8) int) (typ uint8, payload []byte, err error) {
	size, err := binary.ReadUvarint(s.r)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, nil, errClosed
		}
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	if size == 0 || size > protocol.MaxApprove {
		return 0, nil, fmt.Errorf("%w: length %d", protocol.ErrFrame, size)
	}
	typ, err = s.r.ReadByte()
	if err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	if size > uint64(limit(typ)) {
		return 0, nil, fmt.Errorf("%w: type %d of %d bytes", protocol.ErrFrame, typ, size)
	}
	if err := s.Scope().ReserveMemory(int(size), network.ReservationPriorityMedium); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	defer s.Scope().ReleaseMemory(int(size))
	if payload = buf[:0]; uint64(cap(buf)) < size-1 {
		payload = make([]byte, 0, size-1)
	}
	payload = payload[:size-1]
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	return typ, payload, nil
}

// readMessage reads one frame of a join.
func (s *stream) readMessage() (protocol.Message, error) {
	typ, payload, err := s.read(func(t uint8) int { return protocol.Limit(protocol.Type(t)) })
	if err != nil {
		return nil, err
	}
	return protocol.Decode(append([]byte{typ}, payload...))
}

// send writes the frame of v, one of the project's messages.
func (s *stream) send(typ uint8, v any) error {
	return s.write(protocol.Frame(typ, keys.Marshal(v)))
}

// write writes bytes that are already a frame, within ten seconds.
func (s *stream) write(frame []byte) error {
	if err := s.SetWriteDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if _, err := s.rw.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// finish closes the stream after a good end and resets it after a bad one.
func (s *stream) finish(err error) {
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.rw.Close()
}
