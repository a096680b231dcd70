package hooks

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/store/memory"
)

// An order that comes again is one text, also for another replica and after a
// restart; and it is a success each time.
func TestOneText(t *testing.T) {
	t.Parallel()
	for _, name := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, p := memory.New(nil), &provider{}
				one, two := newService(t, store, p), newService(t, store, p)
				first, replica := newBoard(t, one, nil, goldenHooks()...), newBoard(t, two, nil, goldenHooks()...)
				for i, b := range []*board{first, first, replica} {
					if rec := b.order(t, name, fmt.Sprint("try", i), nil); !taken(rec) {
						t.Errorf("try %d: %d %s", i+1, rec.Code, rec.Body)
					}
					<-time.After(time.Second)
				}
				closed(t, one)
				closed(t, two)
				three := newService(t, store, p)
				defer closed(t, three)
				b := newBoard(t, three, nil, goldenHooks()...)
				if rec := b.order(t, name, "try4", nil); !taken(rec) {
					t.Errorf("after a restart: %d %s", rec.Code, rec.Body)
				}
				if _, texts := p.count(); texts != 1 || b.results[0] != ResultDuplicate {
					t.Errorf("%d texts, then %v", texts, b.results)
				}
				// Another code is another order.
				if rec := b.order(t, name, "try5", func(s string) string {
					return strings.NewReplacer("482913", "771204", "de01", "de09").Replace(s)
				}); !taken(rec) {
					t.Errorf("another code: %d %s", rec.Code, rec.Body)
				}
				if _, texts := p.count(); texts != 2 {
					t.Errorf("%d texts", texts)
				}
			})
		})
	}
}

// Twenty equal orders at once are one text.
func TestOneTextAtOnce(t *testing.T) {
	t.Parallel()
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{hang: make(chan struct{})}
			s := newService(t, memory.New(nil), p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if rec := b.order(t, name, fmt.Sprint("try", i), nil); !taken(rec) {
						t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
					}
				})
			}
			synctest.Wait()
			close(p.hang)
			wg.Wait()
			if posts, _ := p.count(); posts != 1 {
				t.Errorf("%s: %d texts", name, posts)
			}
		})
	}
}

// What says the same is the same for a while that is counted from the text, not
// from a border of the clock; and for ever where the server has ids.
func TestSameWithin(t *testing.T) {
	t.Parallel()
	steps := []struct {
		after time.Duration // the step before
		texts int           // so far
	}{{0, 1}, {10*time.Minute - time.Second, 1}, {time.Second, 2}, {time.Second, 2}, {10*time.Minute - 2*time.Second, 2}, {time.Second, 3}, {0, 3}}
	for _, offset := range []time.Duration{0, 3 * time.Minute, 9*time.Minute + 59*time.Second} {
		for _, name := range []string{"kratos_sent", "supabase_sent"} {
			synctest.Test(t, func(t *testing.T) {
				<-time.After(offset)
				p := &provider{}
				s := newService(t, memory.New(nil), p)
				defer closed(t, s)
				b := newBoard(t, s, nil, goldenHooks()...)
				for i, step := range steps {
					<-time.After(step.after)
					want := step.texts
					if name == "supabase_sent" {
						want = 1
					}
					if rec := b.order(t, name, fmt.Sprint("try", i), nil); !taken(rec) {
						t.Errorf("%s, step %d: %d %s", name, i, rec.Code, rec.Body)
					}
					if _, texts := p.count(); texts != want {
						t.Errorf("%s, offset %s, step %d: %d texts, want %d", name, offset, i, texts, want)
					}
				}
			})
		}
	}
}

// A request that somebody recorded is good for no second text: not within the
// window of its signature, and not after it.
func TestReplayedRequest(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"supabase_sent", "zitadel_sent"} {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{}
			s := newService(t, memory.New(nil), p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			body := ""
			keep := func(s string) string { body = s; return s }
			recorded := goldenOf(t, name).request(t, keep)
			sign(t, recorded, body, "recorded")
			var statuses []int
			for _, after := range []time.Duration{0, time.Minute, 4 * time.Minute, time.Second, 24 * time.Hour} {
				<-time.After(after)
				r := goldenOf(t, name).request(t, nil)
				r.Header = recorded.Header
				rec := httptest.NewRecorder()
				b.ServeHTTP(rec, r)
				statuses = append(statuses, rec.Code)
			}
			if posts, _ := p.count(); posts != 1 || statuses[2] >= 300 || statuses[3] != 401 || statuses[4] != 401 {
				t.Errorf("%s: %d texts, %v", name, posts, statuses)
			}
		})
	}
}

// A server has its answer in time though Twilio takes its own, and one text, also
// where it asks again.
func TestAnswerInTime(t *testing.T) {
	t.Parallel()
	// What the server waits, less what the way there and back may take.
	waits := map[string]time.Duration{KindSupabase: 4 * time.Second, KindZitadel: 4 * time.Second, KindOkta: 2500 * time.Millisecond}
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{hang: make(chan struct{})}
			s := newService(t, memory.New(nil), p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			hook, _, _ := strings.Cut(name, "_")
			wait, ok := waits[hook]
			if !ok {
				wait = 10 * time.Second
			}
			for i := range 3 {
				began := time.Now()
				rec := b.order(t, name, fmt.Sprint("try", i), nil)
				if took := time.Since(began); !taken(rec) || took > wait || b.results[i] != ResultPending && b.results[i] != ResultDuplicate {
					t.Errorf("%s, try %d: %d %s after %s, %v", name, i, rec.Code, rec.Body, took, b.results)
				}
			}
			if posts, _ := p.count(); posts != 1 {
				t.Errorf("%s: %d texts", name, posts)
			}
		})
	}
}

