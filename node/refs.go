package node

import (
	"cmp"
	"slices"
	"strings"

	"pttnode/keys"
)

// pick finds what a person named: by name or by whole id, never by a part of one.
// It fails with not_found, or with ambiguous and the candidates.
func pick[T any](what, ref string, all []T, names func(T) []string) (T, error) {
	var found []T
	for _, v := range all {
		if slices.Contains(names(v), ref) {
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

func compareNames(a, b string, x, y keys.Digest) int {
	return cmp.Or(cmp.Compare(a, b), compareDigests(x, y))
}
