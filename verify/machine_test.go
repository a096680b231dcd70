package verify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// The machine drives service and model side by side with calls in any order.

func wantWait(t *rapid.T, what string, err error, wait time.Duration) {
	var l *LimitError
	if !errors.As(err, &l) || l.RetryAfter != wait {
		got := time.Duration(-1)
		if l != nil {
			got = l.RetryAfter
		}
		t.Fatalf("%s: got %v after %s, want a limit for %s", what, err, got, wait)
	}
}

// same compares what a caller is shown with the model.
func (m *model) same(t *rapid.T, what string, got *Verification, v *modelVerification) {
	if got.StatusAt(m.now) != v.at(m.now) || got.Checks != v.checks || !got.ExpiresAt.Equal(v.expires) ||
		len(got.Sends) != len(v.sends) || got.Generation != v.generation {
		t.Fatalf("%s: got %s with %d checks, %d sends, generation %d, until %s; want %s, %d, %d, %d, %s", what,
			got.StatusAt(m.now), got.Checks, len(got.Sends), got.Generation, got.ExpiresAt,
			v.at(m.now), v.checks, len(v.sends), v.generation, v.expires)
	}
	if got.StatusAt(m.now) == StatusPending && !got.ResendAfter.Equal(v.next) {
		t.Fatalf("%s: resend after %s, want %s", what, got.ResendAfter, v.next)
	}
}

// sent holds an error against the provider's answer, and learns the code.
func (m *model) sent(t *rapid.T, what string, st Started, err error, v *modelVerification) {
	var refused *RefusedError
	if (m.outcome == connector.OutcomeRefused) != errors.As(err, &refused) || err != nil && refused == nil {
		t.Fatalf("%s: the provider answers %q, the caller gets %v", what, m.outcome, err)
	}
	if st.Unknown != (m.outcome == connector.OutcomeMaybe) || !st.Sent {
		t.Fatalf("%s: the provider answers %q, the caller gets %+v", what, m.outcome, st)
	}
	code := m.b.sender.lastCode()
	if known := v.codes[v.generation-1]; known != "" && known != code {
		t.Fatalf("%s: a resend has another code", what)
	}
	v.codes[v.generation-1] = code
}

func (m *model) start(t *rapid.T) {
	number := rapid.SampledFrom([]string{"+14155552671", "+12125550123"}).Draw(t, "number")
	to, err := phone.Parse(number)
	if err != nil {
		t.Fatal(err)
	}
	sess := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "session")
	ip := rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2"}).Draw(t, "ip")
	m.outcome = drawOutcome(t)
	before := m.b.sender.count()
	st, err := m.b.Start(context.Background(), StartRequest{
		App: testApp, To: to, Usage: "SignIn", Session: sess, ClientIP: netip.MustParseAddr(ip),
	})
	s, keys := m.subject(number), m.limits(number, ip)
	if wait := s.until.Sub(m.now); wait > 0 {
		wantWait(t, "start while blocked", err, wait)
		return
	}
	v := m.find(number, sess)
	switch {
	case v != nil && (m.now.Before(v.next) || !m.mayResend(v)):
		if err != nil || !st.Joined || st.Sent || m.b.sender.count() != before {
			t.Fatalf("join: %+v, %v", st, err)
		}
		m.same(t, "join", st.Verification, v)
		return
	default:
		if wait := m.take(keys); wait > 0 {
			wantWait(t, "start", err, wait)
			return
		}
	}
	if st.Verification == nil || st.Joined != (v != nil) {
		t.Fatalf("start: %+v, %v", st, err)
	}
	if v != nil {
		m.again(v, keys)
	} else {
		v = &modelVerification{
			id: st.Verification.ID, number: number, session: sess, ip: ip, status: StatusPending,
			expires: m.now.Add(m.p.Life), generation: 1, codes: []string{""},
		}
		m.list = append(m.list, v)
		m.text(v, keys)
	}
	m.sent(t, "start", st, err, v)
	m.same(t, "start", st.Verification, v)
	if m.b.sender.count() != before+1 {
		t.Fatalf("start: %d texts", m.b.sender.count()-before)
	}
}

func (m *model) pick(t *rapid.T) *modelVerification {
	if len(m.list) == 0 {
		t.Skip("nothing has been started")
	}
	// The newest are the interesting ones.
	return m.list[len(m.list)-1-rapid.IntRange(0, min(len(m.list), 4)-1).Draw(t, "which")]
}

func (m *model) resend(t *rapid.T) {
	v := m.pick(t)
	m.outcome = drawOutcome(t)
	st, err := m.b.Resend(context.Background(), ResendRequest{App: testApp, ID: v.id})
	keys := m.limits(v.number, v.ip)
	switch blocked := m.subject(v.number).until.Sub(m.now); {
	case v.at(m.now) != StatusPending:
		if !errors.Is(err, ErrEnded) {
			t.Fatalf("resend of one that is %s: %v", v.at(m.now), err)
		}
		return
	case blocked > 0:
		wantWait(t, "resend while blocked", err, blocked)
		return
	case !m.mayResend(v):
		wantWait(t, "resend without sends", err, v.expires.Sub(m.now))
		return
	case m.now.Before(v.next):
		wantWait(t, "resend before its time", err, v.next.Sub(m.now))
		return
	}
	if wait := m.take(keys); wait > 0 {
		wantWait(t, "resend", err, wait)
		return
	}
	m.again(v, keys)
	m.sent(t, "resend", st, err, v)
	m.same(t, "resend", st.Verification, v)
}

