package node

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/keys"
)

// fakeConn is a connection to a peer.
type fakeConn struct {
	network.Conn
	peer peer.ID
}

// RemotePeer returns the peer.
func (c fakeConn) RemotePeer() peer.ID { return c.peer }

// RemoteMultiaddr returns an address.
func (fakeConn) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast("/ip4/192.0.2.1/tcp/1") }

// peerStream is a stream of a connection.
type peerStream struct {
	*line
	conn fakeConn
}

// Conn returns the connection.
func (s peerStream) Conn() network.Conn { return s.conn }

// TestAttackIdentities: who is no Ed25519 identity has no device, and its streams
// are refused before a byte of them is read.
func TestAttackIdentities(t *testing.T) {
	ids := make(map[string]peer.ID)
	for name, typ := range map[string]int{"Secp256k1": crypto.Secp256k1, "ECDSA": crypto.ECDSA, "RSA": crypto.RSA} {
		_, pub, err := crypto.GenerateKeyPairWithReader(typ, 2048, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ids[name], err = peer.IDFromPublicKey(pub); err != nil {
			t.Fatal(err)
		}
	}
	ids["nothing"], ids["no peer id"] = "", "hello"
	for name, id := range ids {
		if d, err := deviceID(id); err == nil {
			t.Errorf("%s is the device %v", name, d)
		}
		l := newLine([]byte("never read"), false)
		if s, err := accepted(peerStream{l, fakeConn{peer: id}}); err == nil {
			t.Errorf("a stream of %s was taken, as %v", name, s.peer)
		}
	}
	device := keys.New().ID()
	id, err := peerID(device)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := deviceID(id); err != nil || d != device {
		t.Errorf("%v, %v; want %v", d, err, device)
	}
	if s, err := accepted(peerStream{newLine(nil, false), fakeConn{peer: id}}); err != nil || s.peer != device || s.subnet != "192.0.2.0/24" {
		t.Errorf("a stream of a device: %+v, %v", s, err)
	}
}

// halfBatch is a batch that loses what is put into it, and says so.
type halfBatch struct{ datastore.Batch }

// Put fails.
func (halfBatch) Put(context.Context, datastore.Key, []byte) error { return errors.New("no memory") }

type halfStore struct{ datastore.Batching }

// Batch returns a batch whose Put fails.
func (s halfStore) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := s.Batching.Batch(ctx)
	return halfBatch{b}, err
}

// noBatch is a store that gives no batch at all.
type noBatch struct{ datastore.Batching }

// Batch fails.
func (noBatch) Batch(context.Context) (datastore.Batch, error) {
	return nil, errors.New("closed")
}

// TestHalfABatch: a batch of which a part was not taken is not committed.
func TestHalfABatch(t *testing.T) {
	_, ds := target(t, nil)
	before := entries(t, ds)
	for name, broken := range map[string]datastore.Batching{"put": halfStore{ds}, "batch": noBatch{ds}} {
		s := &store{ds: broken}
		err := s.wait(s.enqueue([]put{{datastore.RawKey("/n/x"), []byte{1}}, {datastore.RawKey("/n/y"), []byte{1}}}, nil))
		if err == nil || code(t, s.ready()) != "disk_full" || entries(t, ds) != before {
			t.Errorf("%s: %v, then %v, %d entries more", name, err, s.ready(), entries(t, ds)-before)
		}
	}
}

// TestRevokeUnknown: what is not there cannot be taken back.
func TestRevokeUnknown(t *testing.T) {
	n, _ := target(t, nil)
	if _, err := n.Revoke(t.Context(), "i-none"); code(t, err) != "not_found" {
		t.Errorf("%v, want not_found", err)
	}
}
