package oplog_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// added is the number of operations that docs/PERFORMANCE.md speaks of.
const added = 20_000

// arrivals returns 20,000 content ops in ways in which they may come: from an author who is
// up to date, and from authors whose ops belong elsewhere. Each begins with the genesis.
func arrivals(tb testing.TB) map[string][]oplog.Op {
	tb.Helper()
	signOnce.Do(func() { signed = signArrivals(tb, added) })
	return signed
}

var (
	signOnce sync.Once
	signed   map[string][]oplog.Op
)

func signArrivals(tb testing.TB, n int) map[string][]oplog.Op {
	tb.Helper()
	genesis := oplogtest.Draw(tb, "A0").Op("A0")
	content := func(device, i int, on *oplog.Op, parents ...keys.Digest) oplog.Op {
		d := oplog.Draft{
			Entity: genesis.ID(), User: keys.Digest{2}, Strand: oplog.Content, Family: oplog.FamilyArticle, Type: 1,
			Parents: parents, Auth: []keys.Digest{genesis.ID()}, Epoch: genesis.ID(), At: time.UnixMilli(1), Body: binary.BigEndian.AppendUint32(nil, uint32(i)),
		}
		if on != nil {
			d.Seq, d.Prev = on.Seq()+1, on.ID()
		}
		if len(parents) > 0 {
			d.About = parents[0]
		}
		o, err := oplog.Sign(keys.FromSeed([32]byte{1, byte(device)}), d)
		if err != nil {
			tb.Fatalf("Sign: %v", err)
		}
		return o
	}
	first := content(0, 0, nil)
	chain, far, fork := []oplog.Op{first}, []oplog.Op{first}, []oplog.Op{first}
	const devices = 100
	last := make([]*oplog.Op, devices)
	for i := 1; i < n; i++ {
		before := chain[i-1]
		chain = append(chain, content(0, i, &before, before.ID()))
		fork = append(fork, content(0, i, &first, first.ID()))
		d := i % devices
		o := content(d+1, i, last[d], first.ID()) // whose prev is not among the ancestors of its parents
		far, last[d] = append(far, o), &o
	}
	ascending := slices.Clone(fork)
	slices.SortFunc(ascending[1:], func(a, b oplog.Op) int { return oplogtest.Compare(a.ID(), b.ID()) })
	descending := slices.Clone(ascending)
	slices.Reverse(descending[1:])
	out := map[string][]oplog.Op{
		"in order": chain, "far back": far, "far back of a long chain": slices.Concat(chain[:n/2], far[1:n/2+1]),
		"forked at one place": fork, "forked, ids ascending": ascending, "forked, ids descending": descending,
	}
	for name, ops := range out {
		out[name] = slices.Insert(slices.Clone(ops), 0, genesis)
	}
	return out
}

func add(tb testing.TB, ops []oplog.Op) *oplog.Log {
	l := oplog.NewLog(ops[0].ID())
	l.SetSource(kept{})
	for _, o := range ops {
		if _, err := l.Append(o); err != nil {
			tb.Fatalf("Append: %v", err)
		}
	}
	return l
}

// BenchmarkAdd adds 20,000 operations, which are authentic, to an empty log.
func BenchmarkAdd(b *testing.B) {
	for name, ops := range arrivals(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				add(b, ops)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/added")
		})
	}
}

// TestAddRatio: in whatever order operations come, and wherever they belong, to add them
// costs at most three times what it costs in order. Both are timed one after the other,
// and the median of the ratios counts, so that a busy machine does not decide.
func TestAddRatio(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("times nothing under the race detector or with -short")
	}
	const most = 3
	all := arrivals(t)
	timed := func(ops []oplog.Op) float64 {
		runtime.GC()
		start := time.Now()
		add(t, ops)
		return float64(time.Since(start))
	}
	for name, ops := range all {
		var ratios []float64
		median := func() float64 { return slices.Sorted(slices.Values(ratios))[len(ratios)/2] }
		for len(ratios) < 5 || median() > most && len(ratios) < 41 {
			ratios = append(ratios, timed(ops)/timed(all["in order"]))
		}
		if t.Logf("%s: %.2f", name, median()); median() > most {
			t.Errorf("%s costs %.2f times what it costs in order, want at most %d", name, median(), most)
		}
	}
}

// mostPerOp is how many bytes of memory a content op may take in a log with a source,
// where the log's maps are about as full as they are on average.
const mostPerOp = 280

// TestMemory counts what a content op takes in a log with a source. Not parallel: it
// counts all that is in use.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	arrivals(t) // which stay
	for _, name := range []string{"in order", "far back", "forked at one place"} {
		before := inUse()
		l := logOf(t, name)
		used := float64(inUse()-before) / float64(l.Len())
		t.Logf("%s: %.0f bytes an op", name, used)
		if name == "in order" && used > mostPerOp {
			t.Errorf("an op takes %.0f bytes, want at most %d", used, mostPerOp)
		}
		runtime.KeepAlive(l)
	}
}

// logOf returns a log of operations as they come from others, without anything else that
// came along.
func logOf(t *testing.T, name string) *oplog.Log {
	t.Helper()
	var batch []oplog.Pair
	for _, o := range arrivals(t)[name] {
		batch = append(batch, o.Pair())
	}
	return add(t, oplog.ParseBatch(oplog.HashAll(batch)))
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
