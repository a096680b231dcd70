package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	stormGuesses = 1000
	stormStarts  = 200
	stormBurst   = 20 // of the starts of one block
	stormLimits  = 3  // blocks
	stormTwice   = 200
)

// storms is three replicas, and many callers who want the same thing at once.
type storms struct {
	*fleet
	t      *testing.T
	chance *rand.Rand
	kills  bool         // one replica dies in the middle
	blocks atomic.Int64 // of 10,000 numbers, that were used
}

// block is a block of numbers that nobody has used.
func (s *storms) block() func(n int) string {
	first := 2_000_000 + 10_000*s.blocks.Add(1)
	return func(n int) string { return fmt.Sprintf("+1415%07d", first+int64(n)) }
}

// TestReplicas has callers contend, through three processes, for what may happen
// only so often: also while one of the three is killed, whose callers then ask the
// next one, with the same Idempotency-Key.
func TestReplicas(t *testing.T) {
	t.Parallel()
	server := database(t)
	for name, kills := range map[string]bool{"all live": false, "one is killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			if n, err := strconv.ParseUint(os.Getenv("SIXDIGIT_CRASH_SEED"), 10, 64); err == nil {
				seed = n
			}
			t.Logf("SIXDIGIT_CRASH_SEED=%d", seed)
			site := newSiteWith(t, siteOptions{
				callbacks: true, database: server.Database(t), burst: stormBurst, sim: twiliosim.Options{Step: 10 * time.Millisecond, Seed: seed | 1},
			})
			s := &storms{fleet: newFleet(site, 3), t: t, chance: rand.New(rand.NewPCG(seed, 0)), kills: kills}
			s.guesses()
			for range stormLimits {
				s.limit()
			}
			s.twice()
			s.stop()
			if kills && s.plain.seen.again.Load() == 0 {
				t.Error("no call had to be made again: a dead replica was not felt")
			}
		})
	}
}

// storm makes n calls at once. In the middle a replica may die, which is up again
// when storm returns; some callers come when it is dead.
func (s *storms) storm(n int, call func(i int)) {
	var answered atomic.Int64
	at := int64(1 + s.chance.IntN(n/8))
	begin, middle, late := make(chan struct{}), make(chan struct{}), make(chan struct{})
	if !s.kills {
		late = begin
	}
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			if i < n-n/10 {
				<-begin
			} else {
				<-late
			}
			call(i)
			if answered.Add(1) == at {
				close(middle)
			}
		})
	}
	close(begin)
	<-middle
	if s.kills {
		s.kill(s.draw(s.chance, 1)...)
		close(late)
	}
	callers.Wait()
	s.up(s.chance)
}

// begin starts a verification and returns its id and its code.
func (s *storms) begin(number string) (id, code string) {
	s.t.Helper()
	got, err := s.insistent.start(number)
	if err != nil || got.status != http.StatusCreated {
		s.t.Fatalf("start: %d %s %v", got.status, got.Code, err)
	}
	return got.ID, s.site.texts(number)[0]
}

