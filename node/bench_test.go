package node

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/protocol"
)

// mostUnknown is what answering a JOIN for no invite may cost, as a share of one
// signature check: a stranger who guesses must not cost more than he pays.
const mostUnknown = 0.2

// unknownJoin returns a function that answers a JOIN whose iid is unknown, from
// its bytes to the bytes of NO, at a node with many invites, and one that checks
// a signature.
func unknownJoin(tb testing.TB) (answer, check func()) {
	tb.Helper()
	ds := dssync.MutexWrap(datastore.NewMapDatastore())
	device, vault := keys.FromSeed([32]byte{1}), keys.OpenVault([32]byte{2})
	_, _, err := Found(tb.Context(), ds, Founding{
		Device: device, Vault: vault, Name: "alice", DeviceName: "laptop", Class: entity.Desktop, Now: time.UnixMilli(1),
	})
	if err != nil {
		tb.Fatal(err)
	}
	n, err := New(nil, ds, Config{Device: device, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 1000 {
		n.byIID[[16]byte{0, byte(i), byte(i >> 8)}] = "i-" + strconv.Itoa(i)
	}
	peer := keys.FromSeed([32]byte{3}).ID()
	frame := protocol.Encode(protocol.Join{
		Versions: []uint16{protocol.Version1, 0x1a1a}, Suites: []uint16{protocol.Suite1, 0x1a1a},
		IID: [16]byte{4}, Challenge: [32]byte{5}, Commitment: keys.Digest{6},
	})
	_, head := binary.Uvarint(frame)
	payload := frame[head+1:] // behind the length and the type
	answer = func() {
		_, in, err := n.answerJoin(peer, uint8(protocol.TypeJoin), payload)
		if in != nil || err != nil {
			tb.Fatalf("answerJoin of an unknown iid = %v, %v", in, err)
		}
		if no := protocol.Encode(protocol.No{}); len(no) == 0 {
			tb.Fatal("NO without bytes")
		}
	}
	id, sig := device.ID(), device.Sign(keys.PurposeOp, payload)
	check = func() {
		if err := id.Verify(keys.PurposeOp, payload, sig); err != nil {
			tb.Fatal(err)
		}
	}
	return answer, check
}

// unknownRatio times answers and checks in turns and compares the medians.
func unknownRatio(answer, check func()) float64 {
	const turns, each = 51, 40
	timed := func(f func()) time.Duration {
		start := time.Now()
		for range each {
			f()
		}
		return time.Since(start)
	}
	var answers, checks []time.Duration
	for range turns {
		answers, checks = append(answers, timed(answer)), append(checks, timed(check))
	}
	slices.Sort(answers)
	slices.Sort(checks)
	return float64(answers[turns/2]) / float64(checks[turns/2])
}

func BenchmarkUnknownJoin(b *testing.B) {
	answer, _ := unknownJoin(b)
	b.ReportAllocs()
	for b.Loop() {
		answer()
	}
}

// BenchmarkUnknownJoinRatio reports what a JOIN for no invite costs beside a
// signature check.
func BenchmarkUnknownJoinRatio(b *testing.B) {
	answer, check := unknownJoin(b)
	var ratios []float64
	for b.Loop() {
		ratios = append(ratios, unknownRatio(answer, check))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// TestUnknownJoinRatio: the best of a few series counts, so that a busy machine
// does not decide.
func TestUnknownJoinRatio(t *testing.T) {
	if testing.Short() {
		t.Skip("times nothing with -short")
	}
	answer, check := unknownJoin(t)
	best := math.Inf(1)
	for range 5 {
		if best = min(best, unknownRatio(answer, check)); best <= mostUnknown {
			t.Logf("ratio %.3f", best)
			return
		}
	}
	t.Errorf("answering an unknown JOIN costs %.3f of a signature check, want at most %v", best, mostUnknown)
}
