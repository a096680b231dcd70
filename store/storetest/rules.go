package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

var errDecide = errors.New("the operation's own error")

// testUndo lets operations change everything and then fail, in every way.
func testUndo(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock()
	limit := verify.Limit{Name: "l", Burst: 3, Every: time.Minute}
	charge := verify.Charge{Limit: limit, Key: limitKey("l")}
	full := verify.Charge{Limit: verify.Limit{Name: "full", Burst: 1}, Key: limitKey("full")}
	h.do(t, verify.Op{Subject: key, Decide: decide(verify.Decision{
		Verification: verification("a", key, born, 1), Subject: subject(key, born, "a"),
		Charges: []verify.Charge{charge, full},
	})})
	changes := func(s *verify.Subject, v *verify.Verification) verify.Decision {
		return verify.Decision{
			Result: "never", Verification: v, Subject: s, Charges: []verify.Charge{charge},
			Clear: []verify.LimitKey{limitKey("other")}, Idem: verify.IdemState{ID: "a"},
		}
	}
	for name, fail := range map[string]func(verify.Decision) (verify.Decision, error){
		"error": func(d verify.Decision) (verify.Decision, error) { return d, errDecide },
		"panic": func(verify.Decision) (verify.Decision, error) { panic("a panic with +14155550000 in it") },
		"limit": func(d verify.Decision) (verify.Decision, error) {
			d.Charges = append(d.Charges, full)
			return d, nil
		},
	} {
		idem := &verify.Idem{Key: mac("%s", name), Body: mac("body")}
		for _, op := range []verify.Op{{ID: "a", App: appOf("a")}, {Subject: key, Session: mac("session of a")}} {
			op.Idem = idem
			op.Decide = func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
				scribble(s, v)
				return fail(changes(s, v))
			}
			result, err := h.store.Do(t.Context(), op)
			if err == nil || result != nil {
				t.Fatalf("%s: Do = %v, %v", name, result, err)
			}
			if name == "error" && !errors.Is(err, errDecide) {
				t.Errorf("the error became %v", err)
			}
			if name == "panic" && (errors.Is(err, verify.ErrUnavailable) || len(err.Error()) > 60) {
				t.Errorf("the panic became %v", err)
			}
			got := h.look(t, "a")
			same(t, name+": the verification", got.V, verification("a", key, born, 1))
			same(t, name+": the subject", got.S, subject(key, born, "a"))
		}
		// The key was not kept: the operation runs.
		if got := h.do(t, verify.Op{Subject: key, Idem: idem, Decide: decide(verify.Decision{Result: "ran"})}); got != "ran" {
			t.Errorf("%s: the idempotency key was kept: %v", name, got)
		}
	}
	// Two of three are left.
	for range 2 {
		h.do(t, verify.Op{Subject: key, Decide: decide(verify.Decision{Charges: []verify.Charge{charge}})})
	}
	h.limited(t, verify.Op{Subject: key, Decide: decide(verify.Decision{Charges: []verify.Charge{charge}})}, "l", time.Minute)
}

func testIdempotency(t *testing.T, h *harness) {
	key := subjectKey("s")
	runs := 0
	op := func(idemKey, body string) verify.Op {
		o := start("a", key)
		inner := o.Decide
		o.Idem = &verify.Idem{Key: mac("%s", idemKey), Body: mac("%s", body)}
		o.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			runs++
			d, err := inner(now, s, v)
			d.Idem = verify.IdemState{ID: "a", Outcome: "sent", OpenUntil: now.Add(time.Minute).In(elsewhere())}
			return d, err
		}
		return o
	}
	if got := h.do(t, op("k", "body")); got != "a" {
		t.Fatalf("the first run's result is %v", got)
	}
	born := h.clock()
	h.restart()
	h.failing(t, op("k", "body"), verify.ErrInFlight)
	h.failing(t, op("k", "another body"), verify.ErrIdemMismatch)
	h.pass(time.Minute - time.Microsecond)
	h.failing(t, op("k", "body"), verify.ErrInFlight)
	h.pass(time.Microsecond)
	want := &verify.Replayed{
		IdemState:    verify.IdemState{ID: "a", Outcome: "sent", OpenUntil: born.UTC().Truncate(time.Microsecond).Add(time.Minute)},
		Verification: verification("a", key, born, 0), Now: h.clock().UTC().Truncate(time.Microsecond),
	}
	same(t, "the replay", h.do(t, op("k", "body")), want)
	h.failing(t, op("k", "another body"), verify.ErrIdemMismatch)
	if runs != 1 {
		t.Fatalf("the operation ran %d times", runs)
	}
	h.do(t, op("another key", "body"))
	h.pass(24*time.Hour - time.Minute - time.Microsecond)
	want.Now = h.clock().UTC().Truncate(time.Microsecond)
	want.Verification = verification("a", key, born.Add(time.Minute), 0)
	same(t, "the replay at the end of the day", h.do(t, op("k", "body")), want)
	h.pass(time.Microsecond)
	if got := h.do(t, op("k", "another body")); got != "a" || runs != 3 {
		t.Errorf("after a day the key is not free: %v, %d runs", got, runs)
	}
	// A key whose operation made no verification.
	none := verify.Op{Subject: key, Idem: &verify.Idem{Key: mac("none"), Body: mac("b")}, Decide: decide(verify.Decision{})}
	h.do(t, none)
	if got, ok := h.do(t, none).(*verify.Replayed); !ok || got.Verification != nil {
		t.Errorf("a replay without a verification: %+v", got)
	}
}

