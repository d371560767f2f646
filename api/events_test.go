package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pttnode/node"
)

func TestStreamFraming(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	s := stream{w, http.NewResponseController(w)}
	at := time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)
	for _, err := range []error{
		s.event(7, node.Event{ID: 7, Type: "request.in", At: at, Data: map[string]any{"name": "a\nid: 9\n\nevent: x"}}),
		s.event(0, node.Event{Type: EventChanged, At: at}),
		s.comment("still here"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := "id: 7\nevent: request.in\n" +
		`data: {"id":7,"type":"request.in","at":"2026-11-21T06:00:00Z","data":{"name":"a\nid: 9\n\nevent: x"}}` + "\n\n" +
		"event: changed\n" + `data: {"id":0,"type":"changed","at":"2026-11-21T06:00:00Z","data":{}}` + "\n\n" +
		": still here\n\n"
	if got := w.Body.String(); got != want {
		t.Errorf("stream:\n%s\nwant:\n%s", got, want)
	}
	var got []node.Event
	for e, err := range readEvents(strings.NewReader(want)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 2 || got[0].ID != 7 || got[0].Data["name"] != "a\nid: 9\n\nevent: x" || got[1].Type != EventChanged {
		t.Errorf("read back: %+v", got)
	}
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int
		fail bool
	}{
		{"", 0, false},
		{": only a comment\n\n: another\n\n", 0, false},
		{"data: {\"id\":1}\n\n", 1, false},
		{"data:{\"id\":1}\n\ndata: {\"id\":2}\n\n", 2, false},
		{"data: {\"id\":1}\n\ndata: {\"id\":2}\n", 1, false}, // the second was cut off
		{"data: {\ndata: \"id\":1}\n\n", 1, false},
		{"data: nonsense\n\n", 0, true},
		{"data: " + strings.Repeat("x", maxBody+1) + "\n\n", 0, true},
	} {
		n, failed := 0, false
		for _, err := range readEvents(strings.NewReader(c.in)) {
			if err != nil {
				failed = true
				break
			}
			n++
		}
		if n != c.want || failed != c.fail {
			t.Errorf("readEvents(%.40q): %d events, failed %v, want %d, %v", c.in, n, failed, c.want, c.fail)
		}
	}
}
