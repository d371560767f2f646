package main

import (
	"testing"
	"time"

	"pttnode/node"
)

func TestCopies(t *testing.T) {
	tuesday := time.Date(2026, 11, 24, 18, 30, 0, 0, time.Local)
	carol := node.BehindView{Name: "carol", Device: "phone", Since: &tuesday}
	dave := node.BehindView{Name: "dave\x1b[31m"}
	for want, b := range map[string]node.BoardView{
		"confirmed by 3 of 3 other devices":                                           {Confirmed: 3, Of: 3},
		"confirmed by 3 of 4 other devices; carol's phone not since 2026-11-24 18:30": {Confirmed: 3, Of: 4, Behind: []node.BehindView{carol}},
		"confirmed by 0 of 5 other devices; " + field(dave.Name) + " not since this node started; carol's phone not since 2026-11-24 18:30; and 3 more": {
			Of: 5, Behind: []node.BehindView{dave, carol},
		},
	} {
		if got := copies(b, "; "); got != want {
			t.Errorf("copies(%+v) = %q, want %q", b, got, want)
		}
	}
}
