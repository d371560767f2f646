package keys_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pttnode/keys"
)

// verbs are all the verbs of fmt, the ones that make no sense for a key too: on
// a bad verb fmt prints the value without asking its methods.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%#x", "%d", "%q", "%p", "%t", "%b", "%o", "%O", "%c", "%U", "%e", "%w",
}

// seedBytes is a secret whose every byte is unlike its neighbours.
func seedBytes() (b [32]byte) {
	for i := range b {
		b[i] = byte(0x9d + 37*i)
	}
	return b
}

// TestSecretsCannotBePrinted puts every kind of secret into everything that
// prints and looks for the secret in what comes out. The keys are also fields of
// structs, where fmt reaches unexported ones by reflection and calls no method.
func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	seed := seedBytes()
	for name, out := range printAll(keys.FromSeed(seed)) {
		checkHidden(t, "Private", name, out, seed)
	}
	for name, out := range printAll(keys.BoxFromSecret(seed)) {
		checkHidden(t, "BoxKey", name, out, seed)
	}
	for name, out := range printAll(keys.OpKeyFromSecret(seed)) {
		checkHidden(t, "OpKey", name, out, seed)
	}
	for name, out := range printAll(keys.MACKeyFromSecret(seed)) {
		checkHidden(t, "MACKey", name, out, seed)
	}
	for name, out := range printAll(keys.OpenVault(seed)) {
		checkHidden(t, "Vault", name, out, seed)
	}
	invite := keys.Invite{Sign: keys.FromSeed(seed), MAC: keys.MACKeyFromSecret(seed)}
	for name, out := range printAll(invite) {
		checkHidden(t, "Invite", name, out, seed)
	}
}

// TestSearchFindsPlainBytes proves that the search above can fail.
func TestSearchFindsPlainBytes(t *testing.T) {
	t.Parallel()
	seed := seedBytes()
	found := map[string]bool{}
	for name, out := range printAll(seed) {
		found[name] = leak(out, seed) != ""
	}
	for name, out := range printAll(seed[:]) {
		found["slice "+name] = leak(out, seed) != ""
	}
	for _, name := range []string{
		"%v plain", "%x plain", "%#v plain", "%d plain", "%s plain", "%q plain", "%v unexported field", "%#v pointer to unexported field",
		"%x field", "slog text plain", "slog JSON plain", "json field", "slice json plain", "slice %s plain", "slice %x field",
		"cbor field",
	} {
		if !found[name] {
			t.Errorf("32 plain bytes under %q: not found by leak", name)
		}
	}
}

func TestRedactedForms(t *testing.T) {
	t.Parallel()
	key := keys.FromSeed(seedBytes())
	for _, c := range []struct {
		in   any
		want string
	}{
		{key, "private:" + key.ID().String()},
		{keys.BoxFromSecret(seedBytes()), "box-key:redacted"},
		{keys.OpKeyFromSecret(seedBytes()), "op-key:redacted"},
		{keys.MACKeyFromSecret(seedBytes()), "mac-key:redacted"},
		{keys.OpenVault(seedBytes()), "vault:redacted"},
		{keys.Private{}, "private:" + keys.ID{}.String()},
		{keys.BoxKey{}, "box-key:redacted"},
		{keys.OpKey{}, "op-key:redacted"},
		{keys.MACKey{}, "mac-key:redacted"},
		{keys.Vault{}, "vault:redacted"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, c.in); got != c.want {
				t.Errorf("Sprintf(%q, %T) = %q, want %q", verb, c.in, got, c.want)
			}
		}
	}
}

// printAll prints v, and structs, slices and maps that hold it, in every way.
func printAll[T any](v T) map[string]string {
	type exported struct {
		Name string
		K    T
		next *int // a pointer is a bad verb for %s, and fmt then prints again without methods
	}
	type unexported struct {
		name string
		k    T
		next *int
	}
	type embedded struct{ Embedded exported }
	n := 7
	values := map[string]any{
		"plain":                         v,
		"pointer":                       &v,
		"field":                         exported{"a", v, &n},
		"pointer to field":              &exported{"a", v, &n},
		"unexported field":              unexported{"a", v, &n},
		"pointer to unexported field":   &unexported{"a", v, &n},
		"nested":                        embedded{exported{"a", v, &n}},
		"slice":                         []T{v},
		"slice of pointers":             []*T{&v},
		"array of unexported":           [1]unexported{{"a", v, &n}},
		"map":                           map[string]T{"a": v},
		"map of unexported":             map[string]unexported{"a": {"a", v, &n}},
		"interface in unexported field": struct{ v any }{v},
	}
	out := map[string]string{}
	for name, value := range values {
		for _, verb := range verbs {
			out[verb+" "+name] = fmt.Sprintf(verb, value)
		}
		for _, format := range []string{"no verb", "%*d", "%[2]d", "%.*s", "%!"} {
			out[format+" "+name] = fmt.Sprintf(format, value, 1)
		}
		out["error "+name] = fmt.Errorf("open %v: %w", value, keys.ErrBox).Error()
		out["print "+name] = fmt.Sprint(value, fmt.Sprintln(value))
		if b, err := json.Marshal(value); err == nil {
			out["json "+name] = string(b)
		}
		var text, js bytes.Buffer
		for _, l := range []*slog.Logger{
			slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&js, nil)),
		} {
			l.Info("m", "k", value, slog.Group("g", slog.Any("k", value)))
			l.With("k", value).WithGroup("g").Info("m", slog.Any("k", []any{value}))
		}
		out["slog text "+name], out["slog JSON "+name] = text.String(), js.String()
	}
	out["cbor field"] = string(keys.Marshal(struct {
		K T `cbor:"1,keyasint"`
	}{v}))
	return out
}

func checkHidden(t *testing.T, kind, how, out string, secret [32]byte) {
	t.Helper()
	if form := leak(out, secret); form != "" {
		t.Errorf("%s under %q printed its secret as %s: %q", kind, how, form, out)
	}
}

// leak names the form in which the first half of secret stands in out, or
// returns "". Half is enough for a leak, and lets every form end on a boundary
// of its encoding.
func leak(out string, secret [32]byte) string {
	const n = 15 // a multiple of 3 and of 5, for base64 and base32
	head := secret[:n]
	forms := map[string]string{
		"raw":        string(head),
		"hex":        hex.EncodeToString(head),
		"base64":     base64.StdEncoding.EncodeToString(head),
		"base64 url": base64.URLEncoding.EncodeToString(head),
		"base32":     base32.StdEncoding.EncodeToString(head),
		"base32 hex": base32.HexEncoding.EncodeToString(head),
	}
	for _, sep := range []string{" ", ",", ", "} {
		forms["decimal list"+sep] = strings.Trim(strings.ReplaceAll(fmt.Sprint(head), " ", sep), "[]")
	}
	for _, verb := range verbs {
		for _, v := range []any{head, [n]byte(head)} {
			s := fmt.Sprintf(verb, v)
			s = s[strings.IndexByte(s, '{')+1:]
			if s = strings.Trim(s, "[]{}\""); len(s) >= n {
				forms[fmt.Sprintf("%s of %T", verb, v)] = s
			}
		}
	}
	delete(forms, "%p of []uint8") // an address, and equal to nothing
	lower := strings.ToLower(out)
	for name, form := range forms {
		if strings.Contains(out, form) || strings.Contains(lower, strings.ToLower(form)) {
			return name
		}
	}
	return ""
}
