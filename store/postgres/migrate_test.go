package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestManyOpenAtOnce opens one empty database in many places at once, also by
// those who only look after keys: one of them makes the tables.
func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	url := secret.New(database(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i%4 == 3 {
				k, err := postgres.OpenKeys(context.Background(), url)
				if err != nil {
					t.Error(err)
					return
				}
				if err := k.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			s, err := postgres.Open(context.Background(), postgres.Options{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Do(context.Background(), start(idOf(time.Now(), i))); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, postgres.Options{URL: url})
	for i := range 8 {
		if _, err := s.Get(t.Context(), idOf(time.Now(), i)); (err == nil) != (i%4 != 3) {
			t.Errorf("%d: %v", i, err)
		}
	}
	for table, want := range map[string]int{
		"(SELECT FROM goose_db_version GROUP BY version_id HAVING count(*) > 1) AS twice": 0, "goose_lock WHERE locked": 0, "pg_inherits WHERE inhparent = 'verifications'::regclass": 9,
	} {
		var n int
		if query(t, url.Reveal(), `SELECT count(*) FROM `+table, &n); n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
}

// TestEveryWayToAsk goes through a day of a verification in each of pgx's ways to
// run a statement: poolers do not get on with all of them.
func TestEveryWayToAsk(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := open(t, postgres.Options{URL: secret.New(database(t) + "&default_query_exec_mode=" + mode)})
			for i, day := range []time.Time{time.Now(), time.Now().AddDate(0, 0, -10), time.Now().AddDate(0, 0, 300)} {
				id := idOf(day, i)
				op := start(id, charge(1), charge(2))
				do(t, s, op)
				for n := 1; n < 4; n++ {
					if got := do(t, s, count(id)); got != n {
						t.Errorf("%s: counted %v, want %d", id, got, n)
					}
				}
				if ok := do(t, s, approve(id)); ok != true {
					t.Errorf("%s: approved: %v", id, ok)
				}
				if v, err := s.Get(t.Context(), id); err != nil || v.Checks != 3 || v.To.E164() != "+14155552671" {
					t.Errorf("%+v, %v", v, err)
				}
			}
			if ids, err := s.Due(t.Context(), 5); err != nil || len(ids) > 0 {
				t.Errorf("due: %q, %v", ids, err)
			}
			if n, err := s.Purge(t.Context(), time.Now(), 100); err != nil || n == 0 {
				t.Errorf("purged: %d, %v", n, err)
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedRowsAreTheirOwn damages rows: who needs one fails, the rest of the
// batch does not.
func TestDamagedRowsAreTheirOwn(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	ids := make([]string, 4)
	for i := range ids {
		ids[i] = idOf(time.Now(), i)
		do(t, s, start(ids[i]))
	}
	shared.Server(t).Exec(t, url,
		fmt.Sprintf(`UPDATE verifications SET data = '\x7b' WHERE id = '%s'`, ids[0]),
		fmt.Sprintf(`UPDATE verifications SET number = '+1' WHERE id = '%s'`, ids[1]),
		fmt.Sprintf(`UPDATE subjects SET data = '\x7b' WHERE key = (SELECT subject FROM verifications WHERE id = '%s')`, ids[2]))
	damagedRows(t, open(t, postgres.Options{URL: secret.New(url)}), ids) // one that does not remember them
}

// damagedRows counts on all of the verifications in one batch; only the last is
// sound.
func damagedRows(t *testing.T, s *postgres.Store, ids []string) {
	t.Helper()
	begun, gate := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	wg.Go(func() {
		op := start(idOf(time.Now(), 100))
		decide := op.Decide
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			close(begun)
			<-gate
			return decide(now, s, v)
		}
		if _, err := s.Do(context.Background(), op); err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i, id := range ids {
		wg.Go(func() { _, errs[i] = s.Do(context.Background(), count(id)) })
	}
	close(gate)
	wg.Wait()
	for i, err := range errs {
		damaged := (*verify.RowError)(nil)
		if is := errors.As(err, &damaged); is != (i < len(ids)-1) {
			t.Errorf("row %d: %v", i, err)
		}
		if err != nil && strings.Contains(err.Error(), "+1") {
			t.Errorf("a number is in the error: %v", err)
		}
	}
	for i, id := range ids {
		damaged := (*verify.RowError)(nil)
		if _, err := s.Get(t.Context(), id); errors.As(err, &damaged) != (i < 2) {
			t.Errorf("Get %d: %v", i, err)
		}
	}
}
