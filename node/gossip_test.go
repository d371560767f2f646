package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// runningTarget is a target that runs until the test ends.
func runningTarget(t *testing.T, change func(*Config)) *Node {
	t.Helper()
	n, _ := target(t, change)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		_ = n.host.Close()
	})
	<-n.running
	return n
}

// topicOf returns the topic of an entity's writing epoch.
func (n *Node) topicOf(eid keys.Digest) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, _ := n.find(eid)
	epoch, _ := h.writing()
	return h.ring[epoch.ID].Topic(eid, epoch.ID)
}

// rekey begins a new epoch of a board.
func (n *Node) rekey(t *testing.T, eid keys.Digest) {
	t.Helper()
	if _, err := n.RotateBoard(t.Context(), eid.String()); err != nil {
		t.Fatal(err)
	}
}

// TestTopicsBeside: of epochs begun beside each other all are listened to, and one is
// published in, also after somebody has left, until there is one of who saw that.
func TestTopicsBeside(t *testing.T) {
	n, _ := target(t, nil)
	board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	guest := newGuest(t, n, board.ID)
	if _, err := n.SetRole(t.Context(), "dev", guest.me.ID().String(), "owner"); err != nil {
		t.Fatal(err)
	}
	h, key := n.entities[board.ID], keys.NewOpKey()
	old, _ := h.State().WritingEpoch(func(keys.Digest) bool { return true })
	o, err := oplog.Sign(guest.key, oplog.Draft{
		Entity: board.ID, User: guest.me.ID(), Strand: oplog.Control, Family: oplog.FamilyOpKey, Type: entity.TypeEpoch,
		Parents: h.Log().Heads(oplog.Control), At: time.Now(),
		Body: keys.Marshal(entity.Epoch{Commitment: key.Commitment(board.ID), Depth: old.Depth + 1, Replaces: []keys.Digest{old.ID}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.rekey(t, board.ID)
	if got := topicsOf(h); len(got) != 1 {
		t.Errorf("after a new epoch %d topics, want 1", len(got))
	}
	err = n.update(func(tx *tx) error {
		if _, err := h.Add(o); err != nil {
			return err
		}
		tx.ops(h.Entity, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := topicsOf(h); len(got) != 1 || got[0] == o.ID() {
		t.Errorf("without its key: topics %v, want our own", got)
	}
	if err := n.update(func(tx *tx) error { tx.opKey(h, o.ID(), key); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := topicsOf(h); len(got) != 2 || !slices.Contains(got, o.ID()) {
		t.Errorf("of two epochs beside each other: topics %v, want both", got)
	}
	_, err = h.Control(entity.Author{Key: guest.key, User: guest.me.ID(), Now: time.Now()}, oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := topicsOf(h); len(got) != 2 || !slices.Contains(got, o.ID()) {
		t.Errorf("after somebody left, with whom nothing is shared: topics %v, want both", got)
	}
	n.rekey(t, board.ID)
	if got := topicsOf(h); len(got) != 1 || got[0] == o.ID() {
		t.Errorf("with the next key: topics %v, want its own", got)
	}
}

// TestTopicsOfVoid: an epoch that a void removal would replace is gossiped on as before.
func TestTopicsOfVoid(t *testing.T) {
	n, _ := target(t, nil)
	board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	guest, friend := newGuest(t, n, board.ID), newGuest(t, n, board.ID)
	if _, err := n.SetRole(t.Context(), "dev", guest.me.ID().String(), "owner"); err != nil {
		t.Fatal(err)
	}
	h := n.entities[board.ID]
	first, _ := h.writing()
	o, err := oplog.Sign(guest.key, oplog.Draft{
		Entity: board.ID, User: guest.me.ID(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeRemove,
		Parents: h.Log().Heads(oplog.Control), At: time.Now(),
		Body: keys.Marshal(entity.Remove{
			User: friend.me.ID(), Cuts: []entity.Cut{},
			Epoch: entity.NextEpoch{Commitment: keys.Digest{1}, Depth: first.Depth + 1, Replaces: []keys.Digest{first.ID}},
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetRole(t.Context(), "dev", guest.me.ID().String(), "member"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Add(o); err != nil || h.Counts(o) {
		t.Fatalf("a removal beside the demotion of its author: %v, counts %v", err, h.Counts(o))
	}
	if got := topicsOf(h); !slices.Equal(got, []keys.Digest{first.ID}) {
		t.Errorf("topics %v, want %v, that of the epoch to write in", got, first.ID)
	}
}

// TestTopics: a node is in the topic of every entity it holds, Me among them; in a
// replaced one for ten minutes, and in none of what has ended.
func TestTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := runningTarget(t, nil)
		board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
		if err != nil {
			t.Fatal(err)
		}
		in := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			got := make(map[string]bool)
			n.gossip.mu.Lock()
			for name, r := range n.gossip.rooms {
				got[name] = r.topic != nil
			}
			n.gossip.mu.Unlock()
			if len(got) != len(want) || slices.ContainsFunc(want, func(w string) bool { return !got[w] }) {
				t.Errorf("%s: in topics %v, want %q", when, got, want)
			}
		}
		own := []string{n.topicOf(n.user), n.topicOf(n.self.Profile), n.topicOf(n.self.Board)}
		first := n.topicOf(board.ID)
		in("at first", append(own, first)...)
		n.rekey(t, board.ID)
		second := n.topicOf(board.ID)
		if second == first {
			t.Fatal("the topic of the new epoch is that of the old one")
		}
		in("with a new epoch", append(own, first, second)...)
		time.Sleep(oldTopic - time.Second)
		in("just before ten minutes", append(own, first, second)...)
		time.Sleep(2 * time.Second)
		in("after ten minutes", append(own, second)...)
		n.rekey(t, board.ID)
		third := n.topicOf(board.ID)
		in("with a third epoch", append(own, second, third)...)
		err = n.update(func(tx *tx) error {
			h := n.entities[board.ID]
			o, err := h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
			if err == nil {
				tx.ops(h.Entity, o)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		in("after the board ended", own...)
	})
}

// TestTopicsAreFound: a node that starts is in the topics of what its store holds;
// one that does not gossip is in none.
func TestTopicsAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := runningTarget(t, nil)
		silent := runningTarget(t, func(c *Config) { c.NoGossip = true })
		synctest.Wait()
		if silent.gossip != nil {
			t.Error("a node without gossip has it")
		}
		for what, eid := range map[string]keys.Digest{"me": n.user, "profile": n.self.Profile, "board": n.self.Board} {
			if r := n.gossip.current[eid]; r == nil || r.topic == nil || r.name != n.topicOf(eid) {
				t.Errorf("%s: in topic %+v, want %s", what, r, n.topicOf(eid))
			}
		}
	})
}

// TestSubscriptions: what is kept of the topics that peers name.
func TestSubscriptions(t *testing.T) {
	in, out := keys.New().ID(), keys.New().ID()
	ours, theirs := strings.Repeat("A", topicLen), strings.Repeat("B", topicLen)
	subs := func(on bool, topics ...string) (out []*pb.RPC_SubOpts) {
		for _, topic := range topics {
			out = append(out, &pb.RPC_SubOpts{Topicid: &topic, Subscribe: &on})
		}
		return out
	}
	many := make([]string, maxOtherTopics+10)
	for i := range many {
		many[i] = fmt.Sprintf("%0*d", topicLen, i)
	}
	for _, c := range []struct {
		what  string
		from  keys.ID
		subs  []*pb.RPC_SubOpts
		kept  int
		named int
	}{
		{"a member names his topic", in, subs(true, ours), 1, 0},
		{"a stranger to it does", out, subs(true, ours), 0, 1},
		{"a topic that is not ours", out, subs(true, theirs), 1, 1},
		{"the same again and again", out, append(subs(true, theirs), subs(true, theirs, theirs)...), 3, 1},
		{"and no longer", out, append(subs(true, theirs), subs(false, theirs)...), 2, 0},
		{"names of another length", out, subs(true, "", theirs+"B", "x"), 0, 0},
		{"too many that are not ours", out, subs(true, many...), maxOtherTopics, maxOtherTopics},
		{"too many in one RPC", in, subs(true, make([]string, maxSubscriptions+1)...), 0, 0},
	} {
		g := &gossip{
			n: &Node{outWake: make(chan struct{}, 1)}, named: make(map[peer.ID]map[string]bool),
			rooms: map[string]*room{ours: {name: ours, devices: map[keys.ID]bool{in: true}, came: make(map[keys.ID]time.Time)}},
		}
		p, err := peerID(c.from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := subscriptions{g}.FilterIncomingSubscriptions(p, c.subs)
		if len(got) != c.kept || len(g.named[p]) != c.named || (err != nil) != (len(c.subs) > maxSubscriptions) {
			t.Errorf("%s: %d kept and %d named, %v; want %d and %d", c.what, len(got), len(g.named[p]), err, c.kept, c.named)
		}
	}
}

// TestHeadsOf: one head for each chain, its last, and no more than fit.
func TestHeadsOf(t *testing.T) {
	n, _ := target(t, nil)
	board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := n.NewArticle(t.Context(), "dev", "", "title", "text"); err != nil {
			t.Fatal(err)
		}
	}
	log := n.entities[board.ID].Log()
	ops := slices.Concat(slices.Collect(log.All(oplog.Control)), slices.Collect(log.All(oplog.Content)))
	got := headsOf(ops)
	slices.SortFunc(got, func(a, b oplog.Head) int { return int(a.Strand) - int(b.Strand) })
	if want := log.Vector(); !slices.Equal(got, want) {
		t.Errorf("heads of %d ops: %+v, want %+v", len(ops), got, want)
	}
	full := make(oplog.Vector, maxGossipHeads)
	for i := range full {
		full[i] = oplog.Head{Device: keys.ID{255}, Strand: oplog.Content, Seq: 1 << 62, ID: keys.Digest{255}}
	}
	if _, fits := (protocol.Gossip{Heads: full}).Seal(keys.NewOpKey(), board.ID, board.ID); !fits {
		t.Errorf("%d heads do not fit a payload", maxGossipHeads)
	}
}

// TestMerge: what goes to the same members goes together, and nothing overtakes.
func TestMerge(t *testing.T) {
	a, b, x := keys.Digest{1}, keys.Digest{2}, keys.ID{9}
	one := make([]oplog.Op, 1)
	got := merge([]tidings{
		{a, one, keys.ID{}, false},
		{b, one, keys.ID{}, false},
		{a, one, keys.ID{}, false},
		{a, one, x, false},
		{a, one, x, true},
		{a, one, keys.ID{}, false},
		{b, one, keys.ID{}, false},
	})
	var as strings.Builder
	for _, m := range got {
		as.WriteString(fmt.Sprintf("%d%x%t%d ", m.eid[0], m.from[0], m.heard, len(m.ops)))
	}
	if want := "10false2 20false2 19false1 19true1 10false1 "; as.String() != want {
		t.Errorf("merged as %s, want %s", as.String(), want)
	}
}
