package node

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"pttnode/keys"
)

// pick finds what a person named: by name or by whole id, never by a part of one. A
// name may be given as screens show it, and of two that look alike neither is meant.
// It fails with not_found, or with ambiguous and the candidates.
func pick[T any](what, ref string, all []T, names func(T) []string) (T, error) {
	var found []T
	for _, v := range all {
		if slices.ContainsFunc(names(v), func(name string) bool { return name == ref || ref != "" && shown(name) == shown(ref) }) {
			found = append(found, v)
		}
	}
	var none T
	switch len(found) {
	case 0:
		return none, refuse("not_found", "what", what, "name", ref)
	case 1:
		return found[0], nil
	}
	var candidates []string
	for _, v := range found {
		candidates = append(candidates, strings.Join(names(v)[:2], " "))
	}
	return none, refuse("ambiguous", "what", what, "name", ref, "candidates", strings.Join(candidates, ", "))
}

// shown is a name without what screens leave out.
func shown(name string) string {
	return strings.Map(func(r rune) rune {
		if Unseen(r) {
			return -1
		}
		return r
	}, name)
}

// Unseen reports whether r is a control or has no width of its own. Joiners and
// marks of emoji are among them: two names that look alike are worse than an emoji
// in two parts.
func Unseen(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r): // C0, C1, DEL; bidi, zero-width, tags
		return true
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return true
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x3164, r == 0xFFA0: // fillers and joiners
		return true
	}
	return false
}

func compareNames(a, b string, x, y keys.Digest) int {
	return cmp.Or(cmp.Compare(a, b), compareDigests(x, y))
}
