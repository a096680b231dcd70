package verify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"
)

// limit.reached tells of something that was not committed: the operation was
// refused. It is written by an operation of its own, later and by another
// goroutine, so that the refusal costs no more than before: whoever is at a limit
// is perhaps an attacker, and there are many of them. So there is
//
//   - at most one event for each app, limit and place within limitEventEvery, or,
//     for a limit by the day, within the UTC day: a counter says so, as of any limit;
//   - for each app no more than limitEventBurst at once, then one a minute;
//   - a queue that drops what it has no room for, and counts it.
const (
	limitEventEvery = time.Hour
	limitEventBurst = 20
	limitEventQueue = 64
	limitEventsTold = 4096 // are remembered, so that the store need not be asked
)

// The names of the counters of events.
const (
	limitEventOnce = "limit_event"
	limitEventAll  = "limit_events"
)

// limitData names no number: an app may have none of the person, and whoever
// exhausts a limit by numbers need not be told which.
type limitData struct {
	Limit   string    `json:"limit"`
	Country string    `json:"country,omitempty"`
	Until   time.Time `json:"until"`
}

type limitHit struct {
	subjectOfEvent
	limit string
	key   LimitKey
	daily bool
	retry time.Duration
}

type limitEvents struct {
	out   *outbox
	keys  *Keyring
	queue chan limitHit

	mu   *sync.Mutex
	told map[LimitKey]time.Time // until when nothing more is to be told
}

func newLimitEvents(o *outbox, keys *Keyring) limitEvents {
	return limitEvents{out: o, keys: keys, queue: make(chan limitHit, limitEventQueue), mu: &sync.Mutex{}, told: map[LimitKey]time.Time{}}
}

// hit notes that a limit has refused an operation. It waits for nothing.
func (l *limitEvents) hit(about subjectOfEvent, err error) {
	var refused *LimitError
	if !errors.As(err, &refused) || refused.key == (LimitKey{}) || !l.out.wanted[about.app][EventLimit] {
		return
	}
	h := limitHit{about, refused.Name, l.keyOf(about.app, refused.key), refused.daily, refused.RetryAfter}
	if !l.first(h) {
		return
	}
	select {
	case l.queue <- h:
	default:
		l.forget(h)
		l.out.hooks.Dropped(h.app)
	}
}

// keyOf names the counter of an app's events about a limit's counter. It stands at
// the same place.
func (l *limitEvents) keyOf(app string, refused LimitKey) LimitKey {
	own := l.keys.current.limit.mac(limitEventOnce, app, string(refused[:]))
	key := refused
	copy(key[len(key)/2:], own[:])
	return key
}

// first reports whether nobody in this process has told of it lately.
func (l *limitEvents) first(h limitHit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.told[h.key]) {
		return false
	}
	if len(l.told) >= limitEventsTold {
		maps.DeleteFunc(l.told, func(_ LimitKey, until time.Time) bool { return !now.Before(until) })
		if len(l.told) >= limitEventsTold {
			clear(l.told) // the store knows
		}
	}
	// The hour is counted by the store: this one must not be the longer one.
	l.told[h.key] = now.Add(limitEventEvery / 2)
	return true
}

func (l *limitEvents) forget(h limitHit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.told, h.key)
}

// run writes events until ctx ends.
func (l *limitEvents) run(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case h := <-l.queue:
			if err := l.write(ctx, h); err != nil && ctx.Err() == nil {
				l.forget(h)
				l.out.hooks.Dropped(h.app)
				log.LogAttrs(ctx, slog.LevelError, "limit event", slog.String("app", h.app), slog.String("error", err.Error()))
			}
		case <-ctx.Done():
			l.drain()
			return
		}
	}
}

// drain drops what nobody will write any more.
func (l *limitEvents) drain() {
	for {
		select {
		case h := <-l.queue:
			l.out.hooks.Dropped(h.app)
		default:
			return
		}
	}
}

func (l *limitEvents) write(ctx context.Context, h limitHit) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	once := Limit{Name: limitEventOnce, Burst: 1, Every: limitEventEvery}
	if h.daily {
		once.Every = 0
	}
	keys := l.keys.current
	all := Limit{Name: limitEventAll, Burst: limitEventBurst, Every: time.Minute}
	// Each limit has an allowance of its own: whoever makes many small alarms must
	// not hide a large one.
	charges := []Charge{{Limit: all, Key: keys.limitKey(all, h.app, keys.place(limitEventAll+h.limit))}, {Limit: once, Key: h.key}}
	// No number's subject: that would be one of another length.
	subject := SubjectKey(keys.number.mac(limitEventAll, h.app))
	_, err := l.out.Store.Do(ctx, Op{Subject: subject, Places: places(charges), Decide: func(now time.Time, _ *Subject, _ *Verification) (Decision, error) {
		// Without the place, which is the same for every app.
		key := idEncoding.EncodeToString(h.key[len(h.key)/2:])
		id := "msg_" + key + "_" + strconv.FormatInt(now.Unix(), 10)
		e := newEvent(EventLimit, h.app, "limit_"+key, id, now, limitData{h.limit, h.country, plain(now.Add(h.retry))})
		return Decision{Charges: charges, Events: []Event{e}}, nil
	}})
	var told *LimitError
	switch {
	case err == nil:
		l.out.hooks.Added(h.app)
	case errors.As(err, &told):
		if told.Name == limitEventAll { // nobody was told: soon again
			l.out.hooks.Dropped(h.app)
			l.mu.Lock()
			l.told[h.key] = time.Now().Add(all.Every)
			l.mu.Unlock()
		}
		return nil // another process has told, or enough was told
	}
	return err
}
