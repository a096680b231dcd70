package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

const usage = sms.UsageType("SignIn")

// appOf is the app that owns the verification id.
func appOf(id string) string { return "app-of-" + id }

// life is how long the tests' codes live.
const life = 10 * time.Minute

// number is a number for an index.
func number(i int) phone.Number {
	n, err := phone.Parse(fmt.Sprintf("+1415555%04d", i%10000))
	if err != nil {
		panic(err) // the tests' own constants
	}
	return n
}

// verification builds a record with every field set, at its rev-th revision. It
// is built anew each time, so that nothing can be shared by accident. Its times
// are in UTC, as a store must return them.
func verification(id string, subject verify.SubjectKey, created time.Time, rev int) *verify.Verification {
	created = created.UTC().Truncate(time.Microsecond)
	v := &verify.Verification{
		ID: id, App: appOf(id), Subject: subject, To: number(len(id)), Usage: usage, Locale: "pt-BR",
		Channel: verify.ChannelSMS, Status: verify.StatusPending, Test: rev%2 == 1, Domain: "example.com",
		Session: mac("session of %s", id), Salt: verify.Salt{1, 2, 3, 255}, KeyID: "k1", Generation: rev, CodeLength: 6,
		Checks: rev, MaxChecks: 5, MaxSends: 5,
		CreatedAt: created, ExpiresAt: created.Add(life), ResendAfter: created.Add(30 * time.Second),
		Metadata: map[string]string{"revision": fmt.Sprint(rev), "quote": `"<&>\ é`},
	}
	for n := range rev + 1 {
		at := created.Add(time.Duration(n) * time.Microsecond)
		v.Sends = append(v.Sends, verify.Send{
			ID: fmt.Sprintf("%s.%d", id, n+1), Channel: verify.ChannelSMS, Connector: "twilio", Status: connector.StatusRejected,
			ProviderID: "SM1", Generation: n, Segments: 1, CreatedAt: at, UpdatedAt: at, LeaseUntil: at.Add(time.Minute), Epoch: 1,
			Error: &verify.SendFault{Kind: connector.KindGeo, ProviderCode: fmt.Sprint(21408 + n), Advice: "try_later"},
		})
	}
	return v
}

// subject builds a record with every field set.
func subject(key verify.SubjectKey, now time.Time, ids ...string) *verify.Subject {
	now = now.UTC().Truncate(time.Microsecond)
	s := &verify.Subject{Key: key, Failures: 3, FailedAt: now, BlockedUntil: now.Add(time.Minute)}
	for _, id := range ids {
		s.Pending = append(s.Pending, verify.Pending{ID: id, Session: mac("session of %s", id), ExpiresAt: now.Add(life)})
	}
	return s
}

// start is an operation that makes a verification of a subject.
func start(id string, key verify.SubjectKey) verify.Op {
	return verify.Op{Subject: key, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		v := verification(id, key, now, 0)
		s.Pending = append(s.Pending, verify.Pending{ID: id, Session: v.Session, ExpiresAt: v.ExpiresAt})
		return verify.Decision{Result: id, Verification: v, Subject: s}, nil
	}}
}

// scribble spoils whatever an operation was handed, down to what pointers and
// maps lead to.
func scribble(s *verify.Subject, v *verify.Verification) {
	if s != nil {
		s.Failures += 100
		for i := range s.Pending {
			s.Pending[i].ID = "scribbled"
		}
	}
	if v == nil {
		return
	}
	v.Checks += 100
	v.Status = verify.StatusApproved
	if v.Metadata != nil {
		v.Metadata["revision"] = "scribbled"
	}
	for i := range v.Sends {
		v.Sends[i].ProviderID = "scribbled"
		if v.Sends[i].Error != nil {
			v.Sends[i].Error.Kind = "scribbled"
		}
	}
}

func testNotFound(t *testing.T, h *harness) {
	if v, err := h.store.Get(t.Context(), "nobody"); v != nil || err != verify.ErrNotFound { //nolint:errorlint // the very error
		t.Errorf("Get = %v, %v", v, err)
	}
	h.do(t, start("a", subjectKey("s")))
	never := func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		t.Error("an operation on nothing was run")
		return verify.Decision{}, nil
	}
	h.failing(t, verify.Op{ID: "nobody", App: "app", Decide: never}, verify.ErrNotFound)
	h.failing(t, verify.Op{ID: "a", App: "another", Decide: never}, verify.ErrNotFound)
	h.failing(t, verify.Op{ID: "a", Decide: never}, verify.ErrNotFound)
}