// guesses gives a thousand wrong codes at once, to two verifications of a number
// one after the other. Five of each count, no more and no less: after ten wrong
// ones in a row, but not before, the number has to wait.
func (s *storms) guesses() {
	t, number := s.t, s.block()(0)
	for range 2 {
		id, code := s.begin(number)
		right, err := strconv.Atoi(code)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		left, again := map[int]int{}, s.insistent.seen.total() // answers that left tries
		s.storm(stormGuesses, func(i int) {
			got, err := s.insistent.check(id, fmt.Sprintf("%06d", (right+1+i)%1_000_000))
			if err != nil || got.status != http.StatusOK || got.Valid {
				t.Errorf("a guess: %d %s, valid %t, %v", got.status, got.Code, got.Valid, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Status == "pending" {
				left[got.AttemptsLeft]++
			}
		})
		// A call that was made again is answered with what holds by then.
		repeated := s.insistent.seen.total() - again
		for n := 1; n < crashChecks; n++ {
			if left[n] != 1 && repeated == 0 {
				t.Errorf("%d of the wrong codes left %d tries", left[n], n)
			}
		}
		if got, err := s.insistent.get(id); err != nil || got.Status != "exhausted" || got.AttemptsLeft != 0 {
			t.Errorf("afterwards: %v, %d tries left, %v", got.Status, got.AttemptsLeft, err)
		}
		if got, err := s.insistent.check(id, code); err != nil || got.status != http.StatusOK || got.Valid {
			t.Errorf("the right code at last: %d %s, valid %t, %v", got.status, got.Code, got.Valid, err)
		}
		t.Logf("%d guesses, %d made again, left tries: %v", stormGuesses, repeated, left)
	}
	id, code := s.begin(number)
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if got, err := s.insistent.check(id, wrongCode(code)); err != nil || got.status != want {
			t.Errorf("wrong code %d of the number: %d %s %v", 2*crashChecks+1+i, got.status, got.Code, err)
		}
	}
}

// limit starts far more verifications at once, for as many numbers of one block,
// than are let through.
func (s *storms) limit() {
	t, number, before := s.t, s.block(), s.rows()
	var created, refused, open atomic.Int64
	s.storm(stormStarts, func(i int) {
		got, err := s.insistent.start(number(i))
		switch {
		case err != nil && got.ask != nil && got.Code == "idempotency_key_in_flight":
			open.Add(1) // made by a replica that died before it had sent its text
		case err != nil:
			t.Errorf("a start: %v", err)
		case got.status == http.StatusCreated:
			created.Add(1)
		case got.status == http.StatusTooManyRequests:
			refused.Add(1)
		default:
			t.Errorf("a start: %d %s", got.status, got.Code)
		}
	})
	made, texts := s.rows()-before, 0
	for i := range stormStarts {
		texts += len(s.site.texts(number(i)))
	}
	t.Logf("%d starts: %d answered, %d refused, %d left to their leases; %d were made, %d texts", stormStarts, created.Load(), refused.Load(), open.Load(), made, texts)
	if made != stormBurst || created.Load()+open.Load() != stormBurst || refused.Load() != stormStarts-stormBurst {
		t.Errorf("the limit is %d", stormBurst)
	}
	if int64(texts) < created.Load() || texts > stormBurst || !s.kills && open.Load() > 0 {
		t.Errorf("%d were answered, and %d texts sent", created.Load(), texts)
	}
}

// rows is how many verifications the database has.
func (s *storms) rows() (n int) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.site.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM verifications`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// twice gives the right code of a verification to two replicas at the same
// moment, of many verifications.
func (s *storms) twice() {
	at := make([]*client, len(s.replicas)) // each replica itself
	for i, v := range s.replicas {
		c := *s.insistent
		c.url = v.url
		at[i] = &c
	}
	var lost atomic.Int64
	each(stormTwice, func(i int) {
		number := s.block()(0)
		got, err := s.insistent.start(number)
		if err != nil || got.status != http.StatusCreated {
			s.t.Errorf("start: %d %s %v", got.status, got.Code, err)
			return
		}
		code := s.site.texts(number)[0]
		var valid atomic.Int64
		var both sync.WaitGroup
		begin := make(chan struct{})
		for j := range 2 {
			both.Go(func() {
				<-begin
				checked, err := at[(i+j)%len(at)].check(got.ID, code)
				switch {
				case err != nil || checked.status != http.StatusOK || checked.Status != "approved":
					s.t.Errorf("check: %d %v %s %v", checked.status, checked.Status, checked.Code, err)
				case checked.Valid:
					valid.Add(1)
				default:
					lost.Add(1)
				}
			})
		}
		close(begin)
		both.Wait()
		if n := valid.Load(); n != 1 {
			s.t.Errorf("a right code, given to two replicas at once, was valid %d times", n)
		}
	})
	s.t.Logf("%d right codes, each given to two replicas at once: %d refused", stormTwice, lost.Load())
}
