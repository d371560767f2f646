package node

import (
	"encoding/json"
	"fmt"
)

func eventKey(id uint64) string { return fmt.Sprintf("/e/%020d", id) }

// encodeEvent never fails: Data holds strings, numbers and ids.
func encodeEvent(e Event) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic("node: an event that has no JSON: " + err.Error())
	}
	return b
}

// remember keeps an event for followers. The caller holds the lock.
func (n *Node) remember(e Event) {
	n.events = append(n.events, e)
	if len(n.events) > maxEvents {
		n.events = n.events[len(n.events)-maxEvents:]
	}
}

// Events returns at most limit journal entries with numbers greater than since,
// and whether older ones that should be among them are gone. limit 0 means all.
func (n *Node) Events(since uint64, limit int) (events []Event, gap bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.events) == 0 {
		return nil, since > n.lastEvent
	}
	first := n.events[0].ID
	gap = since+1 < first || since > n.lastEvent
	if gap {
		since = first - 1
	}
	events = append(events, n.events[min(since+1-first, uint64(len(n.events))):]...)
	if limit > 0 && len(events) > limit {
		events = events[:limit]
	}
	return events, gap
}

// Watch returns a channel that gets a value when something changed since the
// last one was taken, and a function that ends it.
func (n *Node) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	n.watchMu.Lock()
	n.watchers[c] = true
	n.watchMu.Unlock()
	return c, func() {
		n.watchMu.Lock()
		delete(n.watchers, c)
		n.watchMu.Unlock()
	}
}

func (n *Node) changed() {
	n.watchMu.Lock()
	defer n.watchMu.Unlock()
	for c := range n.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