func testRecords(t *testing.T, h *harness) {
	key := subjectKey("s")
	born := h.clock()
	zoned := verification("a", key, born, 2)
	zoned.CreatedAt, zoned.ExpiresAt, zoned.ResendAfter = zoned.CreatedAt.In(elsewhere()), zoned.ExpiresAt.In(elsewhere()), zoned.ResendAfter.In(elsewhere())
	for i := range zoned.Sends {
		s := &zoned.Sends[i]
		s.CreatedAt, s.UpdatedAt, s.LeaseUntil = s.CreatedAt.In(elsewhere()), s.UpdatedAt.In(elsewhere()), s.LeaseUntil.In(elsewhere())
	}
	zonedSubject := subject(key, born, "a", "b")
	zonedSubject.FailedAt, zonedSubject.BlockedUntil = zonedSubject.FailedAt.In(elsewhere()), zonedSubject.BlockedUntil.In(elsewhere())
	for i := range zonedSubject.Pending {
		zonedSubject.Pending[i].ExpiresAt = zonedSubject.Pending[i].ExpiresAt.In(elsewhere())
	}
	h.do(t, verify.Op{Subject: key, Decide: decide(verify.Decision{Verification: zoned, Subject: zonedSubject})})
	for _, when := range []string{"at once", "after a restart"} {
		got, err := h.store.Get(t.Context(), "a")
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		same(t, when+", Get", got, verification("a", key, born, 2))
		op := h.look(t, "a")
		same(t, when+", the operation's verification", op.V, verification("a", key, born, 2))
		same(t, when+", the operation's subject", op.S, subject(key, born, "a", "b"))
		h.restart()
	}

	// A bare record, and one that is written a second time.
	bare := func() *verify.Verification {
		return &verify.Verification{ID: "bare", App: appOf("bare"), Subject: subjectKey("t"), Status: verify.StatusPending}
	}
	h.do(t, verify.Op{Subject: subjectKey("t"), Decide: decide(verify.Decision{Verification: bare()})})
	same(t, "a bare record", h.look(t, "bare"), seen{h.clock().UTC().Truncate(time.Microsecond), &verify.Subject{Key: subjectKey("t")}, bare()})
	h.do(t, verify.Op{ID: "a", App: appOf("a"), Decide: decide(verify.Decision{Verification: verification("a", key, born, 3)})})
	same(t, "a second writing", h.look(t, "a").V, verification("a", key, born, 3))
	same(t, "the subject of it", h.look(t, "a").S, subject(key, born, "a", "b"))
}

func testClock(t *testing.T, h *harness) {
	for range 3 {
		got := h.peek(t, verify.Op{Subject: subjectKey("s")}).Now
		same(t, "the time", got, h.clock().UTC().Truncate(time.Microsecond))
		h.pass(time.Hour + time.Nanosecond)
	}
}

func testNothingIsShared(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock()
	var v *verify.Verification
	var s *verify.Subject
	h.do(t, verify.Op{Subject: key, Decide: func(now time.Time, _ *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		v, s = verification("a", key, now, 1), subject(key, now, "a")
		return verify.Decision{Verification: v, Subject: s}, nil
	}})
	scribble(s, v)
	same(t, "what was decided", h.look(t, "a").V, verification("a", key, born, 1))
	got := h.look(t, "a")
	scribble(got.S, got.V)
	got = h.peek(t, verify.Op{Subject: key, Session: mac("session of a")})
	same(t, "what an operation on the id was handed", got.V, verification("a", key, born, 1))
	scribble(got.S, got.V)
	v, err := h.store.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what an operation on the subject was handed", v, verification("a", key, born, 1))
	scribble(nil, v)
	got = h.look(t, "a")
	same(t, "what Get returned", got.V, verification("a", key, born, 1))
	same(t, "the subject", got.S, subject(key, born, "a"))
}

func testSessions(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock()
	h.do(t, start("a", key))
	h.pass(time.Minute)
	h.do(t, start("b", key))
	for session, want := range map[string]*verify.Verification{
		"session of a": verification("a", key, born, 0),
		"session of b": verification("b", key, born.Add(time.Minute), 0),
		"another":      nil,
	} {
		got := h.peek(t, verify.Op{Subject: key, Session: mac("%s", session)})
		same(t, session, got.V, want)
		if n := len(got.S.Pending); n != 2 {
			t.Errorf("%s: %d pending", session, n)
		}
	}
	if got := h.peek(t, verify.Op{Subject: key}); got.V != nil {
		t.Error("a verification is joined without a session")
	}
	if got := h.peek(t, verify.Op{Subject: subjectKey("t"), Session: mac("session of a")}); got.V != nil {
		t.Error("a session joins a verification of another subject")
	}
	h.pass(life - time.Minute) // a's time is over, to the microsecond
	got := h.peek(t, verify.Op{Subject: key, Session: mac("session of a")})
	if got.V != nil || len(got.S.Pending) != 1 || got.S.Pending[0].ID != "b" {
		t.Errorf("after its time a is still pending: %+v", got.S.Pending)
	}
}
