package verify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

const testService = "VA1"

func joining(t testing.TB) JoinRequest {
	return JoinRequest{App: testApp, Service: testService, To: number(t, testNumber), Usage: sms.UsageSignIn}
}

func (b *bench) byNumber() Handle {
	return Handle{App: testApp, Service: testService, To: number(b.t, testNumber)}
}

func (b *bench) join(edit ...func(*JoinRequest)) Started {
	b.t.Helper()
	r := joining(b.t)
	for _, e := range edit {
		e(&r)
	}
	st, err := b.Join(b.t.Context(), r)
	if err != nil {
		b.t.Fatalf("join: %v", err)
	}
	return st
}

func (b *bench) checkAt(h Handle, code string) Checked {
	b.t.Helper()
	c, err := b.CheckAt(b.t.Context(), h, secret.New(code))
	if err != nil {
		b.t.Fatalf("check: %v", err)
	}
	return c
}

func customCode(code string) func(*JoinRequest) {
	return func(r *JoinRequest) { r.Code = secret.New(code) }
}

// TestByNumberStates holds the table of docs/states.md, cell by cell.
func TestByNumberStates(t *testing.T) {
	t.Parallel()
	columns, rows := stateTable(t, "by number")
	events := map[string]func(b *bench, v *Verification, code string) string{
		"start": func(b *bench, v *Verification, _ string) string {
			st := b.join()
			if joined := st.Verification.ID == v.ID; joined != st.Joined || !st.Sent {
				b.t.Fatalf("joined is %t, same id %t", st.Joined, joined)
			}
			if st.Joined {
				return "joined"
			}
			if found, _, err := b.FindAt(b.t.Context(), b.byNumber()); err != nil || found.ID != st.Verification.ID {
				b.t.Errorf("the number leads to %+v, %v", found, err)
			}
			return "new"
		},
		"check, right code": func(b *bench, _ *Verification, code string) string {
			c, err := b.CheckAt(b.t.Context(), b.byNumber(), secret.New(code))
			switch {
			case errors.Is(err, ErrNotFound):
				return "not found"
			case err != nil:
				b.t.Fatal(err)
			case c.Valid != c.Counted:
				b.t.Errorf("%+v", c)
			case c.Valid:
				return "valid"
			}
			return "invalid"
		},
		"read": func(b *bench, v *Verification, _ string) string {
			found, now, err := b.FindAt(b.t.Context(), b.byNumber())
			if errors.Is(err, ErrNotFound) {
				return "not found"
			}
			if err != nil || found.ID != v.ID || found.StatusAt(now) != b.get(v.ID).StatusAt(now) {
				b.t.Fatalf("read: %+v, %v", found, err)
			}
			return ""
		},
	}
	if len(columns) != len(events) || len(rows) != 5 {
		t.Fatalf("the table has %d columns and %d rows", len(columns), len(rows))
	}
	for _, row := range rows {
		for i, event := range columns {
			t.Run(row[0]+"/"+event, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				v := b.join().Verification
				code := b.sender.lastCode()
				h := &held{bench: b, v: v, code: code}
				switch Status(row[0]) {
				case StatusCanceled:
					if _, err := b.CancelAt(t.Context(), b.byNumber()); err != nil {
						t.Fatal(err)
					}
				default:
					h.bring(row[0])
				}
				answer := events[event](b, v, code)
				got := string(b.get(v.ID).StatusAt(b.clock.now()))
				if answer != "" {
					got += ": " + answer
				}
				if got != row[i+1] {
					t.Errorf("got %q, want %q", got, row[i+1])
				}
				// When its time is over the number leads nowhere.
				b.clock.advance(2 * b.policy.Life)
				if found, _, err := b.FindAt(t.Context(), b.byNumber()); !errors.Is(err, ErrNotFound) {
					t.Errorf("afterwards the number leads to %+v, %v", found, err)
				}
			})
		}
	}
}

