package testnet

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic counts what a node served in one protocol.
type Traffic struct {
	Streams int
	In, Out int // bytes, the negotiation of the protocol not counted
}

// tally counts the streams that a node serves. It outlives restarts.
type tally struct {
	mu     sync.Mutex
	served map[libprotocol.ID]*Traffic
	tamper func(network.Stream) network.Stream
}

// Tamper has the node serve what f makes of each incoming stream, from now on, so that it
// says what no honest node does; a stream of which f makes nil is reset. A nil f ends it.
func (p *Peer) Tamper(f func(network.Stream) network.Stream) {
	p.tally.mu.Lock()
	p.tally.tamper = f
	p.tally.mu.Unlock()
}

// tampered is what the node serves in place of a stream, nil for nothing.
func (t *tally) tampered(s network.Stream) network.Stream {
	t.mu.Lock()
	f := t.tamper
	t.mu.Unlock()
	if f == nil {
		return s
	}
	return f(s)
}

// Served returns what the peer served in a protocol since it was added.
func (p *Peer) Served(id libprotocol.ID) Traffic {
	p.tally.mu.Lock()
	defer p.tally.mu.Unlock()
	if t := p.tally.served[id]; t != nil {
		return *t
	}
	return Traffic{}
}

func (t *tally) add(id libprotocol.ID, streams, in, out int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.served[id]
	if c == nil {
		c = new(Traffic)
		t.served[id] = c
	}
	c.Streams += streams
	c.In += in
	c.Out += out
}

// counting is a host whose incoming streams are counted.
type counting struct {
	host.Host
	tally *tally
}

// SetStreamHandler sets a handler that sees counted streams.
func (c counting) SetStreamHandler(id libprotocol.ID, h network.StreamHandler) {
	c.Host.SetStreamHandler(id, func(s network.Stream) {
		c.tally.add(id, 1, 0, 0)
		to := c.tally.tampered(s)
		if to == nil {
			_ = s.Reset()
			return
		}
		h(countedStream{to, id, c.tally})
	})
}

type countedStream struct {
	network.Stream
	id    libprotocol.ID
	tally *tally
}

// Read counts what comes in.
func (s countedStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.tally.add(s.id, 0, n, 0)
	return n, err
}

// Write counts what goes out.
func (s countedStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	s.tally.add(s.id, 0, 0, n)
	return n, err
}
