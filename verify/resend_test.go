package verify

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

func TestResendWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	expires := v.ExpiresAt
	for i, wait := range []time.Duration{30 * time.Second, 40 * time.Second, time.Minute, 90 * time.Second} {
		_, err := b.resend(v.ID)
		wantLimit(t, err, LimitResendWait, wait)
		b.clock.advance(wait - time.Microsecond)
		_, err = b.resend(v.ID)
		wantLimit(t, err, LimitResendWait, time.Microsecond)
		b.clock.advance(time.Microsecond)
		st, err := b.resend(v.ID)
		if err != nil || !st.Sent || st.Joined || len(st.Verification.Sends) != i+2 {
			t.Fatalf("resend %d: %+v, %v", i+1, st, err)
		}
		if b.sender.lastCode() != code || !st.Verification.ExpiresAt.Equal(expires) || st.Verification.Generation != 1 {
			t.Errorf("resend %d: another code or another expiry", i+1)
		}
		v = st.Verification
	}
	if !v.ResendAfter.Equal(expires) {
		t.Errorf("with no sends left, the next may follow at %s", v.ResendAfter)
	}
	b.clock.advance(100 * time.Second)
	_, err := b.resend(v.ID)
	wantLimit(t, err, LimitResendCount, expires.Sub(b.clock.now()))
	b.clock.advance(expires.Sub(b.clock.now()))
	if _, err := b.resend(v.ID); !errors.Is(err, ErrEnded) {
		t.Errorf("after its time: %v, want ErrEnded", err)
	}
}

func TestResendNearTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start(session("s")).Verification, b.sender.lastCode()
	b.check(v.ID, wrong(code))

	b.clock.advance(9 * time.Minute) // a minute is left: the same code
	if st, err := b.resend(v.ID); err != nil || b.sender.lastCode() != code || st.Verification.Generation != 1 {
		t.Fatalf("with a minute left: %+v, %v", st, err)
	}
	b.clock.advance(40 * time.Second)
	st, err := b.resend(v.ID)
	if err != nil {
		t.Fatal(err)
	}
	fresh, next := st.Verification, b.sender.lastCode()
	if next == code || fresh.Generation != 2 || !fresh.ExpiresAt.Equal(b.clock.now().Add(b.policy.Life)) || fresh.Checks != 1 {
		t.Errorf("with 20 s left: %+v", fresh)
	}
	if b.check(v.ID, code).Valid {
		t.Error("the old code lives")
	}
	b.clock.advance(9 * time.Minute) // far beyond the first expiry, and it can still be joined
	if again := b.start(session("s")); !again.Joined {
		t.Error("its new life is not known to the subject")
	}
	if !b.check(v.ID, next).Valid {
		t.Error("the new code does not check")
	}
}

func TestResendErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.start().Verification
	b.clock.advance(time.Minute)
	for name, r := range map[string]ResendRequest{
		"no such id":  {App: testApp, ID: "00000000000000000000000000"},
		"not an id":   {App: testApp, ID: "../../etc"},
		"another app": {App: "other", ID: v.ID},
	} {
		if _, err := b.Resend(t.Context(), r); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	var invalid *InvalidError
	if _, err := b.Resend(t.Context(), ResendRequest{App: testApp, ID: v.ID, Channel: "call"}); !errors.As(err, &invalid) {
		t.Errorf("another channel: %v", err)
	}
	if b.sender.count() != 1 {
		t.Errorf("%d texts, want 1", b.sender.count())
	}
}

func TestResendIsCharged(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Limits.Number = Limit{"number", 2, time.Hour}
		o.Policy.Limits.IP = Limit{"ip", 2, time.Hour}
	})
	v := b.start().Verification
	b.clock.advance(time.Minute)
	if _, err := b.Resend(t.Context(), ResendRequest{App: testApp, ID: v.ID, ClientIP: testIP}); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Minute)
	_, err := b.resend(v.ID)
	wantLimit(t, err, "number", 58*time.Minute)
	other := b.start(func(r *StartRequest) { r.To, r.App = number(t, "+14155550199"), "x"; r.ClientIP = testIP.Next() })
	if other.Verification == nil {
		t.Error("nothing started")
	}
	r := request(t)
	r.To = number(t, "+14155550198")
	_, err = b.Start(t.Context(), r)
	wantLimit(t, err, "ip", 58*time.Minute)
	if got := b.get(v.ID); len(got.Sends) != 2 {
		t.Errorf("a resend that was refused left %d sends", len(got.Sends))
	}
}

// A provider that never takes a text costs no waits and no sends, up to a bound.
func TestFreeSends(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindUnclassified)
	v := b.start().Verification
	for i := range b.policy.MaxSends + freeSends - 1 {
		if _, err := b.resend(v.ID); err != nil {
			t.Fatalf("resend %d: %v", i+1, err)
		}
	}
	_, err := b.resend(v.ID)
	wantLimit(t, err, LimitResendCount, b.policy.Life)
	if b.sender.count() != 10 {
		t.Errorf("%d requests, want 10", b.sender.count())
	}
}

// A resend without a client's address is charged to the start's; one with an
// address to that one.
func TestResendIsChargedToAnAddress(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*Limits) *Limit{
		"app_ip":       func(l *Limits) *Limit { return &l.AppIP },
		"app_ip_daily": func(l *Limits) *Limit { return &l.AppIPDaily },
		"ip":           func(l *Limits) *Limit { return &l.IP },
	} {
		b := newBench(t, func(o *Options) { *limit(&o.Policy.Limits) = Limit{Name: name, Burst: 2} })
		v := b.start().Verification
		b.clock.advance(time.Minute)
		if _, err := b.resend(v.ID); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.clock.advance(time.Minute)
		_, err := b.resend(v.ID)
		wantLimit(t, err, name, 12*time.Hour-2*time.Minute)
		_, err = b.Start(t.Context(), request(t))
		wantLimit(t, err, name, 12*time.Hour-2*time.Minute)
		if _, err := b.Resend(t.Context(), ResendRequest{App: testApp, ID: v.ID, ClientIP: netip.MustParseAddr("203.0.113.8")}); err != nil {
			t.Errorf("%s: another address: %v", name, err)
		}
		if strings.Contains(b.store.dump(), testIP.String()) {
			t.Errorf("%s: the address itself is kept", name)
		}
	}
}