// Several who start at once share one verification and one code.
func TestJoinAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := make(chan string, 5)
	var all sync.WaitGroup
	for range cap(ids) {
		all.Go(func() {
			st, err := b.Join(context.Background(), joining(t))
			if err != nil {
				t.Error(err)
				return
			}
			ids <- st.Verification.ID
		})
	}
	all.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d verifications", len(seen))
	}
}

// The sends are used up, whoever asked for them; to approve frees the number.
func TestJoinSends(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range b.policy.MaxSends {
		b.join()
		b.clock.advance(time.Second)
	}
	_, err := b.Join(t.Context(), joining(t))
	wantLimit(t, err, LimitResendCount, b.policy.Life-5*time.Second)
	if e, err := b.ApproveAt(t.Context(), b.byNumber()); err != nil || !e.Changed || e.Verification.Status != StatusApproved || e.Verification.Reason != ReasonCaller {
		t.Errorf("approve: %+v, %v", e, err)
	}
	if st := b.join(); st.Joined {
		t.Error("what was approved is joined")
	}
}

func TestJoinKeepsApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.join().Verification
	others := map[string]Started{
		"another service": b.join(func(r *JoinRequest) { r.Service = "VA2" }),
		"another app":     b.join(func(r *JoinRequest) { r.App = "rival" }),
		"another number":  b.join(func(r *JoinRequest) { r.To = number(t, "+12125550123") }),
		"a plain start":   b.start(),
		"a session":       b.start(session(testService)),
	}
	for what, st := range others {
		if st.Verification.ID == first.ID || st.Joined {
			t.Errorf("%s joins", what)
		}
	}
	for what, h := range map[string]Handle{
		"another service":     {App: testApp, Service: "VA2", ID: first.ID},
		"no service":          {App: testApp, ID: first.ID},
		"another app":         {App: "rival", Service: testService, ID: first.ID},
		"a number at nowhere": {App: testApp, To: first.To},
		"nothing":             {App: testApp, Service: testService},
		"a broken id":         {App: testApp, Service: testService, ID: "x"},
	} {
		if _, _, err := b.FindAt(t.Context(), h); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s finds it: %v", what, err)
		}
		if _, err := b.CheckAt(t.Context(), h, secret.New(b.sender.lastCode())); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s checks it: %v", what, err)
		}
		if _, err := b.CancelAt(t.Context(), h); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s cancels it: %v", what, err)
		}
		if _, err := b.ApproveAt(t.Context(), h); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s approves it: %v", what, err)
		}
	}
}

// A caller's code is in the text and nowhere else once that is gone, and is checked
// by its HMAC.
func TestCustomCode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const code = "Zebra47111"
	st := b.join(customCode(code))
	id := st.Verification.ID
	if body := b.sender.messages[0].Body.Reveal(); body != "Your code is "+code+"." {
		t.Errorf("the text is %q", body)
	}
	row, err := json.Marshal(b.get(id))
	if err != nil || strings.Contains(string(row), "Zebra") || b.get(id).Sealed != nil || !b.get(id).custom() {
		t.Errorf("what is kept: %s, %v", row, err)
	}
	if strings.Contains(b.logs.String(), "Zebra") {
		t.Error("the log has the code")
	}
	if c := b.checkAt(b.byNumber(), "zebra47111"); c.Valid || !c.Counted {
		t.Errorf("another code: %+v", c)
	}
	if _, err := b.Resend(t.Context(), ResendRequest{App: testApp, ID: id}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a resend without the code: %v", err)
	}
	_, err = b.Join(t.Context(), joining(t))
	wantInvalid(t, err)
	salt, mac := b.get(id).Salt, b.get(id).CodeMAC
	if again := b.join(customCode(code)); again.Verification.ID != id || again.Verification.Generation != 1 {
		t.Errorf("the same code again: %+v", again.Verification)
	}
	if v := b.get(id); v.Salt == salt || v.CodeMAC == mac {
		t.Error("what was sealed anew was sealed with the same salt")
	}
	if again := b.join(customCode("0815ab")); again.Verification.Generation != 2 {
		t.Errorf("another code: %+v", again.Verification)
	}
	if c := b.checkAt(b.byNumber(), code); c.Valid {
		t.Error("the code that was replaced is valid")
	}
	// With the server's key gone nobody can tell whether a code is right.
	former := b.keys
	b.keys = newKeys(t, serverKey("k2", 50), serverKey("k1", 0))
	if c := b.checkAt(Handle{App: testApp, Service: testService, ID: id}, "wrong1"); c.Valid || !c.Counted {
		t.Errorf("with a new key beside the old one: %+v", c)
	}
	b.keys = former
	if c := b.checkAt(b.byNumber(), "08-15 ab"); !c.Valid {
		t.Errorf("the right code: %+v", c)
	}
	for _, bad := range []string{"abc", "12345", "abcdefghijk", "abc d", "ab-cd", "äöüß", "1234\x00"} {
		r := joining(t)
		r.Code = secret.New(bad)
		_, err := b.Join(t.Context(), r)
		wantInvalid(t, err)
	}
}