func testSettlement(t *testing.T, h *harness) {
	key := subjectKey("s")
	idem := &verify.Idem{Key: mac("k"), Body: mac("body")}
	first := start("a", key)
	inner := first.Decide
	first.Idem = idem
	first.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, err := inner(now, s, v)
		d.Idem = verify.IdemState{ID: "a", OpenUntil: now.Add(time.Hour)}
		return d, err
	}
	h.do(t, first)
	born := h.clock()
	h.failing(t, first, verify.ErrInFlight)
	settle := func(k verify.MAC, outcome string) verify.Op {
		return verify.Op{ID: "a", App: appOf("a"), Decide: decide(verify.Decision{
			Settle: &verify.Settlement{Key: k, IdemState: verify.IdemState{ID: "a", Outcome: outcome}},
		})}
	}
	h.do(t, settle(mac("k"), "accepted"))
	h.do(t, settle(mac("forgotten"), "accepted")) // harmless
	h.restart()
	same(t, "the settled key", h.do(t, first), &verify.Replayed{
		IdemState: verify.IdemState{ID: "a", Outcome: "accepted"}, Verification: verification("a", key, born, 0), Now: born.UTC().Truncate(time.Microsecond),
	})
	other := *idem
	other.Body = mac("another body")
	first.Idem = &other
	h.failing(t, first, verify.ErrIdemMismatch)
	fresh := verify.Op{Subject: key, Idem: &verify.Idem{Key: mac("forgotten"), Body: mac("b")}, Decide: decide(verify.Decision{Result: "ran"})}
	if got := h.do(t, fresh); got != "ran" {
		t.Errorf("settling a key that was never kept made it: %v", got)
	}
	// A settlement leaves the key's life as it was.
	first.Idem = idem
	h.pass(24 * time.Hour)
	if got := h.do(t, first); got != "a" {
		t.Errorf("a day after the first call: %v", got)
	}
}

// testForget drops idempotency keys, as when nothing came of the call: it may be
// made again. But a key that stands for something else by now stays.
func testForget(t *testing.T, h *harness) {
	keep := func(k, id, outcome string) verify.Op {
		return verify.Op{Subject: subjectKey("s"), Idem: &verify.Idem{Key: mac("%s", k), Body: mac("body")},
			Decide: decide(verify.Decision{Result: "ran", Idem: verify.IdemState{ID: id, Outcome: outcome}})}
	}
	forget := func(k string) {
		t.Helper()
		h.do(t, verify.Op{Subject: subjectKey("t"), Decide: decide(verify.Decision{
			Settle: &verify.Settlement{Key: mac("%s", k), IdemState: verify.IdemState{ID: "a", Outcome: "sent"}, Forget: true},
		})})
	}
	kept := func(k string, want bool) {
		t.Helper()
		h.restart()
		result := h.do(t, keep(k, "again", ""))
		if _, replayed := result.(*verify.Replayed); replayed != want {
			t.Errorf("the key %s is kept: %t, want %t", k, replayed, want)
		}
	}
	for k, state := range map[string]verify.IdemState{
		"another id": {ID: "b", Outcome: "sent"}, "another outcome": {ID: "a", Outcome: "join"}, "no outcome": {ID: "a"},
	} {
		h.do(t, keep(k, state.ID, state.Outcome))
		forget(k)
		kept(k, true)
	}
	h.do(t, keep("right", "a", "sent"))
	forget("right")
	forget("right") // it may run again
	kept("right", false)
	forget("right") // late: the key is another call's by now
	kept("right", true)
	forget("never kept")
	kept("never kept", false)

	h.do(t, keep("forgotten", "a", "sent"))
	forget("forgotten")
	if n := h.purge(t, h.clock(), 100); n != 1 {
		t.Errorf("%d rows purged, want the forgotten key", n)
	}
	// A day old, it is forgotten already, and must not come back for one.
	h.do(t, keep("old", "a", "sent"))
	h.pass(24 * time.Hour)
	forget("old")
	kept("old", false)
}

func testRefusalsAreNotKept(t *testing.T, h *harness) {
	charge := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 1, Every: time.Minute}, Key: limitKey("l")}
	op := verify.Op{Subject: subjectKey("s"), Decide: decide(verify.Decision{Result: "ran", Charges: []verify.Charge{charge}})}
	h.do(t, op)
	op.Idem = &verify.Idem{Key: mac("k"), Body: mac("b")}
	h.limited(t, op, "l", time.Minute)
	h.pass(time.Minute)
	if got := h.do(t, op); got != "ran" {
		t.Errorf("the refusal was kept: %v", got)
	}
	if _, ok := h.do(t, op).(*verify.Replayed); !ok {
		t.Error("the run was not kept")
	}
}
