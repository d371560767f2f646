package testnet

import (
	"fmt"
	"slices"
	"strings"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
)

// over are the states of a request after which nothing happens by itself.
var over = []string{"done", "rejected", "expired", "cancelled", "failed", "approved", "withdrawn"}

// requestProblems checks that nobody waits for nothing.
func requestProblems(s *stored, running []*stored) []string {
	var found []string
	for _, r := range s.peer.Node.Requests() {
		bad := func(why string) {
			found = append(found, fmt.Sprintf("%s: request %s (%s) is %s: %s; reason %q, steps %v",
				s.peer.Name, r.ID, r.Direction, r.State, why, r.Reason, stepsOf(r)))
		}
		switch {
		case r.Direction == "in" && r.State == "approved", r.State == "done":
		case slices.Contains(over, r.State):
			if r.Reason == "" {
				bad("ended without a reason")
			}
		case r.State == "waiting_peer":
			if r.NextTryAt == nil || r.Reason == "" {
				bad("waits without a next try or a reason")
			}
		case r.State == "waiting_approval":
			if !slices.ContainsFunc(running, func(o *stored) bool { return o != s && o.waitingFor(s.user, r.Code) }) && !s.awayFrom(r, running) {
				bad("nobody is asked")
			}
		case r.State == "new" && r.At != "": // it waits at another device of the user
			if !slices.ContainsFunc(running, func(o *stored) bool { return o != s && o.user == s.user && o.holds(r) }) {
				bad("it does not wait where it should")
			}
		case r.State == "new":
			for _, o := range running {
				if r.With.UserID != nil && o.user == *r.With.UserID && !slices.ContainsFunc(o.peer.Node.Requests(), func(q node.RequestView) bool {
					return q.Direction == "out" && q.Code == r.Code && !slices.Contains(over, q.State)
				}) {
					bad("its requester does not ask any more")
				}
			}
		default:
			bad("not settled")
		}
	}
	return found
}

// linkProblems checks that a device which the peer let in, and which is running, does
// not say that its linking ended otherwise.
func linkProblems(s *stored, running []*stored) []string {
	var found []string
	for _, r := range s.invites {
		for _, c := range r.Claims {
			if r.Kind != entity.Me || c.State != invite.Approved {
				continue
			}
			for _, o := range running {
				if o.peer.device.ID() != c.Device {
					continue
				}
				for _, q := range o.peer.Node.Requests() {
					if q.Kind != "device" || q.Direction != "out" || !slices.Contains(over, q.State) {
						continue
					}
					if same := q.State == "done" && !c.Withdrew() || q.State == "cancelled" && c.Withdrew(); !same {
						found = append(found, fmt.Sprintf("%s let %s in (withdrawn: %v), where that is %s: %s",
							s.peer.Name, o.peer.Name, c.Withdrew(), q.State, q.Reason))
					}
				}
			}
		}
	}
	return found
}

// waitingFor reports whether a request of user with this code waits for the
// peer's person.
func (s *stored) waitingFor(user keys.Digest, code string) bool {
	return slices.ContainsFunc(s.peer.Node.Requests(), func(r node.RequestView) bool {
		if r.With.UserID == nil { // a device: its code is not shown here
			return r.Direction == "in" && r.State == "new" && user.IsZero()
		}
		return r.Direction == "in" && r.State == "new" && *r.With.UserID == user && r.Code == code
	})
}

// holds reports whether the request waits at this very device.
func (s *stored) holds(r node.RequestView) bool {
	return slices.ContainsFunc(s.peer.Node.Requests(), func(q node.RequestView) bool {
		return q.Direction == "in" && q.State == "new" && q.At == "" && q.Since.Equal(r.Since) && q.With.Name == r.With.Name
	})
}

// awayFrom reports whether the issuer of a request is not running.
func (s *stored) awayFrom(r node.RequestView, running []*stored) bool {
	return !slices.ContainsFunc(running, func(o *stored) bool { return r.With.UserID != nil && o.user == *r.With.UserID })
}

func stepsOf(r node.RequestView) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "[%s %v %s]", s.Step, s.OK, s.Detail)
	}
	return b.String()
}
