package verify

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// takeAll charges until the limit refuses and returns how often it did not.
func takeAll(l Limit, value int64, now time.Time) (n int, last int64, retry time.Duration) {
	for {
		next, wait, ok := l.take(value, now)
		if !ok {
			return n, value, wait
		}
		value = next
		n++
	}
}

func TestLimitBurst(t *testing.T) {
	t.Parallel()
	for _, l := range []Limit{{"one", 1, time.Minute}, {"two", 2, time.Minute}, {"many", 100, time.Millisecond}} {
		n, value, retry := takeAll(l, 0, noon)
		if n != l.Burst || retry != l.Every {
			t.Errorf("%s: %d at once and then %s, want %d and %s", l.Name, n, retry, l.Burst, l.Every)
		}
		if n, _, _ := takeAll(l, value, noon.Add(l.Every-time.Microsecond)); n != 0 {
			t.Errorf("%s: %d before its time", l.Name, n)
		}
		if n, _, _ := takeAll(l, value, noon.Add(3*l.Every)); n != min(3, l.Burst) {
			t.Errorf("%s: %d after three periods, want %d", l.Name, n, min(3, l.Burst))
		}
		if n, _, _ := takeAll(l, value, noon.Add(1000*l.Every)); n != l.Burst {
			t.Errorf("%s: %d after a long rest, want %d", l.Name, n, l.Burst)
		}
		if got := l.expires(value); !got.Equal(noon.Add(time.Duration(l.Burst)*l.Every + ClockSlack)) {
			t.Errorf("%s: a full counter expires at %s", l.Name, got)
		}
	}
}

// A bucket that leaks is the same limit told another way.
func TestLimitIsALeakyBucket(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		l := Limit{"x", 1 + random.IntN(6), time.Duration(1+random.IntN(5000)) * time.Millisecond}
		var value int64
		var level time.Duration
		now := noon
		for range 200 {
			step := time.Duration(random.Int64N(int64(l.Every) * 2)).Truncate(time.Microsecond)
			now = now.Add(step)
			level = max(0, level-step)
			if random.IntN(5) == 0 && level > 0 {
				value, level = l.giveBack(value, now, now), max(0, level-l.Every)
				continue
			}
			next, retry, ok := l.take(value, now)
			if want := level+l.Every <= l.Every*time.Duration(l.Burst); ok != want {
				t.Fatalf("%+v: level %s, allowed %t", l, level, ok)
			}
			if !ok {
				if want := level + l.Every - l.Every*time.Duration(l.Burst); retry != want {
					t.Fatalf("%+v: level %s, retry after %s, want %s", l, level, retry, want)
				}
				continue
			}
			value, level = next, level+l.Every
		}
	}
}

func TestLimitDaily(t *testing.T) {
	t.Parallel()
	l := Limit{Name: "daily", Burst: 3}
	n, value, retry := takeAll(l, 0, noon)
	if n != 3 || retry != 12*time.Hour {
		t.Errorf("%d, then %s, want 3 and 12h", n, retry)
	}
	midnight := noon.Add(12 * time.Hour)
	if n, _, _ := takeAll(l, value, midnight.Add(-1)); n != 0 {
		t.Errorf("%d more on the same day", n)
	}
	n, tomorrow, _ := takeAll(l, value, midnight)
	if n != 3 {
		t.Errorf("%d on the next day, want 3", n)
	}
	if got := l.expires(value); !got.Equal(midnight.Add(ClockSlack)) {
		t.Errorf("expires at %s, want a minute after midnight", got)
	}
	// A clock that steps back over midnight brings no second allowance, and
	// one that was years ahead locks nobody out for years.
	if n, _, retry := takeAll(l, tomorrow, midnight.Add(-time.Second)); n != 0 || retry != 24*time.Hour+time.Second {
		t.Errorf("%d and %s after a step back over midnight", n, retry)
	}
	if n, _, _ := takeAll(l, tomorrow, noon.Add(-24*365*time.Hour)); n != 3 {
		t.Errorf("%d after a clock a year ahead, want 3", n)
	}
}

func TestLimitWithAClockThatJumps(t *testing.T) {
	t.Parallel()
	l := Limit{"x", 3, time.Minute}
	_, full, _ := takeAll(l, 0, noon)
	// A step back by less than a period only lengthens the wait by itself.
	if _, retry, ok := l.take(full, noon.Add(-time.Second)); ok || retry != time.Minute+time.Second {
		t.Errorf("a second back: %t, %s", ok, retry)
	}
	// A day back: one passes, then the limit is as full as it can be.
	back := noon.Add(-24 * time.Hour)
	n, value, retry := takeAll(l, full, back)
	if n != 1 || retry != time.Minute {
		t.Errorf("a day back: %d pass, then %s, want 1 and 1m", n, retry)
	}
	if n, _, _ := takeAll(l, value, back.Add(time.Minute)); n != 1 {
		t.Errorf("a minute later %d pass, want 1", n)
	}
	// However far back, nobody waits for the jump's length, and one jump is
	// worth one more at most.
	random := rand.New(rand.NewPCG(3, 3))
	for range 1000 {
		at := noon.Add(-time.Duration(random.Int64N(int64(100 * time.Hour))))
		if n, _, retry := takeAll(l, full, at); n > 1 || retry > 2*l.Every {
			t.Fatalf("at %s: %d pass, then %s", at, n, retry)
		}
	}
	// Ahead: the burst is there, no more.
	if n, _, _ := takeAll(l, full, noon.Add(1e6*time.Hour)); n != 3 {
		t.Errorf("far ahead: %d pass, want 3", n)
	}
}

