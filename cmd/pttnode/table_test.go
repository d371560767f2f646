package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	tab := table{header: []string{"NO", "AUTHOR", "TITLE"}}
	tab.add("1", "alice", "讀書會規則")
	tab.add("2", "愛麗絲", "三體 \x1b[31m第一章\nx")
	want := "NO  AUTHOR  TITLE\n1   alice   讀書會規則\n2   愛麗絲  三體 第一章 x\n"
	if got := tab.layout(0); got != want {
		t.Errorf("layout(0):\n%s\nwant:\n%s", got, want)
	}
}

// TestTableKeepsTimes: what says nothing when it is cut is cut last.
func TestTableKeepsTimes(t *testing.T) {
	t.Parallel()
	tab := table{header: []string{"SINCE", "ADDRESS"}}
	tab.add("2026-11-24 20:07", "/ip4/127.0.0.1/udp/4242/quic-v1")
	want := "SINCE             ADDRESS\n2026-11-24 20:07  /ip4/127.0…\n"
	if got := tab.layout(29); got != want {
		t.Errorf("layout(29):\n%s\nwant:\n%s", got, want)
	}
	if got := tab.layout(12); len([]rune(strings.Split(got, "\n")[1])) > 12 {
		t.Errorf("layout(12):\n%s", got)
	}
}

func TestTableFitsTerminals(t *testing.T) {
	t.Parallel()
	tab := table{header: []string{"ID", "FROM", "WANTS", "NOTE"}}
	tab.add("r-1", strings.Repeat("名", 40), "to be friends", strings.Repeat("讀書會", 40))
	tab.add("r-2", "bob", "to join reading", "short")
	for _, width := range []int{80, 79, 60, 40} {
		lines := strings.Split(strings.TrimSuffix(tab.layout(width), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("layout(%d) has %d lines, want 3", width, len(lines))
		}
		at := strings.Index(lines[0], "WANTS")
		for i, l := range lines {
			if w := cells.StringWidth(l); w > width {
				t.Errorf("layout(%d): line %d is %d cells wide: %q", width, i, w, l)
			}
			if width >= 60 && i > 0 { // the third column begins at the same cell
				before, _, ok := strings.Cut(l, "to ")
				if !ok || cells.StringWidth(before) != at {
					t.Errorf("layout(%d): line %d has its third column at cell %d, want %d: %q", width, i, cells.StringWidth(before), at, l)
				}
			}
		}
	}
	if full := tab.layout(0); !strings.Contains(full, strings.Repeat("讀書會", 40)) {
		t.Error("layout(0) cut something")
	}
}

func TestShrink(t *testing.T) {
	t.Parallel()
	w := []int{3, 50, 20}
	shrink(w, 40, func(int) bool { return true })
	if w[0] != 3 || w[1]+w[2] != 37 || w[1] < 18 || w[2] < 18 {
		t.Errorf("shrink to 40: %v, want the widest to give first", w)
	}
	w = []int{10, 10}
	shrink(w, 1, func(int) bool { return true })
	if w[0] != minWidth || w[1] != minWidth {
		t.Errorf("shrink to 1: %v, want %d each", w, minWidth)
	}
}