func (m *model) check(t *rapid.T) {
	v := m.pick(t)
	code := v.codes[v.generation-1]
	typed := map[string]string{
		"right": code, "wrong": wrong(code), "old": v.codes[0], "none": "", "spaced": " " + code + "\n",
	}[rapid.SampledFrom([]string{"right", "wrong", "wrong", "wrong", "old", "none", "spaced"}).Draw(t, "typed")]
	right := typed == code || typed == " "+code+"\n"
	got, err := m.b.Check(context.Background(), CheckRequest{App: testApp, ID: v.id, Code: secret.New(typed)})
	s := m.subject(v.number)
	if v.at(m.now) == StatusPending {
		if wait := s.until.Sub(m.now); wait > 0 {
			wantWait(t, "check while blocked", err, wait)
			return
		}
		if !v.out() {
			if err != nil || got.Valid {
				t.Fatalf("check of a code that nobody has: %+v, %v", got, err)
			}
			m.same(t, "check", got.Verification, v)
			return
		}
		v.checks++
		switch {
		case right:
			v.status = StatusApproved
			*s = modelSubject{}
		default:
			s.failures++
			s.failed = m.now
			s.wrongs = append(s.wrongs, m.now)
			if n := s.failures - m.p.FailuresFree; n > 0 {
				s.until = m.now.Add(m.p.FailureWaits[min(n, len(m.p.FailureWaits))-1])
			}
			if v.checks == m.p.MaxChecks {
				v.status = StatusExhausted
			}
		}
	} else {
		right = false
	}
	if err != nil || got.Valid != right {
		t.Fatalf("check of %q: %+v, %v, want %t", typed, got, err, right)
	}
	m.same(t, "check", got.Verification, v)
}

func (m *model) cancel(t *rapid.T) {
	v := m.pick(t)
	got, _, err := m.b.Cancel(context.Background(), testApp, v.id)
	if v.at(m.now) == StatusPending {
		v.status = StatusCanceled
	}
	if err != nil {
		t.Fatal(err)
	}
	m.same(t, "cancel", got, v)
}

func (m *model) wait(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4*time.Minute + 30*time.Second, time.Hour, 13 * time.Hour,
	}).Draw(t, "for")
	if rapid.Bool().Draw(t, "to the next moment that counts") && len(m.list) > 0 {
		v := m.pick(t)
		for _, at := range []time.Time{v.next, v.expires, m.subject(v.number).until} {
			if left := at.Sub(m.now); left > 0 {
				d = min(d, left)
			}
		}
	}
	m.b.clock.advance(d)
	m.now = m.now.Add(d)
}

// everything holds all records against the model, and the budgets that the
// policy promises, whatever the model says.
func (m *model) everything(t *rapid.T) {
	for _, v := range m.list[max(0, len(m.list)-3):] {
		got, _, err := m.b.Get(context.Background(), testApp, v.id)
		if err != nil {
			t.Fatal(err)
		}
		m.same(t, "get", got, v)
		if got.Checks > m.p.MaxChecks {
			t.Fatalf("%d guesses on one verification", got.Checks)
		}
	}
	for number, s := range m.subjects {
		for i := m.p.FailuresFree + 1; i < len(s.wrongs); i++ {
			wait := m.p.FailureWaits[min(i-m.p.FailuresFree, len(m.p.FailureWaits))-1]
			if gap := s.wrongs[i].Sub(s.wrongs[i-1]); gap < wait {
				t.Fatalf("%s: guess %d in a row came %s after the one before it, want %s", number, i+1, gap, wait)
			}
		}
	}
}

func drawOutcome(t *rapid.T) connector.Outcome {
	return rapid.SampledFrom([]connector.Outcome{
		"", "", "", "", connector.OutcomeMaybe, connector.OutcomeRefused, connector.OutcomeNotProcessed,
	}).Draw(t, "provider")
}

func TestModel(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("limits=%t", full), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { runModel(t, rt, full) })
		})
	}
}

func runModel(t *testing.T, rt *rapid.T, limits bool) {
	b := newBench(t, func(o *Options) {
		p := &o.Policy
		p.Life, p.FreshBelow, p.MaxChecks, p.MaxSends = 5*time.Minute, time.Minute, 3, 3
		p.ResendWaits = []time.Duration{30 * time.Second, time.Minute}
		p.FailuresFree, p.FailureWaits = 4, []time.Duration{30 * time.Second, 2 * time.Minute}
		o.Log = nil
		if limits {
			p.Limits = Limits{
				AppNumber: Limit{"app_number", 4, time.Minute}, NumberDaily: Limit{Name: "number_daily", Burst: 12},
				All: Limit{"all", 6, 7 * time.Second}, IP: Limit{"ip", 5, 20 * time.Second},
			}
		} else {
			// Bounds that are never reached.
			far := Limit{Burst: 1000}
			p.Limits = Limits{AppNumber: far, NumberDaily: far, All: far, IP: far}
			for i, l := range []*Limit{&p.Limits.AppNumber, &p.Limits.NumberDaily, &p.Limits.All, &p.Limits.IP} {
				l.Name = fmt.Sprint(i)
			}
		}
	})
	m := &model{b: b, p: &b.policy, now: b.clock.now(), subjects: map[string]*modelSubject{}, buckets: map[string]*bucket{}}
	b.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
		if m.outcome == "" {
			return connector.Receipt{ProviderID: "SM", Status: connector.StatusAccepted}, nil
		}
		return connector.Receipt{}, &connector.Error{Kind: connector.KindUnclassified, Outcome: m.outcome}
	})
	rt.Repeat(map[string]func(*rapid.T){
		"":        m.everything,
		"start":   m.start,
		"start2":  m.start,
		"resend":  m.resend,
		"check":   m.check,
		"check2":  m.check,
		"cancel":  m.cancel,
		"approve": m.approve,
		"join":    m.join,
		"join2":   m.join,
		"wait":    m.wait,
	})
}
