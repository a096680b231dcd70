package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

func TestStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	meta := map[string]string{"order": "7"}
	st := b.start(func(r *StartRequest) { r.Metadata = meta })
	v, now := st.Verification, b.clock.now()
	if !st.Sent || st.Unknown || st.Joined || st.Replayed || !st.Now.Equal(now) {
		t.Errorf("started: %+v", st)
	}
	if v.Status != StatusPending || v.AttemptsLeft() != 5 || v.MaxSends != 5 || v.KeyID != "k1" || v.Test ||
		!v.ExpiresAt.Equal(now.Add(10*time.Minute)) || !v.ResendAfter.Equal(now.Add(30*time.Second)) || !validID(v.ID) {
		t.Errorf("the verification is %+v", v)
	}
	want := []Send{{
		ID: v.ID + ".1", Channel: ChannelSMS, Connector: "main", Status: connector.StatusAccepted, ProviderID: "SM1",
		Generation: 1, Segments: 1, CreatedAt: now, UpdatedAt: now, Epoch: 1,
	}}
	if diff := cmp.Diff(want, v.Sends); diff != "" {
		t.Error(diff)
	}
	got := b.get(v.ID)
	if diff := cmp.Diff(got, v, cmp.Comparer(phone.Number.Equal)); diff != "" {
		t.Errorf("what was returned is not what is kept: %s", diff)
	}
	for _, line := range []string{"started shop SignIn US", "send main US accepted "} {
		if !b.counts.has(line) {
			t.Errorf("not observed: %q in %q", line, b.counts.lines)
		}
	}
	// The lease, while the text was on its way, was longer than its deadline.
	if lease := 2*b.policy.SendTimeout + LeaseSlack; lease != 40*time.Second {
		t.Errorf("the lease is %s", lease)
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.start(session("browser"))
	id, code := first.Verification.ID, b.sender.lastCode()

	early := b.start(session("browser"))
	if !early.Joined || early.Sent || early.Unknown || early.Verification.ID != id || b.sender.count() != 1 {
		t.Errorf("before its time: %+v", early)
	}
	for name, edit := range map[string]func(*StartRequest){
		"no session":      func(*StartRequest) {},
		"another session": session("other"),
		"another usage":   func(r *StartRequest) { r.Session, r.Usage = "browser", sms.UsageRegister },
		"another number":  func(r *StartRequest) { r.Session, r.To = "browser", number(t, "+14155552672") },
		"another app":     func(r *StartRequest) { r.Session, r.App = "browser", "other" },
	} {
		if st := b.start(edit); st.Joined || st.Verification.ID == id {
			t.Errorf("%s: joined", name)
		}
	}
	b.clock.advance(30 * time.Second)
	late := b.start(session("browser"))
	if !late.Joined || !late.Sent || late.Verification.ID != id || len(late.Verification.Sends) != 2 || b.sender.lastCode() != code {
		t.Errorf("at its time: %+v", late)
	}
	for range 3 {
		b.clock.advance(90 * time.Second)
		b.start(session("browser"))
	}
	b.clock.advance(90 * time.Second)
	if st := b.start(session("browser")); !st.Joined || st.Sent || len(st.Verification.Sends) != 5 {
		t.Errorf("with no sends left: %+v", st)
	}
	if !b.check(id, code).Valid {
		t.Error("the code that was sent five times does not check")
	}
	if st := b.start(session("browser")); st.Joined {
		t.Error("an approved verification was joined")
	}
}

func TestJoinAfterTheKeyWasLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.start(session("browser"))
	b.options.Keys = newKeys(t, serverKey("k2", 9), serverKey("k1", 0))
	b.restart()
	// A session is found by an HMAC; with a new key it begins anew.
	if st := b.start(session("browser")); st.Joined {
		t.Errorf("joined under another key: %+v", st)
	}
	if !b.readable(first.Verification) {
		t.Error("a rotated key is lost")
	}
	// The same subject, the key of the code gone.
	v := b.start(session("again")).Verification
	_, err := b.store.Do(t.Context(), Op{ID: v.ID, App: testApp, Decide: func(_ time.Time, _ *Subject, v *Verification) (Decision, error) {
		v.KeyID = "gone"
		return Decision{Verification: v}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	fresh := b.start(session("again"))
	if fresh.Joined || fresh.Verification.ID == v.ID {
		t.Errorf("joined a verification whose code nobody can tell: %+v", fresh)
	}
	if st := b.start(session("again")); !st.Joined || st.Verification.ID != fresh.Verification.ID {
		t.Errorf("the session's new verification is not joined: %+v", st)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	b.options.Keys = newKeys(t, serverKey("k2", 9), serverKey("k1", 0))
	b.restart()
	b.clock.advance(time.Minute)
	if _, err := b.resend(v.ID); err != nil || b.sender.lastCode() != code {
		t.Fatalf("the old key's code is not sent again: %v", err)
	}
	if next := b.start().Verification; next.KeyID != "k2" {
		t.Errorf("a new verification has the key %s", next.KeyID)
	}
	if !b.check(v.ID, code).Valid {
		t.Error("the old key's code does not check")
	}
}

func TestLostKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	other := b.start().Verification
	b.options.Keys = newKeys(t, serverKey("k2", 9))
	b.restart()
	c := b.check(v.ID, code)
	if c.Valid || c.Verification.Status != StatusCanceled || c.Verification.Reason != ReasonKeyLost || c.Verification.Checks != 0 {
		t.Errorf("checked: %+v", c)
	}
	b.clock.advance(time.Second)
	b.check(v.ID, code) // says nothing new
	if text := b.logs.String(); strings.Count(text, "key lost: ") != 1 || !strings.Contains(text, `"key":"k1"`) {
		t.Errorf("two checks are logged as %s", text)
	}
	b.clock.advance(time.Minute)
	if _, err := b.resend(other.ID); !errors.Is(err, ErrEnded) {
		t.Errorf("resend: %v, want ErrEnded", err)
	}
	if got := b.get(other.ID); got.Reason != ReasonKeyLost {
		t.Errorf("after a resend: %s %s", got.Status, got.Reason)
	}
}

func TestTestNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		// A number that no rule would let through.
		o.Policy.Apps = map[string]AppPolicy{testApp: {TestNumbers: []TestNumber{{number(t, "+447700900123"), "42424242", noon.Add(time.Hour)}}}}
	})
	to := func(r *StartRequest) { r.To, r.Session = number(t, "+447700900123"), "s" }
	st := b.start(to)
	v := st.Verification
	want := Send{
		ID: v.ID + ".1", Channel: ChannelSMS, Connector: "test", Status: connector.StatusAccepted,
		Generation: 1, CreatedAt: b.clock.now(), UpdatedAt: b.clock.now(), Epoch: 1,
	}
	if diff := cmp.Diff([]Send{want}, v.Sends); diff != "" || !v.Test || !st.Sent || st.Unknown || b.sender.count() != 0 {
		t.Errorf("%+v: %s", st, diff)
	}
	if b.check(v.ID, "42424243").Valid {
		t.Error("a wrong code passes")
	}
	b.clock.advance(time.Minute)
	if st, err := b.resend(v.ID); err != nil || len(st.Verification.Sends) != 2 || b.sender.count() != 0 {
		t.Errorf("resend: %+v, %v", st, err)
	}
	b.clock.advance(58*time.Minute + 59*time.Second)
	v = b.start(to).Verification
	b.clock.advance(time.Minute)
	// Its end is over: what it began goes on, nothing new begins.
	r := request(t)
	to(&r)
	r.Session = ""
	if _, err := b.Start(t.Context(), r); err == nil {
		t.Error("a test number outlived its end")
	}
	if !b.check(v.ID, "42424242").Valid {
		t.Error("the fixed code does not check")
	}
	r.App = "other"
	if _, err := b.Start(t.Context(), r); err == nil {
		t.Error("one app's test number serves another")
	}
}

