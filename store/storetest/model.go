package storetest

import (
	"maps"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// model is what a store is compared with. Of limits it keeps every event and
// counts anew; records it makes anew from their revision.
type model struct {
	verifications map[string]*modelVerification
	subjects      map[verify.SubjectKey]*modelSubject
	events        map[verify.LimitKey][]event
	idems         map[verify.MAC]*modelIdem
}

type modelVerification struct {
	key   verify.SubjectKey
	born  time.Time
	rev   int
	ended time.Time
	due   time.Time
}

// end is when the verification ended or is to end.
func (v *modelVerification) end() time.Time {
	if v.ended.IsZero() {
		return v.born.Add(life)
	}
	return v.ended
}

type modelSubject struct {
	failures int
	failed   time.Time
	pending  []verify.Pending
}

type modelIdem struct {
	verify.IdemState
	body verify.MAC
	made time.Time
}

// event is something that happened to a limit.
type event struct {
	at   time.Time
	what eventKind
	of   time.Time // of a refund: when the charge was made; of a guard: until when it is closed
}

type eventKind int

const (
	taken eventKind = iota
	refunded
	cleared
	closed
)

func newModel() *model {
	return &model{
		verifications: map[string]*modelVerification{}, subjects: map[verify.SubjectKey]*modelSubject{},
		events: map[verify.LimitKey][]event{}, idems: map[verify.MAC]*modelIdem{},
	}
}

// verification is the record that the store should have, or nil.
func (m *model) verification(id string) *verify.Verification {
	mv, ok := m.verifications[id]
	if !ok {
		return nil
	}
	v := verification(id, mv.key, mv.born, mv.rev)
	owe(v, mv.due)
	if !mv.ended.IsZero() {
		v.Status, v.EndedAt = verify.StatusExhausted, mv.ended
	}
	return v
}

// subject is the record that an operation should be handed.
func (m *model) subject(key verify.SubjectKey, now time.Time) *verify.Subject {
	s := &verify.Subject{Key: key}
	if ms, ok := m.subjects[key]; ok {
		s.Failures, s.FailedAt = ms.failures, ms.failed
		for _, p := range ms.pending {
			if p.ExpiresAt.After(now) {
				s.Pending = append(s.Pending, p)
			}
		}
	}
	return s
}

// purge forgets what ended before the time.
func (m *model) purge(before, now time.Time) {
	if before.After(now) {
		before = now
	}
	maps.DeleteFunc(m.verifications, func(_ string, v *modelVerification) bool {
		return v.end().Before(before) && (v.due.IsZero() || v.end().Before(now.Add(-24*time.Hour)))
	})
	maps.DeleteFunc(m.subjects, func(_ verify.SubjectKey, s *modelSubject) bool {
		open := slices.ContainsFunc(s.pending, func(p verify.Pending) bool { return p.ExpiresAt.After(now) })
		return !open && (s.failures == 0 || s.failed.Before(before))
	})
}

// dueTimes are when the verifications are due that are due by now, the longest
// due first.
func (m *model) dueTimes(now time.Time) (times []time.Time) {
	for _, v := range m.verifications {
		if !v.due.IsZero() && !v.due.After(now) {
			times = append(times, v.due)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// wait is for how long another charge is refused, given what happened.
func wait(c verify.Charge, events []event, now time.Time) time.Duration {
	l := c.Limit
	switch {
	case c.Guard && len(events) == 0:
		return 0
	case c.Guard:
		return max(0, events[len(events)-1].of.Sub(now)) // the zero time where it was cleared
	case l.Every == 0:
		return waitDaily(l, events, now)
	}
	// A bucket that holds Burst charges and leaks one every Every.
	var level time.Duration
	last := now
	if len(events) > 0 {
		last = events[0].at
	}
	for _, e := range events {
		level = max(0, level-e.at.Sub(last))
		last = e.at
		switch {
		case e.what == taken:
			level += l.Every
		case e.what == cleared:
			level = 0
		case e.at.Sub(e.of) < l.Every*time.Duration(l.Burst): // else it has leaked out since
			level = max(0, level-l.Every)
		}
	}
	level = max(0, level-now.Sub(last))
	return max(0, level+l.Every-l.Every*time.Duration(l.Burst))
}

func waitDaily(l verify.Limit, events []event, now time.Time) time.Duration {
	today := now.Format(time.DateOnly)
	count := 0
	for _, e := range events {
		switch {
		case e.what == cleared:
			count = 0
		case e.what == taken && e.at.Format(time.DateOnly) == today:
			count++
		case e.what == refunded && e.of.Format(time.DateOnly) == today:
			count = max(0, count-1)
		}
	}
	if count < l.Burst {
		return 0
	}
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 24, 0, 0, 0, time.UTC)
	return midnight.Sub(now)
}
