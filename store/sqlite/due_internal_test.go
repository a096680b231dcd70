package sqlite

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/verify"
)

// before are records as the version before wrote them, by id.
func before() map[string]string {
	const head = `{"app":"app","subject":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","usage":"SignIn","channel":"sms","status":"pending",` +
		`"salt":"AAAAAAAAAAAAAAAAAAAAAA","key":"k1","gen":1,"len":6,"checks":0,"max_checks":5,"max_sends":5,` +
		`"created":"2031-01-02T03:04:05.25Z","expires":"2031-01-02T03:14:05.25Z","resend_after":"2031-01-02T03:04:35.25Z",`
	send := func(n, status, lease string) string {
		if lease != "" {
			lease = `"lease":"` + lease + `",`
		}
		return `{"id":"a.` + n + `","channel":"sms","connector":"twilio","status":"` + status + `","gen":1,"segments":1,` +
			`"created":"2031-01-02T03:04:05.25Z","updated":"2031-01-02T03:04:05.25Z",` + lease + `"epoch":1}`
	}
	return map[string]string{
		"sending":   head + `"sends":[` + send("1", "sending", "2031-01-02T03:04:45.250001Z") + `]}`,
		"unknown":   head + `"sends":[` + send("1", "unknown", "2031-01-02T03:04:46Z") + `],"metadata":{"q":"\u003c\"\u0026é\\"}}`,
		"no lease":  head + `"sends":[` + send("1", "unknown", "") + `]}`,
		"the third": head + `"sends":[` + send("1", "failed", "") + "," + send("2", "unknown", "2031-01-02T03:04:48Z") + "," + send("3", "sending", "2031-01-02T03:05:45Z") + "," + send("4", "accepted", "") + `]}`,
		"accepted":  head + `"sends":[` + send("1", "accepted", "") + `],"metadata":{"status":"sending","other":"\"status\":\"unknown\""}}`,
		"no sends":  head + `"sends":null,"metadata":{"status":"unknown"}}`,
		"damaged":   `{"sends":[{"status":"sending"`,
		"no time":   head + `"sends":[` + send("1", "unknown", "soon") + `]}`,
	}
}

// TestWhatTheVersionBeforeLeft brings the tables of the version before up to
// date: the texts that it left in the middle become due, in the record and in
// the index, and nothing else changes.
func TestWhatTheVersionBeforeLeft(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "old.db")
	db := tablesOf(t, path, 2)
	for id, data := range before() {
		if _, err := db.ExecContext(ctx, `INSERT INTO verifications (id, number, created, ended, data) VALUES (?, '+14155552671', 1, 2, ?)`, id, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2031, 1, 2, 3, 4, 45, 0, time.UTC)
	s, err := Open(ctx, Options{Path: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	due := func(want ...string) {
		t.Helper()
		got, err := s.Due(ctx, 10)
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("at %s due: %q, %v; want %q", now.Format(time.TimeOnly), got, err, want)
		}
		for _, id := range got {
			// Whoever comes finds something to do.
			if v, err := s.Get(ctx, id); err != nil || v.DueAt().IsZero() || v.DueAt().After(now) {
				t.Errorf("%s is due at %s, %v", id, v.DueAt(), err)
			}
		}
	}
	due("no lease")
	now = now.Add(time.Second)
	due("no lease", "sending")
	now = now.Add(time.Second)
	due("no lease", "sending", "unknown")
	now = now.Add(time.Hour)
	due("no lease", "sending", "the third", "unknown")

	nothingElseChanged(t, s)
	// And it is done with as any other.
	_, err = s.Do(ctx, verify.Op{ID: "sending", AnyApp: true, Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Sends[0].Status, v.Sends[0].NextAt = connector.StatusFailed, time.Time{}
		return verify.Decision{Verification: v}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	due("no lease", "the third", "unknown")
}

// nothingElseChanged compares the records with what they were.
func nothingElseChanged(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	v, err := s.Get(ctx, "the third")
	if err != nil {
		t.Fatal(err)
	}
	var sends []string
	for _, send := range v.Sends {
		next := ""
		if !send.NextAt.IsZero() {
			next = send.NextAt.Format(time.TimeOnly)
		}
		sends = append(sends, send.ID+" "+string(send.Status)+" "+next)
	}
	want := []string{"a.1 failed ", "a.2 unknown 03:04:48", "a.3 sending 03:05:45", "a.4 accepted "}
	if !slices.Equal(sends, want) || v.Generation != 1 || v.App != "app" {
		t.Errorf("sends %q, want %q", sends, want)
	}
	next := regexp.MustCompile(`,"next":"[^"]*"`)
	for id, was := range before() {
		var data []byte
		if err := s.pool.QueryRowContext(ctx, `SELECT data FROM verifications WHERE id = ?`, id).Scan(&data); err != nil {
			t.Fatal(err)
		}
		if is := next.ReplaceAllString(string(data), ""); is != was {
			t.Errorf("%s: beside what is due the record has become\n%s, was\n%s", id, is, was)
		}
	}
}

// tablesOf makes a database with the tables of an older version.
func tablesOf(t *testing.T, path string, version int64) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestDueReadsAnIndex asks SQLite how it looks for what is due: of millions of
// rows it must touch only those.
func TestDueReadsAnIndex(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "due.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rows, err := s.pool.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+selectDue, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if len(steps) != 1 || !strings.HasPrefix(steps[0], "SEARCH verifications USING INDEX verifications_due (due>? AND due<?)") {
		t.Errorf("the plan is %q", steps)
	}
}

// TestDueBesideTheWriter asks for what is due while the writer is in the middle
// of a transaction: it must not wait for it.
func TestDueBesideTheWriter(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "beside.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	owing := func(id string, wait func()) error {
		_, err := s.Do(context.Background(), verify.Op{Subject: verify.SubjectKey{1}, Decide: func(now time.Time, _ *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
			wait()
			return verify.Decision{Verification: &verify.Verification{ID: id, App: "app", CreatedAt: now, ExpiresAt: now, Sends: []verify.Send{{NextAt: now}}}}, nil
		}})
		return err
	}
	if err := owing("first", func() {}); err != nil {
		t.Fatal(err)
	}
	begun, gate, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { done <- owing("second", func() { close(begun); <-gate }) }()
	<-begun
	if got, err := s.Due(t.Context(), 10); err != nil || !slices.Equal(got, []string{"first"}) {
		t.Errorf("meanwhile due: %q, %v", got, err)
	}
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := s.Due(t.Context(), 10); err != nil || len(got) != 2 {
		t.Errorf("afterwards due: %q, %v", got, err)
	}
}
