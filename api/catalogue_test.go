package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pttnode/invite"
	"pttnode/node"
)

// promised are the codes that the interface names; programs rely on them.
var promised = strings.Fields(`not_running no_identity locked socket_denied link_not_pttnode link_incomplete link_newer
	link_own link_kind link_several invite_unknown invite_expired invite_revoked invite_used_up invite_locked invite_bound
	already_friends already_member device_link_here has_identity passphrase_needed last_owner too_many bad_config identity_check_failed not_friend_of_owner not_owner
	board_read_only removed rejected cancelled still_pending wrong_code confirm_required not_found network disk_full
	policy_changed proof_too_long board_too_large already_device already_approved devices_offline clock_skew data_newer data_older too_long
	ambiguous usage denied internal expired withdrawn failed`)

func TestCatalogueHasEveryPromisedCode(t *testing.T) {
	t.Parallel()
	for _, code := range promised {
		if _, ok := byCode[code]; !ok {
			t.Errorf("code %q is not in the catalogue", code)
		}
	}
	// Reasons travel between nodes as numbers; each known one has a text.
	for c := invite.RefusedUnknown; c <= invite.RefusedInternal; c++ {
		if _, ok := byCode[c.String()]; !ok {
			t.Errorf("refusal %v is not in the catalogue", c)
		}
	}
}

func TestCatalogueEntries(t *testing.T) {
	t.Parallel()
	exits := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true, 75: true, 78: true, 130: true, 143: true}
	seen := map[string]bool{}
	for _, e := range Catalogue() {
		if seen[e.Code] {
			t.Errorf("%s is there twice", e.Code)
		}
		seen[e.Code] = true
		if strings.ToLower(e.Code) != e.Code || strings.ContainsAny(e.Code, " -.") {
			t.Errorf("code %q is not lower snake case", e.Code)
		}
		if e.Text == "" || strings.HasSuffix(e.Text, ".") || strings.HasSuffix(e.Hint, ".") {
			t.Errorf("%s: text %q, hint %q: want a text, and no full stops", e.Code, e.Text, e.Hint)
		}
		if !exits[e.Exit] {
			t.Errorf("%s: exit code %d is not in the table", e.Code, e.Exit)
		}
		if e.Code != "still_pending" && e.Status < 400 || http.StatusText(e.Status) == "" {
			t.Errorf("%s: HTTP status %d", e.Code, e.Status)
		}
		for _, word := range []string{"oplog", "quorum", "entity", "op-key", "peer id", "master", "daemon"} {
			if strings.Contains(" "+e.Text+" "+e.Hint+" ", " "+word) {
				t.Errorf("%s says %q, which is no word for screens", e.Code, word)
			}
		}
	}
}

// TestEveryCode has a route fail with each code and looks at what a client gets.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	for _, e := range Catalogue() {
		w := httptest.NewRecorder()
		h.handle(route{"GET /x", func(*Handler, http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("wrapped: %w", &node.Error{Code: e.Code, Detail: map[string]string{"name": "bob"}, Err: errors.New("cause")})
		}})(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v: %s", e.Code, err, w.Body)
		}
		if w.Code != e.Status || p.Status != e.Status || p.Code != e.Code || p.Exit != e.Exit || p.Type != "/problems/"+e.Code ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: HTTP %d, %+v, want status %d, exit %d", e.Code, w.Code, p, e.Status, e.Exit)
		}
		if p.Title == "" || strings.ContainsAny(p.Title+p.Hint, "{}[]") {
			t.Errorf("%s: title %q, hint %q: not filled in", e.Code, p.Title, p.Hint)
		}
		if strings.Contains(p.Title, "wrapped") {
			t.Errorf("%s: title %q tells what is for the log", e.Code, p.Title)
		}
	}
}

func TestProblemOf(t *testing.T) {
	t.Parallel()
	p := NewProblem("not_found", "what", "board", "name", "x")
	for _, c := range []struct {
		err         error
		code, title string
	}{
		{p, "not_found", "cannot find that board: x"},
		{fmt.Errorf("a: %w", p), "not_found", "cannot find that board: x"},
		{&node.Error{Code: "not_found"}, "not_found", "cannot find that"},
		{&node.Error{Code: "usage", Err: errors.New("up to 100 uses")}, "usage", "that is not how this is used: up to 100 uses"},
		{&node.Error{Code: "from_the_future"}, "from_the_future", "something went wrong inside the node"},
		{errors.New("boom"), "internal", "something went wrong inside the node: boom"},
	} {
		got := ProblemOf(c.err)
		if got.Code != c.code || got.Title != c.title {
			t.Errorf("ProblemOf(%v) = %q %q, want %q %q", c.err, got.Code, got.Title, c.code, c.title)
		}
	}
	if ProblemOf(nil) != nil {
		t.Error("ProblemOf(nil) is a problem")
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		params map[string]string
		want   string
	}{
		{"plain", nil, "plain"},
		{"a[ by {x}] b", nil, "a b"},
		{"a[ by {x}] b", map[string]string{"x": "bob"}, "a by bob b"},
		{"[{x} and {y}]", map[string]string{"x": "bob"}, ""},
		{"{x}", nil, ""},
		{"a[ {x}]", map[string]string{"x": "[{y}]"}, "a [{y}]"}, // what is put in is not looked at again
	} {
		if got := fill(c.text, c.params); got != c.want {
			t.Errorf("fill(%q, %v) = %q, want %q", c.text, c.params, got, c.want)
		}
	}
}
