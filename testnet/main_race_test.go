//go:build race

package testnet

import (
	"os"
	"runtime"
	"testing"
)

// TestMain keeps one processor under the race detector, as go-libp2p's own
// simulated tests do: golang/go#78156.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