func TestTestNumberThatIsNoLongerConfigured(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{testApp: {TestNumbers: []TestNumber{{number(t, testNumber), "424242", noon.Add(time.Hour)}}}}
	})
	v := b.start().Verification
	b.options.Policy.Apps = nil
	b.restart()
	if c := b.check(v.ID, "424242"); c.Valid || c.Verification.Reason != ReasonKeyLost {
		t.Errorf("checked: %+v", c)
	}
	if c := b.check(b.start().Verification.ID, ""); c.Valid {
		t.Error("the empty code passes")
	}
}

// Each limit alone, with a burst of 2: the third start is refused by its name.
func TestLimitsOfAStart(t *testing.T) {
	t.Parallel()
	numbers := []string{"+14155552671", "+14155552672", "+14155552673"} // one prefix
	far := []string{"+14155552671", "+4915112345678", "+12125550123"}
	for name, tc := range map[string]struct {
		set     func(*Limits) *Limit
		numbers []string
		apps    []string
		ips     []string
		passes  []string // a fourth start that is not refused: app, number, ip
	}{
		"app_number":        {func(l *Limits) *Limit { return &l.AppNumber }, nil, nil, nil, []string{"other", testNumber, "203.0.113.7"}},
		"app_number_daily":  {func(l *Limits) *Limit { return &l.AppNumberDaily }, nil, nil, nil, []string{testApp, numbers[1], "203.0.113.7"}},
		"app_ip":            {func(l *Limits) *Limit { return &l.AppIP }, far, nil, nil, []string{testApp, testNumber, "203.0.113.8"}},
		"app_ip_daily":      {func(l *Limits) *Limit { return &l.AppIPDaily }, far, nil, nil, []string{"other", testNumber, "203.0.113.7"}},
		"app_prefix":        {func(l *Limits) *Limit { return &l.AppPrefix }, numbers, nil, nil, []string{testApp, far[2], "203.0.113.7"}},
		"app_prefix_daily":  {func(l *Limits) *Limit { return &l.AppPrefixDaily }, numbers, nil, nil, []string{"other", testNumber, "203.0.113.7"}},
		"app_country":       {func(l *Limits) *Limit { return &l.AppCountry }, numbers, nil, nil, []string{testApp, far[1], "203.0.113.7"}},
		"app_country_daily": {func(l *Limits) *Limit { return &l.AppCountryDaily }, numbers, nil, nil, []string{"other", testNumber, "203.0.113.7"}},
		"number":            {func(l *Limits) *Limit { return &l.Number }, nil, []string{"a", "b", "c"}, nil, []string{"a", numbers[1], "203.0.113.7"}},
		"number_daily":      {func(l *Limits) *Limit { return &l.NumberDaily }, nil, []string{"a", "b", "c"}, nil, []string{"a", numbers[1], "203.0.113.7"}},
		"ip":                {func(l *Limits) *Limit { return &l.IP }, far, []string{"a", "b", "c"}, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"}, []string{"a", testNumber, "2001:db8:0:1::1"}},
		"ip as IPv4":        {func(l *Limits) *Limit { return &l.IP }, far, nil, []string{"203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7"}, []string{"a", testNumber, "203.0.113.8"}},
		"prefix":            {func(l *Limits) *Limit { return &l.Prefix }, numbers, []string{"a", "b", "c"}, nil, []string{"a", far[2], "203.0.113.7"}},
		"all":               {func(l *Limits) *Limit { return &l.All }, far, []string{"a", "b", "c"}, []string{"203.0.113.7", "203.0.113.8", "203.0.113.9"}, nil},
		"all_daily":         {func(l *Limits) *Limit { return &l.AllDaily }, far, []string{"a", "b", "c"}, []string{"203.0.113.7", "203.0.113.8", "203.0.113.9"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(o *Options) {
				all := DefaultPolicy().Limits
				l := tc.set(&o.Policy.Limits)
				*l = *tc.set(&all)
				l.Burst = 2
			})
			at := func(list []string, i int, otherwise string) string {
				if list == nil {
					return otherwise
				}
				return list[i]
			}
			limit := *tc.set(&b.policy.Limits)
			for i := range 3 {
				r := request(t)
				r.To, r.App = number(t, at(tc.numbers, i, testNumber)), at(tc.apps, i, testApp)
				r.ClientIP = netip.MustParseAddr(at(tc.ips, i, "203.0.113.7"))
				_, err := b.Start(t.Context(), r)
				if i < 2 {
					if err != nil {
						t.Fatalf("start %d: %v", i+1, err)
					}
					continue
				}
				wait := limit.Every
				if wait == 0 {
					wait = 12 * time.Hour
				}
				wantLimit(t, err, limit.Name, wait)
				if !b.counts.has("limit "+limit.Name) || b.sender.count() != 2 {
					t.Errorf("observed %q, %d texts", b.counts.lines, b.sender.count())
				}
			}
			if tc.passes != nil {
				b.start(func(r *StartRequest) {
					r.App, r.To, r.ClientIP = tc.passes[0], number(t, tc.passes[1]), netip.MustParseAddr(tc.passes[2])
				})
			}
		})
	}
}

