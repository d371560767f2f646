package node

import (
	"testing"
)

// TestPickAsShown: who copies a name from a screen finds it, though screens leave out
// what has no width; of two names that look alike neither is meant.
func TestPickAsShown(t *testing.T) {
	t.Parallel()
	family := "Zoë 👩\u200d👩\u200d👧"
	for _, c := range []struct {
		ref  string
		all  []string
		want string
	}{
		{family, []string{family, "bob"}, ""},
		{"Zoë 👩👩👧", []string{family, "bob"}, ""},
		{"小明", []string{"小明", "小明1"}, ""},
		{"小明", []string{"小明", "小\u200b明"}, "ambiguous"},
		{"小\u200b明", []string{"小明", "小\u200b明"}, "ambiguous"},
		{"", []string{"\u200b", "bob"}, "not_found"},
		{"\u200b", []string{"bob"}, "not_found"},
		{"bo", []string{"bob"}, "not_found"},
	} {
		got, err := pick("friend", c.ref, c.all, func(s string) []string { return []string{s, "id of " + s} })
		if c.want == "" && (err != nil || got != c.all[0]) {
			t.Errorf("pick(%q, %q) = %q, %v, want the first", c.ref, c.all, got, err)
		}
		if c.want != "" && code(t, err) != c.want {
			t.Errorf("pick(%q, %q) = %q, %v, want %s", c.ref, c.all, got, err, c.want)
		}
	}
}
