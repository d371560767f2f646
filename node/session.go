package node

import (
	"context"
	"time"

	"pttnode/protocol"
)

// machine is a protocol.Joiner or a protocol.Inviter.
type machine interface {
	Step(now time.Time, ev protocol.Event) (protocol.Effects, error)
}

// session runs one machine on one stream. It is the only caller of Step and
// performs effects in their order.
type session struct {
	n       *Node
	stream  *stream
	machine machine
	inbox   <-chan protocol.Event                 // decisions from elsewhere; nil for a Joiner
	commit  func(*protocol.Change) protocol.Event // one transaction
	ask     func(protocol.Request)                // the claim waits for a person
}

// received is what the session's reader hands over.
type received struct {
	m   protocol.Message
	err error
}

// run feeds first and then whatever comes until the machine is done, fails, or
// ctx ends. It resets or closes the stream.
func (s *session) run(ctx context.Context, first protocol.Event) (out protocol.Outcome, err error) {
	defer func() { s.stream.finish(err) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	frames := make(chan received)
	done := make(chan struct{})
	go func() { // ends with the stream, at the latest when finish closes it
		defer close(done)
		for {
			m, err := s.stream.readMessage()
			select {
			case frames <- received{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() { // a reader blocked in Read is freed by a deadline, so that Close can be graceful
		cancel()
		_ = s.stream.SetReadDeadline(time.Now())
		<-done
	}()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ev := first; ; {
		eff, err := s.machine.Step(s.n.now(), ev)
		if err != nil {
			return out, err
		}
		if eff.Commit != nil {
			ev = s.commit(eff.Commit)
			if eff.Done != nil {
				return *eff.Done, eff.Done.Detail
			}
			continue
		}
		for _, m := range eff.Send {
			if err := s.stream.write(protocol.Encode(m)); err != nil {
				return out, err
			}
		}
		if eff.Ask != nil {
			s.ask(*eff.Ask)
		}
		if eff.Done != nil {
			return *eff.Done, nil
		}
		timer.Stop()
		if !eff.Deadline.IsZero() {
			timer.Reset(eff.Deadline.Sub(s.n.now()))
		}
		select {
		case r := <-frames:
			if r.err != nil {
				return out, r.err
			}
			ev = r.m
		case ev = <-s.inbox:
			if err := s.n.store.settled(); err != nil { // it carries a log as it is in memory
				return out, err
			}
		case <-timer.C:
			ev = protocol.Tick{}
		case <-ctx.Done():
			return out, context.Cause(ctx)
		}
	}
}
