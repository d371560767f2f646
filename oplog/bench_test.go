package oplog_test

import (
	"math"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// chainLen is the number of operations that docs/PERFORMANCE.md compares.
const chainLen = 10_000

// contentChain returns the envelopes of n consecutive content ops of one device, each of
// a body of 200 bytes, the length of a short message.
func contentChain(tb testing.TB, n int) [][]byte {
	tb.Helper()
	k, entity := keys.FromSeed([32]byte{1}), keys.Digest{1}
	raws := make([][]byte, 0, n)
	d := oplog.Draft{
		Entity: entity, User: keys.Digest{2}, Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1,
		Auth: []keys.Digest{{3}}, Epoch: keys.Digest{4}, At: time.UnixMilli(1), Body: make([]byte, 200),
	}
	for range n {
		o, err := oplog.Sign(k, d)
		if err != nil {
			tb.Fatalf("Sign content op %d: %v", d.Seq, err)
		}
		raws = append(raws, o.Envelope())
		d.Seq, d.Prev, d.Parents = d.Seq+1, o.ID(), []keys.Digest{o.ID()}
	}
	return raws
}

// signatures returns a function that checks n signatures over messages as long
// as those of raws, each by itself.
func signatures(tb testing.TB, raws [][]byte) func() error {
	tb.Helper()
	k := keys.FromSeed([32]byte{1})
	sigs := make([]keys.Signature, len(raws))
	for i, raw := range raws {
		sigs[i] = k.Sign(keys.PurposeOp, raw)
	}
	return func() error {
		for i, raw := range raws {
			if err := k.ID().Verify(keys.PurposeOp, raw, sigs[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func BenchmarkParse(b *testing.B) {
	raw := contentChain(b, 1)[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oplog.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseChain10000(b *testing.B) {
	raws := contentChain(b, chainLen)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oplog.ParseChain(raws); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify10000(b *testing.B) {
	verify := signatures(b, contentChain(b, chainLen))
	for b.Loop() {
		if err := verify(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseChainRatio reports what a chain costs beside its signatures.
func BenchmarkParseChainRatio(b *testing.B) {
	raws := contentChain(b, chainLen)
	verify := signatures(b, raws)
	ratio := math.Inf(1)
	for b.Loop() {
		ratio = min(ratio, chainRatio(b, raws, verify))
	}
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(0, "ns/op")
}

// TestParseChainRatio: a chain of 10,000 content ops is parsed in a twentieth of
// the time that checking its signatures would take. The two are timed in turns
// and the least time of each counts, so that a busy machine does not decide.
func TestParseChainRatio(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("times nothing under the race detector or with -short")
	}
	raws := contentChain(t, chainLen)
	verify := signatures(t, raws)
	chain, single := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range 5 {
		c, s := chainTimes(t, raws, verify)
		chain, single = min(chain, c), min(single, s)
		if ratio := float64(chain) / float64(single); ratio <= 0.05 {
			t.Logf("ParseChain %v, %d signatures %v: ratio %.4f", chain, len(raws), single, ratio)
			return
		}
	}
	t.Errorf("ParseChain of %d ops takes %v, their signatures %v: ratio %.4f, want at most 0.05",
		len(raws), chain, single, float64(chain)/float64(single))
}

func chainRatio(tb testing.TB, raws [][]byte, verify func() error) float64 {
	chain, single := chainTimes(tb, raws, verify)
	return float64(chain) / float64(single)
}

func chainTimes(tb testing.TB, raws [][]byte, verify func() error) (chain, single time.Duration) {
	tb.Helper()
	chain = time.Duration(math.MaxInt64)
	for range 3 {
		start := time.Now()
		if _, err := oplog.ParseChain(raws); err != nil {
			tb.Fatalf("ParseChain: %v", err)
		}
		chain = min(chain, time.Since(start))
	}
	start := time.Now()
	if err := verify(); err != nil {
		tb.Fatalf("Verify: %v", err)
	}
	return chain, time.Since(start)
}