func TestDefaultLimitsHaveNames(t *testing.T) {
	t.Parallel()
	var names []string
	limits := DefaultPolicy().Limits
	for _, l := range limits.Each() {
		if l.Burst == 0 || l.Name == "" || slices.Contains(names, l.Name) {
			t.Errorf("limit %+v", l)
		}
		names = append(names, l.Name)
	}
}

func TestClearLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Limits = DefaultPolicy().Limits
		o.Policy.Limits.AppNumber.Burst, o.Policy.Limits.NumberDaily.Burst = 3, 3
	})
	for range 3 {
		v := b.start().Verification
		for range 5 {
			_, err := b.Check(t.Context(), CheckRequest{App: testApp, ID: v.ID})
			var l *LimitError
			if err != nil && !errors.As(err, &l) {
				t.Fatal(err)
			}
		}
	}
	refused := func() bool { _, err := b.Start(t.Context(), request(t)); return err != nil }
	if !refused() {
		t.Fatal("nothing to clear")
	}
	if err := ClearLimits(t.Context(), b.store, b.keys, &b.policy.Limits, testApp, number(t, "+14155552672")); err != nil || !refused() {
		t.Fatalf("another number's limits were cleared, or not without fault: %v", err)
	}
	// What the old key counted is cleared too.
	b.options.Keys = newKeys(t, serverKey("k2", 9), serverKey("k1", 0))
	b.restart()
	if err := ClearLimits(t.Context(), b.store, b.keys, &b.policy.Limits, testApp, number(t, testNumber)); err != nil {
		t.Fatal(err)
	}
	b.options.Keys = newKeys(t, serverKey("k1", 0))
	b.restart()
	v := b.start().Verification
	if !b.check(v.ID, b.sender.lastCode()).Valid {
		t.Error("the code does not check")
	}
	if err := ClearLimits(t.Context(), b.store, b.keys, &b.policy.Limits, testApp, phone.Number{}); err == nil {
		t.Error("no number: no error")
	}
}

// A row does not grow without end where no limit stands in the way.
func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, code := b.start(session("0")).Verification, b.sender.lastCode()
	for i := range maxKept {
		b.start(session(fmt.Sprint(i + 1)))
	}
	s, err := memRows{b.store}.Subject(first.Subject)
	if err != nil || len(s.Pending) != maxKept || s.Pending[0].ID == first.ID {
		t.Errorf("%d pending, %v", len(s.Pending), err)
	}
	if st := b.start(session("0")); st.Joined {
		t.Error("the oldest can still be joined")
	}
	if !b.check(first.ID, code).Valid {
		t.Error("the oldest can no longer be checked")
	}
}