// A server has its answer in time though the store takes its own. It is told to come
// again, and when it does there is one text; but Okta would send by other means.
func TestAnswerInTimeFromASlowStore(t *testing.T) {
	t.Parallel()
	waits := map[string]time.Duration{KindSupabase: 4 * time.Second, KindZitadel: 4 * time.Second, KindOkta: 2500 * time.Millisecond}
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p, store := &provider{}, &slowStore{Store: memory.New(nil)}
			store.takes.Store(int64(12 * time.Second))
			s := newService(t, store, p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			hook, _, _ := strings.Cut(name, "_")
			wait, ok := waits[hook]
			if !ok {
				wait = 9 * time.Second
			}
			if hook == KindSupabase || hook == KindZitadel || hook == KindOkta {
				store.takes.Store(int64(6 * time.Second))
			}
			began := time.Now()
			rec := b.order(t, name, "one", nil)
			want, status := ResultUnavailable, http.StatusServiceUnavailable
			if hook == KindOkta {
				want, status = ResultPending, http.StatusOK
			}
			if took := time.Since(began); took > wait || b.results[0] != want || rec.Code != status {
				t.Errorf("%s: %d %s after %s, %v", name, rec.Code, rec.Body, took, b.results)
			}
			<-time.After(10 * time.Second)
			store.takes.Store(0)
			rec = b.order(t, name, "two", nil)
			if _, texts := p.count(); !taken(rec) || texts != 1 {
				t.Errorf("%s: then %d %s, %d texts", name, rec.Code, rec.Body, texts)
			}
		})
	}
}

// A panic in the domain ends the request, and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBoard(t, &domain{says: "nonsense"}, goldenTime, goldenHooks()...)
	if rec := b.order(t, "logto_sent", "", nil); rec.Code != http.StatusInternalServerError {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(b.log.String(), "hook panicked") {
		t.Error("the log has nothing of it")
	}
}

// A number that the provider refuses: who asks again hears the same, and the
// provider is not asked again. Kratos is told that all is well.
func TestRefusedNumber(t *testing.T) {
	t.Parallel()
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{fail: &connector.Error{Kind: connector.KindInvalidRecipient, ProviderCode: "21211", Outcome: connector.OutcomeRefused, Advice: connector.AdviceCheckNumber}}
			s := newService(t, memory.New(nil), p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			one := b.order(t, name, "one", nil)
			two := b.order(t, name, "two", nil)
			posts, _ := p.count()
			if taken(one) || one.Code != two.Code || b.results[0] != ResultRefused || b.results[1] != ResultRefused || posts != 1 {
				t.Errorf("%s: %d %s, then %d; %v, %d requests", name, one.Code, one.Body, two.Code, b.results, posts)
			}
			if dropped := strings.Contains(b.log.String(), "order dropped"); dropped != (name == "kratos_sent") {
				t.Errorf("%s: dropped %t", name, dropped)
			}
			if name == "kratos_sent" && one.Code != 200 {
				t.Errorf("Kratos would send it again for ever: %d", one.Code)
			}
		})
	}
}

// Nobody answers at the provider: the order is written down and owed, so the
// server must not make another of it.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{fail: &connector.Error{
				Kind: connector.KindTemporary, Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry, Advice: connector.AdviceWait, Err: errors.New("refused"),
			}}
			s := newService(t, memory.New(nil), p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			for i := range 2 {
				if rec := b.order(t, name, fmt.Sprint("try", i), nil); !taken(rec) {
					t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
				}
			}
			if b.results[0] != ResultPending || !b.results[1].done() {
				t.Errorf("%s: %v", name, b.results)
			}
		})
	}
}

// The store is out of reach: nothing was sent, the server is told to come again,
// and when it does there is one text.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, name := range orders() {
		synctest.Test(t, func(t *testing.T) {
			p, store := &provider{}, &shakyStore{Store: memory.New(nil), down: true}
			s := newService(t, store, p)
			defer closed(t, s)
			b := newBoard(t, s, nil, goldenHooks()...)
			if rec := b.order(t, name, "one", nil); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
				t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
			}
			store.down = false
			rec := b.order(t, name, "two", nil)
			if posts, _ := p.count(); !taken(rec) || posts != 1 {
				t.Errorf("%s: %d %s, %d texts", name, rec.Code, rec.Body, posts)
			}
		})
	}
}

// A number's limit is one that Supabase does not try again at once.
func TestLimitedNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		s := newService(t, memory.New(nil), p)
		defer closed(t, s)
		b := newBoard(t, s, nil, goldenHooks()...)
		var rec *httptest.ResponseRecorder
		for i := range 6 {
			rec = b.order(t, "supabase_sent", "try", func(s string) string {
				return strings.NewReplacer("482913", fmt.Sprintf("48291%d", i), "de01", fmt.Sprintf("de0%d", i)).Replace(s)
			})
		}
		if posts, _ := p.count(); posts != 5 || rec.Code != 200 || !strings.Contains(rec.Body.String(), `{"error":{"http_code":429,"message":"Too many tries.`) {
			t.Errorf("%d texts, %d %s", posts, rec.Code, rec.Body)
		}
	})
}
