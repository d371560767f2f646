package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is a flag like 90s, 15m, 72h or 7d.
type duration time.Duration

// Set parses s; days are of 24 hours.
func (d *duration) Set(s string) error {
	days, rest, found := strings.Cut(s, "d")
	total := time.Duration(0)
	if found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a duration like 90s, 15m, 72h or 7d", s)
		}
		total = time.Duration(n) * 24 * time.Hour
		s = rest
	}
	if s != "" || !found {
		n, err := time.ParseDuration(s)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a duration like 90s, 15m, 72h or 7d", s)
		}
		total += n
	}
	*d = duration(total)
	return nil
}

// String returns the duration in the largest units that say it whole; nothing for
// none, so that help shows no default where there is none.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return span(time.Duration(*d))
}

// Type is the word for a value in help texts.
func (d *duration) Type() string { return "duration" }

// span says a duration for people: two units at most.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	day := 24 * time.Hour
	switch {
	case d >= 2*day && d%day < time.Hour:
		return fmt.Sprintf("%d d", d/day)
	case d >= 2*day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= 2*time.Hour && d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// moment turns a time as clock says it into one that the node takes; all else stays.
func moment(s string) string {
	t, err := time.ParseInLocation(clockLayout, s, time.Local)
	if err != nil {
		return s
	}
	return t.UTC().Format(time.RFC3339)
}

// clockLayout is how screens show a moment.
const clockLayout = "2006-01-02 15:04"

// clock says a moment for people, in the local zone.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(clockLayout)
}
