package entity_test

import (
	"runtime"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/oplog"
)

// TestHoldsNoBody: an Entity over a log that has a source holds no body of its content,
// whether it came or was read. Without a source it holds what came.
func TestHoldsNoBody(t *testing.T) {
	w := settle(t, entity.Board)
	there := w.clone(t)
	for range 20 {
		there.Post(t, "member", strings.Repeat("x", 50_000))
	}
	content := all(there.Entity)[w.Log().Len():]
	store := entitytest.NewStore(content...)
	for _, c := range []struct {
		name   string
		source oplog.Source
		alive  int
	}{{"without a source", nil, len(content)}, {"with one", store, 0}} {
		*store = *entitytest.NewStore(content...)
		e := w.clone(t).Entity
		e.Log().SetSource(c.source)
		for _, o := range content {
			checkAdded(t, e, store.Op(t, o.ID()))
		}
		opened, err := entity.Open(e.Log())
		if err != nil {
			t.Fatal(err)
		}
		for o := range e.Log().All(oplog.Content) {
			if got := o.Body() != nil; got != (c.source == nil) {
				t.Errorf("%s: the log's op has its body: %v", c.name, got)
			}
			var body entitytest.Words
			if err := opened.Read(o, w.Ring, &body); err != nil || len(body.Title) != 50_000 {
				t.Errorf("%s: Read = %d bytes, %v", c.name, len(body.Title), err)
			}
		}
		given, alive := store.Alive()
		if alive != c.alive || given < len(content) {
			t.Errorf("%s: of %d bodies that it was given it holds %d, want %d", c.name, given, alive, c.alive)
		}
		runtime.KeepAlive(e)
		runtime.KeepAlive(opened)
	}
}
