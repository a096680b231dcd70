package postgres_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/sqlite"
)

// sampleRows are more rows of each kind than one bite holds, of many days; some
// records cannot be read. They are in the order in which a store hands them over.
func sampleRows() (r transfer.Rows) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range transfer.Bite + 7 {
		key, n := []byte(fmt.Sprintf("%032d", i)), int64(i)
		day := now.AddDate(0, 0, -i%140)
		data := []byte(fmt.Sprintf(`{"created":%q,"subject":%q}`, day.Format(time.RFC3339Nano), base64.RawURLEncoding.EncodeToString(key)))
		if i%100 == 0 {
			data = [][]byte{{}, {0xff, 0, '{'}}[i/100%2]
		}
		r.Verifications = append(r.Verifications, transfer.Verification{ID: idOf(day, i), Number: "+1", Ended: n, Due: n % 3, Data: data})
		r.Subjects = append(r.Subjects, transfer.Subject{Key: key, Quiet: n, Failed: -n, Data: data})
		r.Counters = append(r.Counters, transfer.Counters{Place: (n - 250) << 40, Expires: n, Data: key[:24]})
		r.Idems = append(r.Idems, transfer.Idem{Key: key, Expires: n, Data: data})
		r.APIKeys = append(r.APIKeys, transfer.APIKey{ID: fmt.Sprintf("k%05d", i), Hash: key, Name: "Žluťoučký", App: "shop", Scopes: "read verify", Created: n, Used: 1, Revoked: 2, Expires: 3})
		r.Services = append(r.Services, transfer.Service{SID: fmt.Sprintf("VA%05d", i), App: "shop", Created: n, Data: []byte("{}")})
		r.Events = append(r.Events, transfer.Event{ID: fmt.Sprintf("msg_%05d", i), App: "shop", Type: "message.delivered", Key: fmt.Sprint("k", i%9), Created: n, Due: n % 3, Tries: n % 5, Payload: data})
	}
	slices.SortFunc(r.Verifications, func(a, b transfer.Verification) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

func of(r transfer.Rows) transfer.Source {
	return func(_ context.Context, each func(transfer.Rows) error) error { return each(r) }
}

// exported are all rows of a database.
func exported(t *testing.T, url string) (all transfer.Rows) {
	t.Helper()
	err := postgres.Export(t.Context(), secret.New(url), func(r transfer.Rows) error {
		all.Verifications = append(all.Verifications, r.Verifications...)
		all.Subjects = append(all.Subjects, r.Subjects...)
		all.Counters = append(all.Counters, r.Counters...)
		all.Idems = append(all.Idems, r.Idems...)
		all.APIKeys = append(all.APIKeys, r.APIKeys...)
		all.Services = append(all.Services, r.Services...)
		all.Events = append(all.Events, r.Events...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Only verifications come in an order that is promised.
	slices.SortFunc(all.Subjects, func(a, b transfer.Subject) int { return bytes.Compare(a.Key, b.Key) })
	slices.SortFunc(all.Counters, func(a, b transfer.Counters) int { return cmp.Compare(a.Place, b.Place) })
	slices.SortFunc(all.Idems, func(a, b transfer.Idem) int { return bytes.Compare(a.Key, b.Key) })
	slices.SortFunc(all.APIKeys, func(a, b transfer.APIKey) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(all.Services, func(a, b transfer.Service) int { return cmp.Compare(a.SID, b.SID) })
	return all
}

// TestCopyThereAndBack copies rows from PostgreSQL to SQLite and back, into
// another database: all of them are what they were.
func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	first, second := quick.Server(t).Database(t), quick.Server(t).Database(t)
	file := filepath.Join(t.TempDir(), "sixdigit.db")
	rows := sampleRows()
	for step, run := range []func() (transfer.Counts, error){
		func() (transfer.Counts, error) { return postgres.Import(t.Context(), secret.New(first), of(rows)) },
		func() (transfer.Counts, error) {
			return sqlite.Import(t.Context(), file, func(ctx context.Context, each func(transfer.Rows) error) error {
				return postgres.Export(ctx, secret.New(first), each)
			})
		},
		func() (transfer.Counts, error) {
			return postgres.Import(t.Context(), secret.New(second), func(ctx context.Context, each func(transfer.Rows) error) error {
				return sqlite.Export(ctx, file, each)
			})
		},
	} {
		if counts, err := run(); err != nil || counts != rows.Count() {
			t.Fatalf("step %d: %+v, %v", step, counts, err)
		}
	}
	if diff := gocmp.Diff(rows, exported(t, second), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	var subjects, rest, days int
	query(t, second, `SELECT count(*) FROM verifications v JOIN subjects s ON s.key = v.subject`, &subjects)
	query(t, second, `SELECT count(*) FROM verifications_rest`, &rest)
	query(t, second, `SELECT count(DISTINCT day) FROM verifications`, &days)
	damaged := (len(rows.Verifications) + 99) / 100
	if subjects != len(rows.Verifications)-damaged || days != 140 || rest == 0 || rest > len(rows.Verifications)/2 {
		t.Errorf("%d verifications have their subject, of %d days; %d have no partition of their day", subjects, days, rest)
	}
	if _, err := postgres.Import(t.Context(), secret.New(second), of(rows)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a database with rows: %v", err)
	}
	s := open(t, postgres.Options{URL: secret.New(second)})
	do(t, s, start(idOf(time.Now(), 5000)))
}

// TestCopyIsWholeOrNothing lets copies fail: nothing is left behind, and the
// reason is not lost.
func TestCopyIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	url, rows, broken := quick.Server(t).Database(t), sampleRows(), errors.New("broken")
	twice := rows
	twice.Counters = append(twice.Counters, twice.Counters[0])
	for name, from := range map[string]transfer.Source{
		"a source that fails": func(ctx context.Context, each func(transfer.Rows) error) error {
			return errors.Join(of(rows)(ctx, each), broken)
		},
		"a row that is there twice": func(ctx context.Context, each func(transfer.Rows) error) error {
			if err := of(twice)(ctx, each); err == nil {
				t.Error("a row was written twice")
			}
			return broken
		},
		"a source that hides an error": func(ctx context.Context, each func(transfer.Rows) error) error {
			_ = of(twice)(ctx, each)
			return nil
		},
	} {
		if _, err := postgres.Import(t.Context(), secret.New(url), from); err == nil || !errors.Is(err, broken) && !strings.Contains(name, "hides") {
			t.Errorf("%s: %v", name, err)
		}
		if got := exported(t, url).Count(); got != (transfer.Counts{}) {
			t.Errorf("%s leaves %+v", name, got)
		}
	}
	if _, err := postgres.Import(t.Context(), secret.New(url), of(rows)); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Export(t.Context(), secret.New(url), func(transfer.Rows) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// TestCopyWantsNoService copies beside a store that is open, and beside a
// transaction that somebody has open.
func TestCopyWantsNoService(t *testing.T) {
	t.Parallel()
	url := quick.Server(t).Database(t)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: secret.New(url)})
	if err != nil {
		t.Fatal(err)
	}
	export := func() error {
		return postgres.Export(t.Context(), secret.New(url), func(transfer.Rows) error { return nil })
	}
	if err := export(); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("from under a service: %v", err)
	}
	if _, err := postgres.Import(t.Context(), secret.New(url), of(transfer.Rows{})); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("to under a service: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := export(); err != nil {
		t.Errorf("after it: %v", err)
	}
	// A copy to where it comes from waits for itself, and not for ever.
	if _, err := postgres.Import(t.Context(), secret.New(url), func(ctx context.Context, each func(transfer.Rows) error) error {
		return postgres.Export(ctx, secret.New(url), each)
	}); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("to itself: %v", err)
	}
}
