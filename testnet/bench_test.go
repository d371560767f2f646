package testnet

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// Most that docs/PERFORMANCE.md allows.
const (
	mostJoin      = 2.0  // JoinBoard beside a bare exchange
	mostLink      = 10   // JoinMe until alive beside a bare dial with four round trips
	mostBoardRTT  = 3.2  // round trips of an approved JoinBoard
	mostFriendRTT = 4.2  // round trips until a friendship is alive
	mostUnknown   = 0.2  // JOIN with an unknown iid beside a signature check
	mostChain     = 0.05 // ParseChain beside its signatures
	mostKeys      = 2    // keys of the store for one operation: envelope and body
)

// figure is a line of the summary.
type figure struct {
	name      string
	got, most float64
	how       string
}

// BenchmarkRatios measures everything that docs/PERFORMANCE.md bounds and prints
// it last.
func BenchmarkRatios(b *testing.B) {
	var figures []figure
	note := func(b *testing.B, f figure, unit string) {
		b.ReportMetric(f.got, unit)
		b.ReportMetric(0, "ns/op") // says nothing: an operation is a whole series
		figures = append(slices.DeleteFunc(figures, func(old figure) bool { return old.name == f.name }), f)
	}
	for _, tr := range transports {
		b.Run("join="+tr.name, func(b *testing.B) {
			var s series
			for b.Loop() {
				s = tr.measure(b)
			}
			note(b, figure{"JoinBoard over " + tr.name + " / bare exchange and 5 synced writes", s.ratio(), mostJoin, s.String()}, "ratio")
		})
	}
	for _, tr := range transports {
		b.Run("link="+tr.name, func(b *testing.B) {
			var s series
			for b.Loop() {
				s = tr.measureLink(b)
			}
			note(b, figure{"JoinMe over " + tr.name + " / bare dial and 4 round trips", s.ratio(), mostLink, s.String()}, "ratio")
		})
	}
	for _, kind := range []string{"board", "friend"} {
		most := map[string]float64{"board": mostBoardRTT, "friend": mostFriendRTT}[kind]
		b.Run("trips="+kind, func(b *testing.B) {
			var trips float64
			for b.Loop() {
				asTest(b, func(t *testing.T) { trips = roundTrips(t, kind) })
			}
			note(b, figure{"round trips of a join, " + kind, trips, most, fmt.Sprintf("%v each, virtual time", simulatedRTT)}, "ratio")
		})
	}
	b.Run("keys", func(b *testing.B) {
		var article, admit int
		for b.Loop() {
			asTest(b, func(t *testing.T) { article, admit = keysPerOp(t) })
		}
		note(b, figure{"keys of the store for a new op", float64(max(article, admit)), mostKeys, "an article, an admit"}, "keys")
	})
	for _, e := range elsewhere {
		b.Run("beside="+e.benchmark, func(b *testing.B) {
			var ratio float64
			for b.Loop() {
				ratio = e.run(b)
			}
			note(b, figure{e.name, ratio, e.most, "measured in " + e.pkg}, "ratio")
		})
	}
	fmt.Printf("\n%-62s %8s %8s\n", "figure", "measured", "at most")
	for _, f := range figures {
		over := ""
		if f.got > f.most {
			over = "OVER  "
		}
		fmt.Printf("%-62s %8.3f %8.2f  %s%s\n", f.name, f.got, f.most, over, f.how)
	}
	fmt.Println()
}

// asTest runs f with a testing.T, which a synctest bubble wants, in a benchmark.
func asTest(b *testing.B, f func(t *testing.T)) {
	b.Helper()
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: f}}) {
		b.Fatal("failed")
	}
}

// besideCode is a benchmark that stands beside the code it measures. Nothing of a
// test can be imported, so it is run as go test runs it.
type besideCode struct {
	pkg, benchmark, name string
	most                 float64
}

var elsewhere = []besideCode{
	{"pttnode/node", "UnknownJoinRatio", "JOIN with an unknown iid / one signature check", mostUnknown},
	{"pttnode/oplog", "ParseChainRatio", "ParseChain of 10,000 ops / checking their signatures", mostChain},
}

// metric is what a benchmark prints that reports a ratio.
var metric = regexp.MustCompile(`\s([0-9.e+-]+) ratio`)

func (e besideCode) run(b *testing.B) float64 {
	b.Helper()
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark"+e.benchmark+"$", e.pkg).CombinedOutput()
	if err != nil {
		b.Fatalf("go test: %v\n%s", err, out)
	}
	m := metric.FindSubmatch(out)
	if m == nil {
		b.Fatalf("no ratio in:\n%s", out)
	}
	ratio, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return ratio
}
