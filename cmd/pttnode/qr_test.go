package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestPicture reads the picture back cell by cell and compares it with the code.
func TestPicture(t *testing.T) {
	t.Parallel()
	text := "PTTNODE:F/" + strings.Repeat("A7", 92) // the longest link that has a picture
	got, err := picture(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	side := code.Size + 2*quiet
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != (side+1)/2 || len(lines) > 24 {
		t.Fatalf("the picture has %d lines, want %d and at most 24", len(lines), (side+1)/2)
	}
	for i, l := range lines {
		row := []rune(l)
		if len(row) != side || side > 80 {
			t.Fatalf("line %d has %d cells, want %d", i, len(row), side)
		}
		for j, c := range row {
			for half := range 2 {
				x, y := j-quiet, 2*i-quiet+half
				light := c == '█' || c == '▀' && half == 0 || c == '▄' && half == 1
				if want := !code.Black(x, y) && y < code.Size+quiet; light != want {
					t.Fatalf("module %d,%d is light %v, want %v", x, y, light, want)
				}
			}
		}
	}
	if _, err := picture(strings.Repeat("a", 4000)); err == nil {
		t.Error("picture of 4000 bytes: no error")
	}
}