func TestLimitRefund(t *testing.T) {
	t.Parallel()
	l := Limit{"x", 2, time.Minute}
	_, full, _ := takeAll(l, 0, noon)
	if n, _, _ := takeAll(l, l.giveBack(full, noon, noon), noon); n != 1 {
		t.Errorf("one given back lets %d through", n)
	}
	if n, _, _ := takeAll(l, l.giveBack(l.giveBack(l.giveBack(full, noon, noon), noon, noon), noon, noon), noon); n != 2 {
		t.Errorf("three given back let %d through, want the burst", n)
	}
	late := noon.Add(2 * time.Minute) // by then time has given it back
	_, full, _ = takeAll(l, 0, late)
	if n, _, _ := takeAll(l, l.giveBack(full, noon, late), late); n != 0 {
		t.Errorf("a charge that time had given back was given back again: %d", n)
	}
	if got := l.giveBack(0, noon, noon); got != 0 {
		t.Errorf("an empty counter given back is %d", got)
	}

	daily := Limit{Name: "daily", Burst: 2}
	_, full, _ = takeAll(daily, 0, noon)
	if n, _, _ := takeAll(daily, daily.giveBack(full, time.Time{}, noon), noon); n != 1 {
		t.Errorf("daily: one given back lets %d through", n)
	}
	if got := daily.giveBack(full, noon.Add(-24*time.Hour), noon); got != full {
		t.Error("daily: yesterday's charge was given back today")
	}
}

// Many callers at once: exactly Burst pass.
func TestLimitWithManyCallers(t *testing.T) {
	t.Parallel()
	clock := &testClock{t: noon}
	store := newMemStore(clock.now)
	limit := Limit{"x", 17, time.Hour}
	daily := Limit{Name: "y", Burst: 40}
	var passed, refused atomic.Int32
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			_, err := store.Do(t.Context(), Op{Subject: SubjectKey{1}, Decide: func(time.Time, *Subject, *Verification) (Decision, error) {
				return Decision{Charges: []Charge{{Limit: daily, Key: LimitKey{2}}, {Limit: limit, Key: LimitKey{1}}}}, nil
			}})
			if err == nil {
				passed.Add(1)
				return
			}
			var l *LimitError
			if !errors.As(err, &l) || l.Name != "x" || l.RetryAfter != time.Hour {
				t.Errorf("got %v", err)
			}
			refused.Add(1)
		})
	}
	wg.Wait()
	if passed.Load() != 17 || refused.Load() != 283 {
		t.Errorf("%d passed, want 17", passed.Load())
	}
	// The refusals by one limit took nothing from the other.
	if got := store.counter(LimitKey{2}) & 0xffffffff; got != 17 {
		t.Errorf("the other limit counted %d, want 17", got)
	}
}

// Counters of one thing are neighbours in a store that sorts by key; no two
// counters share a key, whoever counts what.
func TestCountersOfOneThingAreNeighbours(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Policy.Limits = DefaultPolicy().Limits })
	owners, places := map[LimitKey]string{}, map[string]map[string]bool{}
	for _, app := range []string{"shop", "bank"} {
		for _, to := range []string{"+14155552671", "+14155552672", "+4915112345678"} {
			for _, c := range b.charges(app, number(t, to), b.network(testIP)) {
				thing := "everything"
				switch name, _ := strings.CutPrefix(strings.TrimSuffix(c.Limit.Name, "_daily"), "app_"); name {
				case "number":
					thing = to
				case "prefix":
					thing = to[:len(to)-4]
				case "country":
					thing = to[:3]
				case "ip":
					thing = "ip"
				}
				owner := c.Limit.Name + " of " + thing
				if strings.HasPrefix(c.Limit.Name, "app_") {
					owner += " at " + app
				}
				if other, taken := owners[c.Key]; taken && other != owner {
					t.Errorf("%s and %s share a key", owner, other)
				}
				owners[c.Key] = owner
				if places[thing] == nil {
					places[thing] = map[string]bool{}
				}
				places[thing][string(c.Key[:8])] = true
			}
		}
	}
	// Two counters an app for each of 3 numbers, 2 prefixes, 2 countries and an
	// address; over all apps 2 for a number, 1 for a prefix and an address, 2 more.
	if want := 2*2*(3+2+2+1) + 2*3 + 2 + 1 + 2; len(owners) != want {
		t.Errorf("%d counters, want %d", len(owners), want)
	}
	met := map[string]string{}
	for thing, heads := range places {
		if len(heads) != 1 {
			t.Errorf("the counters of %s stand in %d places", thing, len(heads))
		}
		for head := range heads {
			if other, taken := met[head]; taken {
				t.Errorf("%s and %s stand in one place", thing, other)
			}
			met[head] = thing
		}
	}
}
