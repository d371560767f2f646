package board

import (
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// apart is a log of two devices of one user that never hear of each other, each with n
// edits, one of each of n articles, and the edits by article.
func apart(tb testing.TB, n int) (*oplog.Log, [][]oplog.Op) {
	tb.Helper()

	genesis, err := oplog.Sign(keys.FromSeed([32]byte{3}), oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, User: keys.Digest{2}, At: time.UnixMilli(1), Body: []byte{0xa0},
	})
	if err != nil {
		tb.Fatal(err)
	}
	log := oplog.NewLog(genesis.ID())
	add := func(o oplog.Op, err error) oplog.Op {
		if err == nil {
			_, err = log.Append(o)
		}
		if err != nil {
			tb.Fatal(err)
		}
		return o
	}
	add(genesis, nil)
	groups := make([][]oplog.Op, n)
	for device := range byte(2) {
		k := keys.FromSeed([32]byte{device + 1})
		d := oplog.Draft{
			Entity: genesis.ID(), User: keys.Digest{2}, Strand: oplog.Content, Family: oplog.FamilyArticle, Type: TypeArticleEdit,
			Auth: []keys.Digest{genesis.ID()}, At: time.UnixMilli(1),
		}
		for i := range n {
			o := add(oplog.Sign(k, d))
			groups[i] = append(groups[i], o)
			d.Seq, d.Prev, d.Parents = d.Seq+1, o.ID(), []keys.Digest{o.ID()}
		}
	}
	return log, groups
}

// TestOvertakenIsBounded: whoever edits thousands of articles on two devices has every
// reader walk the log once for each device, not once for each article.
func TestOvertakenIsBounded(t *testing.T) {
	t.Parallel()
	const n = 2000
	log, groups := apart(t, n)
	widest := [][]oplog.Op{{groups[0][0], groups[n-1][1]}, {groups[n-1][0], groups[0][1]}}
	least := func(groups [][]oplog.Op, want int) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			over := overtaken(log, groups)
			best = min(best, time.Since(start))
			if len(over) != want {
				t.Errorf("%d of %d groups are overtaken, want %d", len(over), len(groups), want)
			}
		}
		return best
	}
	one, many := least(widest, 0), least(groups, 0)
	t.Logf("two articles over the whole log: %v, %d articles: %v", one, n, many)
	if many > 20*one {
		t.Errorf("%d articles take %v, two over the same ops %v", n, many, one)
	}
}
