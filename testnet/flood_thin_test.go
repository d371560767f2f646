package testnet

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peerstore"
	msmux "github.com/multiformats/go-multistream"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/protocol"
)

// thinAsker is a requester that proves all that an issuer asks for and believes all
// that it is answered: what a flood costs the issuer, whatever computers the
// requesters have.
type thinAsker struct {
	device keys.Private
	me     *entity.Entity
	host   host.Host
	to     host.Host
}

func (tr transport) thinAsker(tb testing.TB, to host.Host) *thinAsker {
	tb.Helper()
	device := keys.New()
	me, err := entity.CreateMe(entity.Author{Key: device, Now: time.Now()}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		tb.Fatal(err)
	}
	return &thinAsker{device, me.Entity, tr.newHost(tb, device), to}
}

func (a *thinAsker) leave() { _ = a.host.Close() }

// join opens a link until its run is approved; a dial that is refused is tried
// again as a join's is.
func (a *thinAsker) join(ctx context.Context, text string) error {
	defer func() { _ = a.host.Network().ClosePeer(a.to.ID()) }()
	l, err := invite.Parse(text)
	if err != nil {
		return err
	}
	a.host.Peerstore().AddAddrs(a.to.ID(), a.to.Addrs(), peerstore.TempAddrTTL)
	for {
		if err = a.run(ctx, l); err == nil || ctx.Err() != nil {
			return err
		}
		pause, _ := rand.Int(rand.Reader, big.NewInt(int64(200*time.Millisecond)))
		select {
		case <-time.After(50*time.Millisecond + time.Duration(pause.Int64())):
		case <-ctx.Done():
			return err
		}
	}
}

func (a *thinAsker) run(ctx context.Context, l invite.Link) error {
	j, err := protocol.NewJoiner(protocol.Joining{Attempt: invite.NewAttempt("r-1", l, "", time.Now()), Device: a.device, Me: a.me, Name: "asker"})
	if err != nil {
		return err
	}
	conn, err := a.host.Network().DialPeer(ctx, a.to.ID())
	if err != nil {
		return err
	}
	s, err := conn.NewStream(ctx)
	if err != nil {
		return err
	}
	rw := msmux.NewMSSelect(s, protocol.ID)
	defer rw.Close()
	if err := errors.Join(s.SetProtocol(protocol.ID), s.SetDeadline(time.Now().Add(30*time.Second))); err != nil {
		return err
	}
	r := bufio.NewReader(rw)
	for ev := protocol.Event(protocol.Start{}); ; {
		eff, err := j.Step(time.Now(), ev)
		if err != nil {
			return err
		}
		if eff.Commit != nil {
			ev = protocol.Committed{}
			continue
		}
		for _, m := range eff.Send {
			if _, err := rw.Write(protocol.Encode(m)); err != nil {
				return err
			}
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || size > protocol.MaxApprove {
			return fmt.Errorf("frame of %d: %w", size, err)
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		m, err := protocol.Decode(frame)
		if err != nil {
			return err
		}
		if answer, ok := m.(protocol.ApproveJoin); ok {
			if answer.Status != protocol.Approved {
				return fmt.Errorf("status %d", answer.Status)
			}
			return nil
		}
		ev = m
	}
}
