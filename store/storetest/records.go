package storetest

import (
	"fmt"
	"reflect"
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

// verification builds a record at its rev-th revision; from the first on every
// field is set but for those that end it (ended). It is built anew each time, so
// that nothing can be shared by accident. Its times are in UTC, as a store must
// return them.
func verification(id string, subject verify.SubjectKey, created time.Time, rev int) *verify.Verification {
	created = created.UTC().Truncate(time.Microsecond)
	v := &verify.Verification{
		ID: id, App: appOf(id), Subject: subject, To: number(len(id)), Usage: usage, Locale: "pt-BR",
		Channel: verify.ChannelSMS, Status: verify.StatusPending, Test: rev%2 == 1, Domain: "example.com",
		Session: mac("session of %s", id), Network: mac("network of %s", id), Salt: verify.Salt{1, 2, 3, 255}, KeyID: "k1", Generation: rev, CodeLength: 6,
		Service: "VA1", Name: "Åsa & co", AppHash: "FA+9qCX9VSu", CodeMAC: mac("code of %s", id),
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
		if n == 0 {
			continue
		}
		v.Supplied, v.Sealed = true, fmt.Appendf(nil, "sealed\x00\xff%d", n)
		s := &v.Sends[n]
		s.Status, s.LeaseUntil = connector.StatusSending, time.Time{} // parked: what is sealed stays
		s.NextAt, s.Tries, s.PostedAt, s.LookedAt = at.Add(time.Hour), n, at.Add(time.Second), at.Add(2*time.Second)
		s.Guess, s.Feedback = true, verify.FeedbackOwed
		s.History = []verify.Heard{{Status: connector.StatusSending, At: at}, {Status: connector.StatusSent, At: at.Add(time.Minute)}}
	}
	return v
}

// ended ends a record.
func ended(v *verify.Verification) *verify.Verification {
	v.Status, v.Reason, v.EndedAt = verify.StatusCanceled, verify.ReasonCaller, v.CreatedAt.Add(time.Minute)
	return v
}

// fields hands every exported field of a record to f, and what pointers and
// slices lead to, under the same name for all of a slice.
func fields(name string, v reflect.Value, f func(name string, v reflect.Value)) {
	f(name, v)
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		fields(name, v.Elem(), f)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			fields(name, v.Index(i), f)
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() && v.Type() != reflect.TypeFor[phone.Number]():
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				fields(name+"."+field.Name, v.Field(i), f)
			}
		}
	}
}

// abroad moves every time of a record to another zone, and off the microsecond.
func abroad[T any](record *T) *T {
	fields("", reflect.ValueOf(record), func(_ string, v reflect.Value) {
		if at, ok := v.Interface().(time.Time); ok && !at.IsZero() {
			v.Set(reflect.ValueOf(at.Add(999 * time.Nanosecond).In(elsewhere())))
		}
	})
	return record
}

// allSet fails for each field that is zero throughout: one that is added to the
// records shall be added to the suite.
func allSet(t *testing.T, records ...any) {
	t.Helper()
	set := map[string]bool{}
	for _, r := range records {
		fields(reflect.TypeOf(r).String(), reflect.ValueOf(r), func(name string, v reflect.Value) { set[name] = set[name] || !v.IsZero() })
	}
	for name, ok := range set {
		if !ok {
			t.Errorf("the suite sets no %s", name)
		}
	}
}

