package webhook

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

// TestModel lets two processes deliver while everything goes wrong: endpoints are
// down, slow, or lie; processes crash at any point, and others take their place;
// answers of the store are lost; clocks jump. Each event must arrive, in the order
// of its key, or be given up, which is told.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(15) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
		})
	}
}

// chaos draws from one source, whoever asks.
type chaos struct {
	mu    sync.Mutex
	r     *rand.Rand
	calm  atomic.Bool
	jump  atomic.Int64 // how far the store's clock is off
	jumps bool
}

func (c *chaos) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// lost is an answer of the store that gets lost, now and then.
func (c *chaos) lost(string) error {
	if !c.calm.Load() && c.n(20) == 0 {
		return verify.ErrUnavailable
	}
	return nil
}

// answer is an endpoint's. One that lies has taken the event.
func (c *chaos) answer(string, verify.Event) answer {
	if c.calm.Load() {
		return status(200)
	}
	switch c.n(10) {
	case 0:
		return status(500)
	case 1:
		return answer{status: 503, asked: time.Duration(c.n(100)) * time.Second}
	case 2:
		return answer{err: errors.New("reset after all of it was read")}
	case 3:
		time.Sleep(time.Duration(c.n(20)) * time.Second) // 15 s are too long
	case 4:
		return status(302)
	}
	return status(200)
}

func (c *chaos) now() time.Time { return time.Now().Add(time.Duration(c.jump.Load())) }

func runModel(t *testing.T, seed uint64) {
	c := &chaos{r: rand.New(rand.NewPCG(seed, 6)), jumps: seed%3 == 0} // #nosec G404 -- a test's
	s := newSite(t, c.answer)
	s.store = memory.New(c.now)
	apps := []string{"shop", "bank"}
	var outs [2]*frailOutbox
	var stops [2]func()
	begin := func(i int) {
		outs[i] = &frailOutbox{Outbox: s.store, fail: c.lost, after: c.lost}
		_, stops[i] = s.deliverer(outs[i], apps...)
	}
	begin(0)
	begin(1)
	told := map[string][]string{} // by key
	for range 120 {
		switch c.n(6) {
		case 0: // a crash: nothing that it does reaches the store any more
			i := c.n(2)
			outs[i].crash()
			stops[i]()
			begin(i)
		case 1:
			i := c.n(2)
			stops[i]()
			begin(i)
		case 2:
			if c.jumps {
				c.jump.Store(int64(c.n(7200)-3600) * int64(time.Second))
			}
		default:
			app := apps[c.n(2)]
			key := fmt.Sprintf("%s-%d", app, c.n(8))
			id := fmt.Sprintf("%s/%d", key, len(told[key])+1)
			told[key] = append(told[key], id)
			s.tell(app, id)
		}
		time.Sleep(time.Duration(c.n(4000)) * time.Millisecond)
	}
	c.calm.Store(true)
	for range int(MaxAge / time.Hour) {
		if s.left() == 0 {
			break
		}
		time.Sleep(time.Hour)
	}
	synctest.Wait()
	stops[0]()
	stops[1]()
	if n := s.left(); n != 0 {
		t.Errorf("%d events are left", n)
	}
	judge(t, s, told)
}

// judge compares what arrived with what was told.
func judge(t *testing.T, s *site, told map[string][]string) {
	t.Helper()
	first := map[string][]string{} // by key, in the order in which they first came
	for _, id := range s.arrived() {
		key, _, _ := strings.Cut(id, "/")
		if !slices.Contains(first[key], id) {
			first[key] = append(first[key], id)
		}
	}
	for key, want := range told {
		want = slices.DeleteFunc(slices.Clone(want), func(id string) bool {
			return !slices.Contains(first[key], id) && strings.Contains(s.log.String(), "given up\" app="+strings.Split(key, "-")[0]+" event="+id)
		})
		if !slices.Equal(first[key], want) {
			t.Errorf("%s came as %q, want %q", key, first[key], want)
		}
	}
}
