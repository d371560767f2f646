package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// NextEpoch is the epoch of Me that a change of the set begins. What needs the epochs
// that stand outside the chain is judged in Me.
type NextEpoch struct {
	Commitment keys.Digest   `cbor:"1,keyasint"`
	Depth      uint64        `cbor:"2,keyasint"`
	Replaces   []keys.Digest `cbor:"3,keyasint"` // ascending
	Boxes      *keys.Digest  `cbor:"4,keyasint,omitempty"`
	Count      uint64        `cbor:"5,keyasint,omitempty"`
	UserBox    keys.BoxID    `cbor:"6,keyasint"` // public half of its user box key
}

// shape checks an epoch that is not the first of its Me.
func (e *NextEpoch) shape() error {
	if e.Depth < 2 || len(e.Replaces) == 0 {
		return fmt.Errorf("an epoch of depth %d that replaces %d", e.Depth, len(e.Replaces))
	}
	return e.any()
}

// any checks an epoch, also the first.
func (e *NextEpoch) any() error {
	switch {
	case e.Commitment.IsZero():
		return fmt.Errorf("an epoch without commitment")
	case len(e.Replaces) > maxReplaces || !ascending(e.Replaces, compareDigests) || slices.ContainsFunc(e.Replaces, keys.Digest.IsZero):
		return fmt.Errorf("an epoch whose list of those it replaces is not right")
	case (e.Boxes == nil) != (e.Count == 0):
		return fmt.Errorf("an epoch with boxes and no count, or the other way round")
	}
	return e.UserBox.Check()
}

// checkVoters checks a list of voters against the set after an op, and the readiness of
// those that were none before it.
func checkVoters(before, after *State, voters []keys.ID, ready []Vote) error {
	if n := len(voters); n != 1 && n != 3 && n != MaxVoters {
		return fmt.Errorf("%d voters, want 1, 3 or 5", n)
	}
	if !ascending(voters, compareIDs) || !ascending(ready, compareVotes) {
		return fmt.Errorf("voters, or those ready, not ascending")
	}
	for _, id := range voters {
		d := after.device(id)
		if d == nil || !d.Alive {
			return fmt.Errorf("voter %v is not in the set, or not alive", id)
		}
		if before.Votes(id) {
			continue
		}
		if len(ready) == 0 || ready[0].Device != id {
			return fmt.Errorf("voter %v is not ready", id)
		}
		if err := id.Verify(keys.PurposeReady, before.place().ready(d.Box), ready[0].Sig); err != nil {
			return fmt.Errorf("voter is not ready: %w", err)
		}
		ready = ready[1:]
	}
	if len(ready) > 0 {
		return fmt.Errorf("%v is ready for nothing", ready[0].Device)
	}
	return nil
}

// checkCuts checks that cuts has both strands of each device that goes, and of no other.
func checkCuts(cuts []Cut, gone []keys.ID) error {
	if err := shapeOfCuts(cuts); err != nil {
		return err
	}
	if len(cuts) != 2*len(gone) {
		return fmt.Errorf("%d cuts for %d devices", len(cuts), len(gone))
	}
	for _, c := range cuts {
		if !slices.Contains(gone, c.Device) {
			return fmt.Errorf("a cut of %v, which does not go", c.Device)
		}
	}
	return nil
}

// shapeOfCuts checks that cuts are ascending, and of both strands of each device.
func shapeOfCuts(cuts []Cut) error {
	if len(cuts)%2 != 0 || len(cuts) > maxCuts || !ascending(cuts, compareCuts) {
		return fmt.Errorf("cuts not ascending, or not of both strands")
	}
	for i, c := range cuts {
		strand := oplog.Control
		if i%2 == 1 {
			strand = oplog.Content
		}
		if c.Strand != strand || c.Device != cuts[i-i%2].Device || c.Count > MaxCount {
			return fmt.Errorf("cuts not of both strands, or of too many ops")
		}
	}
	return nil
}

// going is what device-remove and mend have in common: devices go, and what rested on
// them is named anew.
type going struct {
	gone   []keys.ID
	cuts   []Cut
	voters []keys.ID
	ready  []Vote
	anchor *keys.ID
}

func (g going) check(s *State) error {
	if err := checkCuts(g.cuts, g.gone); err != nil {
		return err
	}
	after := *s
	after.remove(g.gone)
	switch votes := slices.ContainsFunc(g.gone, s.Votes); {
	case votes:
		if err := checkVoters(s, &after, g.voters, g.ready); err != nil {
			return fmt.Errorf("a voter goes: %w", err)
		}
	case len(g.voters) > 0 || len(g.ready) > 0:
		return fmt.Errorf("voters are named, and none goes")
	}
	switch anchors := slices.Contains(g.gone, s.Anchor); {
	case anchors && g.anchor == nil:
		return fmt.Errorf("the anchor goes, and no other is named")
	case anchors:
		return checkAnchor(&after, *g.anchor)
	case g.anchor != nil:
		return fmt.Errorf("an anchor is named, and it does not go")
	}
	return nil
}

func (g going) apply(s *State, e *NextEpoch) {
	s.remove(g.gone)
	if len(g.voters) > 0 {
		s.Voters = g.voters
	}
	if g.anchor != nil {
		s.Anchor = *g.anchor
	}
	s.Box = e.UserBox
}

func checkAnchor(s *State, id keys.ID) error {
	if d := s.device(id); d == nil || !d.Alive {
		return fmt.Errorf("anchor %v is not in the set, or not alive", id)
	}
	return nil
}
