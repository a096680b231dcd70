package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

func TestWhere(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://zoe:hunter2@db.example:5433/codes?sslmode=verify-full":                   "postgres://db.example:5433/codes",
		"postgresql://zoe:hunter2@a:1,b:2/codes?target_session_attrs=read-write":             "postgres://a:1,b:2/codes",
		"host=a,b user=zoe password=hunter2 dbname=codes":                                    "postgres://a:5432,b:5432/codes",
		"postgres://zoe@/codes?host=/run/postgresql&password=hunter2":                        "postgres:///run/postgresql:5432/codes",
		"postgres://zoe:hunter2@[::1]:5432/codes":                                            "postgres://[::1]:5432/codes",
		"postgres://zoe:hunter2@db.example/codes?application_name=hunter2&options=-chunter2": "postgres://db.example:5432/codes",
	} {
		if got, err := postgres.Where(secret.New(url)); err != nil || got != want {
			t.Errorf("%s is at %s, %v; want %s", url, got, err, want)
		}
	}
	for _, url := range []string{"postgres://zoe:hunter2@db:port/codes", "password=hunter2 host", "postgres://ann:hun/ter2@h:x/db"} {
		if _, err := postgres.Where(secret.New(url)); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestHoldsPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"postgres://db/codes":                               false,
		"postgres://zoe@db:5432,db2:5433/codes":             false,
		"host=a user=zoe dbname=codes passfile=/etc/pgpass": false,
		"postgres://db:5432/codes?sslmode=verify-full":      false,
		"postgres://[::1]:5432/codes":                       false,
		"":                                                  false,
		"postgres://zoe:hunter2@db/codes":                   true,
		"postgres://ann:@db/codes":                          true,
		"postgres://ann:hun/ter2@db/codes":                  true,
		"postgres://ann:h?un@ter2@db/codes":                 true,
		"postgres://db/codes?password=hunter2":              true,
		"postgres://db/codes?pass%77ord=hunter2":            true,
		"postgres://db/codes?sslpassword=hunter2":           true,
		"host=a password=hunter2":                           true,
		"host=a password = 'hunter2'":                       true,
		"host=a PASSWORD=hunter2":                           true,
	} {
		if got := postgres.HoldsPassword(url); got != want {
			t.Errorf("%q: %t", url, got)
		}
	}
}

func TestMigrateTellsVersions(t *testing.T) {
	t.Parallel()
	url := secret.New(database(t))
	before, after, err := postgres.Migrate(t.Context(), url)
	if err != nil || before != 0 || after < 1 {
		t.Errorf("an empty database: %d to %d, %v", before, after, err)
	}
	if again, same, err := postgres.Migrate(t.Context(), url); err != nil || again != after || same != after {
		t.Errorf("once more: %d to %d, %v", again, same, err)
	}
}

// TestExplain lets a database fail in the ways that an operator sees, and looks at
// what is said of it: the cause, and no secret.
func TestExplain(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	url := secret.New(database(t))
	s := open(t, postgres.Options{URL: url})
	limited := database(t)
	if _, _, err := postgres.Migrate(t.Context(), secret.New(limited)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, limited, `CREATE ROLE stranger LOGIN`)
	stranger := strings.Replace(limited, pgtest.User+"@", "stranger:hunter2@", 1)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	hangs := nettest.RawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); <-t.Context().Done() })
	refused := strings.TrimPrefix(nettest.Refused(t), "http://")

	opening := func(url string) error {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: secret.New(url)})
		if err == nil {
			err = errors.Join(store.Ready(t.Context()), store.Close())
		}
		return err
	}
	at := func(host string) string {
		return "postgres://zoe:hunter2@" + host + "/codes?sslmode=disable&connect_timeout=1"
	}
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"nobody listens":    {opening(at(refused)), []string{"cannot connect: " + refused, "connection refused"}},
		"two hosts":         {opening(at(refused + ",nohost.invalid:1")), []string{refused + " (", "the name nohost.invalid is not known"}},
		"no such name":      {opening(at("nohost.invalid")), []string{"the name nohost.invalid is not known"}},
		"not PostgreSQL":    {opening(at(strings.TrimPrefix(web.URL, "http://"))), []string{"cannot connect: 127.0.0.1:"}},
		"no answer":         {opening(at(strings.TrimPrefix(hangs, "http://"))), []string{"no answer in time"}},
		"no such database":  {opening(server.URL("nosuch")), []string{"no such database", "3D000"}},
		"not ours":          {opening(stranger), []string{"may not do that", "42501"}},
		"no such user":      {opening(strings.Replace(limited, pgtest.User+"@", "nosuch:hunter2@", 1)), []string{"refuses our user", "28000"}},
		"a deadline":        {fmt.Errorf("x: %w", context.DeadlineExceeded), []string{"no answer in time"}},
		"another error":     {verify.ErrUnavailable, []string{verify.ErrUnavailable.Error()}},
		"an address":        {opening("postgres://zoe:hunter2@h:x/db"), []string{"the address is not understood"}},
		"a table that went": {missing(t, s, url.Reveal()), []string{"tables are missing", "42P01"}},
	} {
		text := postgres.Explain(c.err)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q, want %q (%v)", name, text, want, c.err)
			}
		}
		for _, never := range []string{"hunter2", "zoe", "stranger", "user=", "\n"} {
			if strings.Contains(text, never) {
				t.Errorf("%s: %q holds %q", name, text, never)
			}
			if strings.Contains(c.err.Error(), never) { // which is what a log has
				t.Errorf("%s: the error holds %q: %v", name, never, c.err)
			}
		}
	}
	if text := postgres.Explain(nil); text != "" {
		t.Errorf("no error: %q", text)
	}
}

// missing is the error of a store whose tables somebody has dropped.
func missing(t *testing.T, s *postgres.Store, url string) error {
	t.Helper()
	shared.Server(t).Exec(t, url, `DROP TABLE verifications`)
	_, err := s.Due(t.Context(), 1)
	return err
}

// TestRoleThatOnlyWrites has one role make the tables, and another one use them:
// sixdigit migrate, and then replicas that may not change a table.
func TestRoleThatOnlyWrites(t *testing.T) {
	t.Parallel()
	server, url := shared.Server(t), database(t)
	if _, _, err := postgres.Migrate(t.Context(), secret.New(url)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, url, `CREATE ROLE replica LOGIN`, `REVOKE ALL ON SCHEMA public FROM PUBLIC`, `GRANT USAGE ON SCHEMA public TO replica`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO replica`)
	limited := secret.New(strings.Replace(url, pgtest.User+"@", "replica@", 1))
	if before, after, err := postgres.Migrate(t.Context(), limited); err != nil || before != after {
		t.Errorf("nothing to migrate: %d to %d, %v", before, after, err)
	}
	s := open(t, postgres.Options{URL: limited})
	id := idOf(time.Now(), 1)
	do(t, s, start(id, charge(1)))
	if n := do(t, s, count(id)); n != 1 {
		t.Errorf("counted %v", n)
	}
	if n, err := s.Purge(t.Context(), time.Now(), 100); err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	k, err := postgres.OpenKeys(t.Context(), limited)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}
