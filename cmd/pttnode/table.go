package main

import (
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// cells measures text in cells of a terminal. East Asian ambiguous characters count
// one, as terminals have them unless told otherwise; the package's own default
// would follow the locale.
var cells = &runewidth.Condition{EastAsianWidth: false}

const (
	narrow   = 80 // columns where the terminal does not say
	gap      = 2  // cells between columns
	minWidth = 4  // cells that a column keeps when the table is too wide
)

// table is rows of foreign text under a header.
type table struct {
	header []string
	rows   [][]string
}

// add appends a row.
func (t *table) add(row ...string) {
	for i, s := range row {
		row[i] = field(s)
	}
	t.rows = append(t.rows, row)
}

// whole are columns that say nothing any more when they are cut.
var whole = map[string]bool{"AT": true, "SINCE": true, "EXPIRES": true, "LAST SEEN": true, "ENTRY": true, "FINGERPRINT": true, "CODE": true}

// layout returns the table, cut to width cells unless that is 0. The widest columns
// give first, and those of whole last.
func (t *table) layout(width int) string {
	w := make([]int, len(t.header))
	all := append([][]string{t.header}, t.rows...)
	for _, row := range all {
		for i, s := range row {
			w[i] = max(w[i], cells.StringWidth(s))
		}
	}
	if width > 0 {
		shrink(w, width-gap*(len(w)-1), func(i int) bool { return !whole[t.header[i]] })
		shrink(w, width-gap*(len(w)-1), func(int) bool { return true })
	}
	var out strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, s := range row {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", gap))
			}
			if cells.StringWidth(s) > w[i] {
				s = cells.Truncate(s, w[i], "…")
			}
			line.WriteString(cells.FillRight(s, w[i]))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}

// shrink takes cells from the widest columns that give until all fit into width
// together.
func shrink(w []int, width int, gives func(column int) bool) {
	for {
		sum, widest := 0, -1
		for i, n := range w {
			sum += n
			if gives(i) && (widest < 0 || n > w[widest]) {
				widest = i
			}
		}
		if sum <= width || widest < 0 || w[widest] <= minWidth {
			return
		}
		w[widest]--
	}
}

// table prints t as the result; only a terminal has it cut.
func (a *app) table(t *table) {
	width := 0
	if a.outTTY {
		width = narrow
		if f, ok := a.out.(*os.File); ok {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				width = w
			}
		}
	}
	a.say("%s", block(t.layout(width)))
}
