package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/pgtest"
)

// fleet is the program in several processes on one database, behind a plain
// round-robin; or in one, on its data folder, which is called directly.
type fleet struct {
	site     *site
	replicas []*server // nil where one is down
	listen   []string  // where each was reached last
	names    []string  // by which the database knows each

	// plain makes a call once. insistent makes it again, at the next replica and
	// with the same Idempotency-Key, until it is answered.
	plain, insistent *client
	starts, kills    int
}

// newFleet starts n replicas. More than one need the site to have a database.
func newFleet(s *site, n int) *fleet {
	s.t.Helper()
	f := &fleet{site: s, replicas: make([]*server, n), listen: make([]string, n), names: make([]string, n)}
	if n > 1 {
		all := newClient(s.t, s.front.URL, s.key)
		all.shared = true
		insistent := all
		insistent.keys = &atomic.Int64{}
		f.plain, f.insistent = &all, &insistent
		s.t.Cleanup(all.http.CloseIdleConnections)
	}
	f.up(nil)
	return f
}

// up starts the replicas that are down, some of them at their old address if
// chance, which may be nil, has it so.
func (f *fleet) up(chance *rand.Rand) {
	f.site.t.Helper()
	errs := make([]error, len(f.replicas))
	var all sync.WaitGroup
	for i, v := range f.replicas {
		if v != nil {
			continue
		}
		f.starts++
		listen := "127.0.0.1:0"
		if chance != nil && chance.IntN(2) == 0 {
			listen = f.listen[i]
		}
		name := fmt.Sprintf("replica-%d-%d", i, f.starts)
		all.Go(func() {
			errs[i] = f.launch(i, name, listen)
			if errs[i] != nil && strings.Contains(errs[i].Error(), "address already in use") { // by a stranger, meanwhile
				errs[i] = f.launch(i, name, "127.0.0.1:0")
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		f.site.t.Fatal(err)
	}
	if len(f.replicas) == 1 {
		f.plain = &f.replicas[0].client
		f.insistent = f.plain
	}
	if f.site.front != nil {
		f.site.front.Lead(f.site.t, f.addresses()...)
	}
}

// launch starts a replica, whose data folder, if it uses any, is its own unless
// it is alone.
func (f *fleet) launch(i int, name, listen string) (err error) {
	env := []string{"SIXDIGIT_LISTEN=" + listen}
	if f.site.database != "" {
		env = append(env, fmt.Sprintf("SIXDIGIT_STORE=%s&application_name=%s", f.site.database, name),
			fmt.Sprintf("SIXDIGIT_DATA=%s/data-%d", f.site.dir, i))
	}
	v, err := f.site.launch(nil, env...)
	if err != nil {
		return err
	}
	f.replicas[i], f.names[i], f.listen[i] = v, name, strings.TrimPrefix(v.url, "http://")
	return nil
}

// addresses are the replicas', also of those that are down: the round-robin does
// not know.
func (f *fleet) addresses() []string {
	all := make([]string, len(f.listen))
	for i, l := range f.listen {
		all[i] = "http://" + l
	}
	return all
}

// kill ends replicas as a power cut would, all at the same moment, and waits
// until the database has done what it had heard of them before.
func (f *fleet) kill(which ...int) {
	f.site.t.Helper()
	var names []string
	for _, i := range which {
		_ = f.replicas[i].cmd.Process.Kill()
		names = append(names, f.names[i])
	}
	for _, i := range which {
		f.replicas[i].kill()
		f.replicas[i] = nil
		f.kills++
	}
	if f.site.database == "" {
		return
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, f.site.database)
	if err != nil {
		f.site.t.Fatal(err)
	}
	defer conn.Close(ctx)
	until(f.site.t, "the database to be done with a replica", func() bool {
		var n int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY($1)`, names).Scan(&n)
		return err == nil && n == 0
	})
}

// alive are the replicas that are meant to be up; one that has ended by itself
// fails the test.
func (f *fleet) alive() (which []int) {
	for i, v := range f.replicas {
		if v == nil {
			continue
		}
		select {
		case <-v.ended:
			f.site.t.Errorf("the program ended by itself: %v\n%s", v.err, v.log)
		default:
			which = append(which, i)
		}
	}
	return which
}

// stop asks all replicas to end, and waits for them.
func (f *fleet) stop() {
	f.site.t.Helper()
	for _, i := range f.alive() {
		v := f.replicas[i]
		if err := v.stop(); err != nil {
			f.site.t.Errorf("in the end, asked to stop: %v\n%s", err, v.log)
		}
	}
}

// draw are n different replicas.
func (f *fleet) draw(chance *rand.Rand, n int) []int {
	which := chance.Perm(len(f.replicas))[:min(n, len(f.replicas))]
	slices.Sort(which)
	return which
}

// database starts a PostgreSQL server for a test.
func database(t *testing.T) *pgtest.Server {
	t.Helper()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}