// The service's own code and a caller's take each other's place.
func TestCustomCodeAfterOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.join().Verification.ID
	ours := b.sender.lastCode()
	if st := b.join(customCode("KAT4711")); st.Verification.ID != id || st.Verification.Generation != 2 {
		t.Errorf("%+v", st.Verification)
	}
	if c := b.checkAt(b.byNumber(), ours); c.Valid {
		t.Error("our code is valid after the caller's took its place")
	}
	if c := b.checkAt(b.byNumber(), "KAT4711"); !c.Valid {
		t.Error("the caller's code is not valid")
	}
}

// While nobody knows what became of a text, no other one may say something else: it
// is looked for by what it says.
func TestJoinWhileTheFateIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	called, release := make(chan struct{}), make(chan struct{})
	b.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
		close(called)
		<-release
		return connector.Receipt{ProviderID: "SM1", Status: connector.StatusAccepted}, nil
	})
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan Started, 1)
	go func() {
		r := joining(t)
		r.Code = secret.New("KAT4711")
		st, err := b.Join(ctx, r)
		if err != nil {
			t.Error(err)
		}
		done <- st
	}()
	<-called
	hangUp()
	id := (<-done).Verification.ID
	for what, edit := range map[string]func(*JoinRequest){
		"another code":     customCode("HUND0815"),
		"another language": func(r *JoinRequest) { r.Code, r.Locale = secret.New("KAT4711"), "de" },
		"another name":     func(r *JoinRequest) { r.Code, r.Name = secret.New("KAT4711"), "shop" },
		"an app's hash":    func(r *JoinRequest) { r.Code, r.AppHash = secret.New("KAT4711"), "FA+9qCX9VSu" },
	} {
		r := joining(t)
		edit(&r)
		if _, err := b.Join(t.Context(), r); err == nil {
			t.Errorf("%s is taken", what)
		} else {
			wantLimit(t, err, LimitUnsettled, holdRest)
		}
	}
	// The same words may wait for their turn.
	b.sender.answer(nil)
	if st := b.join(customCode("KAT4711")); st.Verification.ID != id || !st.Verification.Sends[1].parked() {
		t.Errorf("%+v", st.Verification)
	}
	close(release)
	b.landed()
	b.clock.advance(holdRest)
	if _, err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.landed()
	if n := b.sender.count(); n != 2 || b.sender.messages[1].Body.Reveal() != "Your code is KAT4711." {
		t.Errorf("%d texts", n)
	}
	if v := b.get(id); v.Sealed != nil {
		t.Error("the code is still kept")
	}
}

func TestJoinCounters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	of := func(what string) func(*JoinRequest) {
		return func(r *JoinRequest) {
			r.Counters = []Counter{{Limit: Limit{Name: "per_user", Burst: 2, Every: time.Minute}, Of: what}}
		}
	}
	b.join(of("anna"))
	b.join(of("anna"))
	r := joining(t)
	of("anna")(&r)
	_, err := b.Join(t.Context(), r)
	wantLimit(t, err, "per_user", time.Minute)
	if got := len(b.get(b.join(of("bert")).Verification.ID).Sends); got != 3 {
		t.Errorf("%d texts; the one that was refused counts", got)
	}
}

func TestListByTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []string
	for i := range 30 {
		st := b.join(func(r *JoinRequest) { r.Service = "VA" + string(rune('a'+i)) })
		ids = append([]string{st.Verification.ID}, ids...)
		if i%3 == 0 {
			b.start() // begun by nobody's number
		}
		b.clock.advance(time.Minute)
	}
	b.join(func(r *JoinRequest) { r.App = "rival" })
	list := func(r ListRequest) []string {
		t.Helper()
		r.App = testApp
		var got []string
		for rounds := 0; rounds < 100; rounds++ {
			l, err := b.List(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range l.Verifications {
				got = append(got, v.ID)
			}
			if r.Below = l.Below; r.Below == "" {
				return got
			}
		}
		t.Fatal("the list has no end")
		return nil
	}
	same := func(what string, got, want []string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %d, want %d:\n%q\n%q", what, len(got), len(want), got, want)
		}
	}
	same("all", list(ListRequest{Found: 100, Read: 1000}), ids)
	same("page by page", list(ListRequest{Found: 7, Read: 1000}), ids)
	same("few rows at once", list(ListRequest{Found: 7, Read: 3}), ids)
	began := b.get(ids[29]).CreatedAt
	same("a time", list(ListRequest{Found: 9, Read: 50, From: began.Add(10 * time.Minute), Before: began.Add(20 * time.Minute)}), ids[10:20])
	same("one", list(ListRequest{Found: 9, Read: 50, Match: func(v *Verification) bool { return v.Service == "VAc" }}), ids[27:28])
}

// wantInvalid is for a code that the caller did not make well, or did not bring.
func wantInvalid(t testing.TB, err error) {
	t.Helper()
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Field != "code" || bad.Code != "payload_invalid" {
		t.Errorf("got %v, want an invalid code", err)
	}
}

// A test number has its fixed code by number too, or the caller's, and no text.
func TestJoinTestNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{testApp: {TestNumbers: []TestNumber{{Number: number(t, testNumber), Code: "246810", Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}}}}
	})
	if st := b.join(); !st.Verification.Test || b.sender.count() != 0 {
		t.Errorf("%+v, %d texts", st, b.sender.count())
	}
	if c := b.checkAt(b.byNumber(), "246810"); !c.Valid {
		t.Errorf("the fixed code: %+v", c)
	}
	b.join(customCode("KAT4711"))
	if c := b.checkAt(b.byNumber(), "246810"); c.Valid || !c.Counted {
		t.Errorf("the fixed code, where the caller made another: %+v", c)
	}
	if c := b.checkAt(b.byNumber(), "KAT4711"); !c.Valid || b.sender.count() != 0 {
		t.Errorf("the caller's code: %+v, %d texts", c, b.sender.count())
	}
}

// Another connector takes a text over, with all that it says.
func TestJoinMovesOn(t *testing.T) {
	t.Parallel()
	spare := &fakeSender{}
	b := newBench(t, func(o *Options) {
		o.Connectors = append(o.Connectors, Connector{Name: "spare", Sender: spare, Templates: o.Connectors[0].Templates})
	})
	b.sender.fail(connector.OutcomeRefused, connector.KindAuth)
	st := b.join(customCode("KAT4711"), func(r *JoinRequest) { r.Locale, r.AppHash = "de", "FA+9qCX9VSu" })
	if n := len(st.Verification.Sends); n != 2 || spare.count() != 1 || spare.messages[0].Body.Reveal() != "Ihr Code lautet KAT4711.\nFA+9qCX9VSu" {
		t.Errorf("%d sends, %d texts through the other connector", n, spare.count())
	}
	if v := b.get(st.Verification.ID); v.Sealed != nil {
		t.Error("the code is still kept")
	}
	if c := b.checkAt(b.byNumber(), "KAT4711"); !c.Valid {
		t.Errorf("%+v", c)
	}
}