// subject builds a record with every field set.
func subject(key verify.SubjectKey, now time.Time, ids ...string) *verify.Subject {
	now = now.UTC().Truncate(time.Microsecond)
	s := &verify.Subject{Key: key, Failures: 3, FailedAt: now, BlockedUntil: now.Add(time.Minute)}
	for _, id := range ids {
		s.Pending = append(s.Pending, verify.Pending{ID: id, Session: mac("session of %s", id), ExpiresAt: now.Add(life)})
		s.Held = append(s.Held, verify.Hold{Send: id + ".1", Connector: "twilio", Until: now.Add(life / 2), Sending: true})
		s.Taken = append(s.Taken, verify.Taken{Send: id + ".2", ProviderID: "SM1", At: now})
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
		for i := range s.Held {
			s.Held[i].Connector = "scribbled"
		}
		for i := range s.Taken {
			s.Taken[i].ProviderID = "scribbled"
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
	copy(v.Sealed, "scribbled")
	for i := range v.Sends {
		v.Sends[i].ProviderID = "scribbled"
		v.Sends[i].NextAt = v.CreatedAt.Add(-time.Hour)
		for n := range v.Sends[i].History {
			v.Sends[i].History[n].Status = "scribbled"
		}
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
	full := func() *verify.Verification { return ended(verification("a", key, born, 3)) }
	allSet(t, full(), subject(key, born, "a"))
	h.do(t, verify.Op{Subject: key, Decide: decide(verify.Decision{Verification: abroad(full()), Subject: abroad(subject(key, born, "a", "b"))})})
	for _, when := range []string{"at once", "after a restart"} {
		got, err := h.store.Get(t.Context(), "a")
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		same(t, when+", Get", got, full())
		op := h.look(t, "a")
		same(t, when+", the operation's verification", op.V, full())
		same(t, when+", the operation's subject", op.S, subject(key, born, "a", "b"))
		h.restart()
	}

	// A bare record, and one that is written a second time.
	bare := func() *verify.Verification {
		return &verify.Verification{ID: "bare", App: appOf("bare"), Subject: subjectKey("t"), Status: verify.StatusPending}
	}
	h.do(t, verify.Op{Subject: subjectKey("t"), Decide: decide(verify.Decision{Verification: bare()})})
	same(t, "a bare record", h.look(t, "bare"), seen{h.clock().UTC().Truncate(time.Microsecond), &verify.Subject{Key: subjectKey("t")}, bare()})
	h.do(t, verify.Op{ID: "a", App: appOf("a"), Decide: decide(verify.Decision{Verification: verification("a", key, born, 2)})})
	same(t, "a second writing", h.look(t, "a").V, verification("a", key, born, 2))
	same(t, "the subject of it", h.look(t, "a").S, subject(key, born, "a", "b"))
}

func testAnyApp(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock()
	h.do(t, start("a", key))
	for _, app := range []string{"", "another", appOf("a")} {
		got := h.peek(t, verify.Op{ID: "a", App: app, AnyApp: true})
		same(t, "any app's verification", got.V, verification("a", key, born, 0))
		if len(got.S.Pending) != 1 || got.S.Key != key {
			t.Errorf("its subject: %+v", got.S)
		}
	}
	h.failing(t, verify.Op{ID: "nobody", AnyApp: true, Decide: decide(verify.Decision{})}, verify.ErrNotFound)
	got := h.do(t, verify.Op{ID: "a", AnyApp: true, Decide: decide(verify.Decision{Result: "done", Verification: verification("a", key, born, 1)})})
	if got != "done" {
		t.Errorf("Do = %v", got)
	}
	same(t, "written for any app", h.look(t, "a").V, verification("a", key, born, 1)) // it is its app's as before
	h.failing(t, verify.Op{ID: "a", App: "another", Decide: decide(verify.Decision{})}, verify.ErrNotFound)
}

// testFormer lets one operation write two verifications: the one at hand and
// the one that takes its place.
func testFormer(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock()
	h.do(t, start("a", key))
	replace := func(err error) verify.Op {
		return verify.Op{Subject: key, Session: mac("session of a"), Decide: func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, _ := start("b", key).Decide(now, s, nil)
			d.Former = ended(v)
			owe(d.Former, now)
			return d, err
		}}
	}
	h.failing(t, replace(errDecide), errDecide)
	same(t, "after an error", h.look(t, "a").V, verification("a", key, born, 0))
	h.gone(t, "b")
	h.do(t, replace(nil))
	want := ended(verification("a", key, born, 0))
	owe(want, h.clock())
	for range 2 {
		same(t, "the former", h.look(t, "a").V, want.Clone())
		same(t, "the new one", h.look(t, "b").V, verification("b", key, born, 0))
		h.due(t, 10, "a")
		h.restart()
	}
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
	h.do(t, verify.Op{Subject: key, Decide: func(now time.Time, _ *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Verification: verification("a", key, now, 1), Subject: subject(key, now, "a")}, nil
	}})
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
