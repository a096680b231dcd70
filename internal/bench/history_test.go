package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// A store takes the rows for its own: it reads them, and removes none before its
// time and all that are due.
func TestHistory(t *testing.T) {
	t.Parallel()
	const n = 1500
	h := newHistory(n, io.Discard)
	path := filepath.Join(t.TempDir(), "a.db")
	counts, err := sqlite.Import(t.Context(), path, h.source)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Verifications != n || counts.Subjects < n/50 || counts.Subjects > n/20 || counts.Counters < n/historyDays-1 || counts.Counters > n/historyDays {
		t.Errorf("%+v rows", counts)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	statuses := map[verify.Status]int{}
	for i, id := range h.marks {
		v, err := store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		statuses[v.StatusAt(h.now)]++
		if v.App != benchApp || v.To.E164() != number(i*markEvery) || !v.CreatedAt.Equal(h.created(i*markEvery)) || len(v.Sends) == 0 {
			t.Errorf("mark %d is %+v", i, v)
		}
	}
	if len(h.marks) != n/markEvery || statuses[verify.StatusApproved] < n/markEvery/2 || statuses[verify.StatusExpired] == 0 {
		t.Errorf("%d marks: %v", len(h.marks), statuses)
	}
	purge := func(days int) (removed int) {
		t.Helper()
		for {
			some, err := store.Purge(t.Context(), h.now.AddDate(0, 0, -days), 500)
			if err != nil {
				t.Fatal(err)
			}
			if removed += some; some == 0 {
				return removed
			}
		}
	}
	if got := purge(keptDays); got != 0 {
		t.Errorf("%d rows are removed before their time", got)
	}
	due := h.before(h.now.AddDate(0, 0, -10))
	if got := purge(10); due != n/3*2 || got < due-10 || got > due+n/20 { // and subjects that have failed
		t.Errorf("of %d verifications that are due %d rows are removed", due, got)
	}
	if v, err := store.Get(t.Context(), h.marks[due/markEvery-1]); err == nil {
		t.Errorf("one of %v is still there", v.CreatedAt)
	}
	if _, err := store.Get(t.Context(), h.marks[due/markEvery]); err != nil {
		t.Error(err)
	}
}

// The same history is made again from the same seed.
func TestHistoryIsTheSame(t *testing.T) {
	t.Parallel()
	h := newHistory(500, io.Discard)
	read := func() (all []transfer.Verification) {
		t.Helper()
		err := h.source(t.Context(), func(r transfer.Rows) error {
			all = append(all, r.Verifications...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first, again := read(), read()
	for i := range first {
		if a, b := first[i], again[i]; a.ID != b.ID || !bytes.Equal(a.Data, b.Data) {
			t.Fatalf("the %dth differs", i)
		}
	}
}

// What was started just now is pending, and its subject says so.
func TestHistoryEndsWithPending(t *testing.T) {
	t.Parallel()
	h := newHistory(1, io.Discard)
	g := &generator{random: rand.NewChaCha8(h.seed), now: h.now}
	created := h.now.Add(-5 * time.Second)
	var r transfer.Rows
	id, err := g.add(&r, number(0), created)
	if err != nil {
		t.Fatal(err)
	}
	var v verify.Verification
	var s verify.Subject
	if err := errors.Join(json.Unmarshal(r.Verifications[0].Data, &v), json.Unmarshal(r.Subjects[0].Data, &s)); err != nil {
		t.Fatal(err)
	}
	end := created.Add(codeLife)
	if v.StatusAt(h.now) != verify.StatusPending || r.Verifications[0].Ended != end.UnixMicro() {
		t.Errorf("it is %s, and ends at %d", v.Status, r.Verifications[0].Ended)
	}
	if len(s.Pending) != 1 || s.Pending[0].ID != id || r.Subjects[0].Quiet != end.UnixMicro() || !bytes.Equal(r.Subjects[0].Key, v.Subject[:]) {
		t.Errorf("its subject is %+v", s)
	}
}
