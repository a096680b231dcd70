package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestWhatWasNotThereAMomentAgo lets a replica find rows missing and then wait
// for another one's rows. When it gets these the missing ones are there too: it
// must not decide on half of what the other has written.
func TestWhatWasNotThereAMomentAgo(t *testing.T) {
	t.Parallel()
	subject, session, key := subjectKey("a number"), mac("a session"), mac("a key")
	limit := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 2}, Key: limitKey("l")}
	id := idOf(time.Now(), 1)
	blocked := errors.New("blocked")
	begin := func(keyed bool, charges ...verify.Charge) verify.Op {
		op := verify.Op{Subject: subject}
		for _, c := range charges {
			op.Places = append(op.Places, c.Key.Place())
		}
		if op.Session = session; keyed {
			op.Idem, op.Session = &verify.Idem{Key: key, Body: mac("body")}, verify.MAC{}
		}
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			switch {
			case v != nil:
				return verify.Decision{Result: "under way"}, nil
			case !s.BlockedUntil.IsZero():
				return verify.Decision{}, blocked
			}
			to, err := phone.Parse("+14155552671")
			if err != nil {
				return verify.Decision{}, err
			}
			v = &verify.Verification{ID: id, App: "app", Subject: subject, Session: session, To: to, Status: verify.StatusPending, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)}
			s.Pending = append(s.Pending, verify.Pending{ID: id, Session: session, ExpiresAt: v.ExpiresAt})
			s.BlockedUntil = now.Add(time.Hour)
			return verify.Decision{Result: "begun", Verification: v, Subject: s, Charges: charges, Idem: verify.IdemState{ID: id, OpenUntil: now.Add(time.Minute)}}, nil
		}
		return op
	}
	known := verify.Op{Subject: subject, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		s.Failures, s.FailedAt = 1, now
		return verify.Decision{Subject: s}, nil
	}}
	for name, c := range map[string]struct {
		before verify.Op
		op     verify.Op
		want   any
		fail   error
	}{
		"a key, and a limit that the first exhausts":         {charging("another", limit), begin(true, limit), nil, verify.ErrInFlight},
		"a key, and a subject that the first blocks":         {known, begin(true), nil, verify.ErrInFlight},
		"a new subject, and a limit that the first exhausts": {charging("another", limit), begin(false, limit), "under way", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := database(t)
			all := replicasOn(t, url, 3)
			do(t, all[2], c.before)
			first := held(t, all[0], c.op)
			second := make(chan error, 1)
			go func() {
				got, err := all[1].Do(context.Background(), c.op)
				if !errors.Is(err, c.fail) || err == nil && got != c.want {
					second <- fmt.Errorf("%v, %w; want %v, %w", got, err, c.want, c.fail)
				}
				close(second)
			}()
			awaitLock(t, url)
			if got, err := first(); got != "begun" || err != nil {
				t.Errorf("the first: %v, %v", got, err)
			}
			if err := <-second; err != nil {
				t.Errorf("the second: %v", err)
			}
		})
	}
}

// held begins an operation and holds it while it is decided, with its rows
// locked. end lets it go on and returns what came of it.
func held(t *testing.T, s *postgres.Store, op verify.Op) (end func() (any, error)) {
	t.Helper()
	type result struct {
		value any
		err   error
	}
	var once sync.Once
	reached, resume, done := make(chan struct{}), make(chan struct{}), make(chan result, 1)
	inner := op.Decide
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		once.Do(func() { close(reached) })
		<-resume
		return inner(now, s, v)
	}
	go func() {
		value, err := s.Do(context.Background(), op)
		done <- result{value, err}
	}()
	release := sync.OnceFunc(func() { close(resume) })
	t.Cleanup(release)
	<-reached
	return func() (any, error) {
		release()
		r := <-done
		return r.value, r.err
	}
}

// awaitLock returns when somebody waits for another's row.
func awaitLock(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		var n int
		query(t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, &n)
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits for a row")
		}
	}
}

// TestAVerificationAndItsSubject lets a replica look for a verification and its
// subject while another makes both, and changes a subject for which the first has
// to wait in between: it sees both of them or none.
func TestAVerificationAndItsSubject(t *testing.T) {
	t.Parallel()
	url := database(t)
	all := replicasOn(t, url, 3)
	id, other := idOf(time.Now(), 1), idOf(time.Now(), 2)
	do(t, all[2], start(other))
	// Made together with a change of the other subject.
	op := verify.Op{ID: other, App: "app", Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		d, err := start(id).Decide(now, &verify.Subject{Key: subjectKey("%s", id)}, nil)
		d.Charges = []verify.Charge{{Limit: verify.Limit{Name: "l", Burst: 1}, Key: limitKey("l")}}
		return d, err
	}}
	end := held(t, all[0], op)
	type seen struct {
		values []any
		errs   []error
	}
	done := make(chan seen, 1)
	nothing := func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{}, nil
	}
	go func() {
		values, errs := all[1].Together(
			telling(verify.Op{Subject: subjectKey("%s", other)}, nothing),
			telling(verify.Op{ID: id, App: "app"}, nothing))
		done <- seen{values, errs}
	}()
	awaitLock(t, url)
	if _, err := end(); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if err := got.errs[0]; err != nil {
		t.Fatal(err)
	}
	switch found, _ := got.values[1].(told); {
	case errors.Is(got.errs[1], verify.ErrNotFound): // none
	case got.errs[1] != nil:
		t.Error(got.errs[1])
	case len(found.S.Pending) != 1:
		t.Errorf("it sees the verification and not its subject: %+v", found.S)
	}
}

// TestNothingIsNothing looks for rows that are not there, with others that are:
// that is answered at once.
func TestNothingIsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	do(t, s, start(idOf(time.Now(), 1), charge(1)))
	nothing := func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{}, verify.ErrEnded
	}
	op := verify.Op{Subject: subjectKey("new"), Idem: &verify.Idem{Key: mac("new")}, Places: []verify.Place{limitKey("new").Place(), charge(1).Key.Place()}, Decide: nothing}
	_, errs := s.Together(op, verify.Op{ID: idOf(time.Now(), 2), App: "app"}, verify.Op{ID: "of no day", App: "app"})
	if !errors.Is(errs[0], verify.ErrEnded) || !errors.Is(errs[1], verify.ErrNotFound) || !errors.Is(errs[2], verify.ErrNotFound) {
		t.Error(errs)
	}
	if n := s.Reruns(); n != 0 {
		t.Errorf("%d runs too many", n)
	}
}
