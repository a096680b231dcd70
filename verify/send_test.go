package verify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Limits.Number = Limit{"number", 1, time.Hour}
		o.Policy.Limits.AppNumberDaily = Limit{Name: "app_number_daily", Burst: 1}
	})
	b.sender.fail(connector.OutcomeRefused, connector.KindInvalidRecipient)
	st, err := b.Start(t.Context(), request(t))
	var refused *RefusedError
	var cause *connector.Error
	if !errors.As(err, &refused) || !errors.As(err, &cause) || cause.ProviderCode != "21211" {
		t.Fatalf("got %v, want a *RefusedError with its cause", err)
	}
	v := refused.Verification
	send := v.Sends[0]
	if v != st.Verification || v.Status != StatusCanceled || v.Reason != ReasonSendRejected || send.Status != connector.StatusRejected ||
		*send.Error != (SendFault{connector.KindInvalidRecipient, "21211", connector.AdviceCheckNumber}) || !send.LeaseUntil.IsZero() {
		t.Errorf("the verification is %+v, %+v", v, send.Error)
	}
	if b.check(v.ID, b.sender.lastCode()).Valid {
		t.Error("its code passes")
	}
	if !b.counts.has("send main US rejected invalid_recipient") {
		t.Errorf("observed %q", b.counts.lines)
	}
	// The number was not charged.
	b.sender.answer(nil)
	b.start()
	_, err = b.Start(t.Context(), request(t))
	wantLimit(t, err, "app_number_daily", 12*time.Hour)
}

// Texts that come to nothing give the person's own limits back and no others:
// whoever makes them fail from one address is stopped like anybody else.
func TestFailuresCannotBeFarmed(t *testing.T) {
	t.Parallel()
	for _, outcome := range []connector.Outcome{connector.OutcomeRefused, connector.OutcomeNotProcessed} {
		for name, choose := range map[string]func(*Limits) *Limit{
			"app_ip": func(l *Limits) *Limit { return &l.AppIP }, "app_ip_daily": func(l *Limits) *Limit { return &l.AppIPDaily },
			"app_prefix": func(l *Limits) *Limit { return &l.AppPrefix }, "app_prefix_daily": func(l *Limits) *Limit { return &l.AppPrefixDaily },
			"app_country": func(l *Limits) *Limit { return &l.AppCountry }, "app_country_daily": func(l *Limits) *Limit { return &l.AppCountryDaily },
			"ip": func(l *Limits) *Limit { return &l.IP }, "prefix": func(l *Limits) *Limit { return &l.Prefix },
			"all": func(l *Limits) *Limit { return &l.All }, "all_daily": func(l *Limits) *Limit { return &l.AllDaily },
		} {
			b := newBench(t, func(o *Options) {
				*choose(&o.Policy.Limits) = Limit{Name: name, Burst: 3}
			})
			b.sender.fail(outcome, connector.KindInvalidRecipient)
			var limit *LimitError
			for range 100 {
				_, err := b.Start(t.Context(), request(t))
				errors.As(err, &limit)
			}
			if b.sender.count() != 3 || limit == nil || limit.Name != name {
				t.Errorf("%s, %s: %d texts reached the provider, then %v", outcome, name, b.sender.count(), limit)
			}
		}
		for name, limits := range map[string]Limits{
			"app_number": {AppNumber: Limit{"app_number", 1, time.Hour}}, "app_number_daily": {AppNumberDaily: Limit{Name: "app_number_daily", Burst: 1}},
			"number": {Number: Limit{"number", 1, time.Hour}}, "number_daily": {NumberDaily: Limit{Name: "number_daily", Burst: 1}},
		} {
			b := newBench(t, func(o *Options) { o.Policy.Limits = limits })
			b.sender.fail(outcome, connector.KindInvalidRecipient)
			for range 3 {
				_, _ = b.Start(t.Context(), request(t))
			}
			if b.sender.count() != 3 {
				t.Errorf("%s, %s: a text that came to nothing was charged", outcome, name)
			}
		}
	}
}

func TestRefusedResend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	b.clock.advance(time.Minute)
	b.sender.fail(connector.OutcomeRefused, connector.KindOptedOut)
	st, err := b.resend(v.ID)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Verification.Status != StatusPending || !refused.Verification.ResendAfter.Equal(b.clock.now()) {
		t.Fatalf("got %+v, %v, want a refusal that leaves the first text alone", st, err)
	}
	if !b.check(v.ID, code).Valid {
		t.Error("the first text's code does not pass")
	}
}

// A new generation's text is refused: the old text's code is dead, so nothing
// that may arrive is of use.
func TestRefusedNewGeneration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.start().Verification
	b.clock.advance(9*time.Minute + time.Second)
	b.sender.fail(connector.OutcomeRefused, connector.KindOptedOut)
	_, err := b.resend(v.ID)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Verification.Status != StatusCanceled {
		t.Errorf("got %v, want a canceled verification", err)
	}
}

func TestNotProcessed(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Policy.Limits.Number = Limit{"number", 1, time.Hour} })
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
	st := b.start()
	v := st.Verification
	if !st.Sent || st.Unknown || v.Status != StatusPending || v.Sends[0].Status != connector.StatusFailed || !v.Sends[0].Guess ||
		v.Sends[0].Error.Kind != connector.KindThrottled || !v.ResendAfter.Equal(b.clock.now()) {
		t.Errorf("started: %+v", st)
	}
	b.sender.answer(nil)
	again, err := b.resend(v.ID)
	if err != nil || again.Verification.Sends[1].Status != connector.StatusAccepted {
		t.Fatalf("a resend at once: %+v, %v", again, err)
	}
	if want := b.clock.now().Add(30 * time.Second); !again.Verification.ResendAfter.Equal(want) {
		t.Errorf("the wait is that of a second text: %s, want %s", again.Verification.ResendAfter, want)
	}
	if !b.check(v.ID, b.sender.lastCode()).Valid {
		t.Error("the code does not pass")
	}
}

func TestNobodyCanTell(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(context.Context, connector.Message) (connector.Receipt, error){
		"maybe": func(context.Context, connector.Message) (connector.Receipt, error) {
			return connector.Receipt{}, &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe}
		},
		"not the contract's error": func(_ context.Context, m connector.Message) (connector.Receipt, error) {
			return connector.Receipt{}, errors.New("to " + m.To.E164() + ": " + m.Body.Reveal())
		},
		"a panic": func(_ context.Context, m connector.Message) (connector.Receipt, error) { panic(m.Body.Reveal()) },
	} {
		b := newBench(t)
		b.sender.answer(answer)
		st := b.start()
		if send := st.Verification.Sends[0]; !st.Unknown || send.Status != connector.StatusUnknown || send.Error == nil {
			t.Errorf("%s: %+v", name, st)
		}
		code := b.sender.lastCode()
		if strings.Contains(b.logs.String(), code) || strings.Contains(b.logs.String(), testNumber) {
			t.Errorf("%s: the log holds the code or the number: %s", name, b.logs)
		}
		if !b.check(st.Verification.ID, code).Valid {
			t.Errorf("%s: a text that arrived after all has a code that does not pass", name)
		}
	}
}

// Receipts may know more than that the text was taken, and less.
func TestReceipts(t *testing.T) {
	t.Parallel()
	for status, want := range map[connector.Status]connector.Status{
		"": connector.StatusAccepted, "odd": connector.StatusAccepted, connector.StatusSending: connector.StatusAccepted,
		connector.StatusSent: connector.StatusSent, connector.StatusDelivered: connector.StatusDelivered,
	} {
		b := newBench(t)
		b.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
			return connector.Receipt{ProviderID: "SM1", Status: status}, nil
		})
		if got := b.start().Verification.Sends[0].Status; got != want {
			t.Errorf("receipt %q: the send is %s, want %s", status, got, want)
		}
	}
}

// A callback may be faster than the answer to our own request.
func TestCallbackOvertakesTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		first, then error
		heard, want connector.Status
		pending     bool
	}{
		{heard: connector.StatusSent, want: connector.StatusSent, pending: true},
		{heard: connector.StatusDelivered, then: refusal(), want: connector.StatusDelivered, pending: true},
		{heard: connector.StatusSent, then: &connector.Error{Outcome: connector.OutcomeNotProcessed}, want: connector.StatusSent, pending: true},
		{heard: connector.StatusUndelivered, then: &connector.Error{Outcome: connector.OutcomeMaybe}, want: connector.StatusUndelivered, pending: true},
	} {
		h := hold(t)
		h.hear(word{status: tc.heard})
		h.release(tc.then)
		v := h.get(h.v.ID)
		if v.Sends[0].Status != tc.want || (v.Status == StatusPending) != tc.pending {
			t.Errorf("heard %s, then %v: the send is %s, the verification %s", tc.heard, tc.then, v.Sends[0].Status, v.Status)
		}
		if tc.then == nil && v.Sends[0].ProviderID != "SM1" {
			t.Error("the provider's id is lost")
		}
	}
}

// Another process claimed the send meanwhile. That the provider has the text is
// the truth all the same; a late guess is not.
func TestLateOutcomeOfAnOlderEpoch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		late error
		want connector.Status
	}{
		{nil, connector.StatusAccepted},
		{refusal(), connector.StatusRejected},
		{&connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeNotProcessed}, connector.StatusUnknown},
		{&connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe}, connector.StatusUnknown},
	} {
		h := hold(t)
		_, err := h.store.Do(t.Context(), Op{ID: h.v.ID, App: testApp, Decide: func(_ time.Time, _ *Subject, v *Verification) (Decision, error) {
			v.Sends[0].Epoch++
			v.Sends[0].Status = connector.StatusUnknown
			return Decision{Verification: v}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		h.release(tc.late)
		if send := h.get(h.v.ID).Sends[0]; send.Status != tc.want || send.ProviderID != "SM1" {
			t.Errorf("%v: the send is %+v", tc.late, send)
		}
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	h := hold(t)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(done); !errors.Is(err, context.Canceled) {
		t.Errorf("close while a text is on its way: %v", err)
	}
	if _, err := h.Start(t.Context(), request(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a start after close: %v", err)
	}
	if _, err := h.resend(h.v.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a resend after close: %v", err)
	}
	h.release(nil)
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := h.get(h.v.ID).Sends[0].Status; got != connector.StatusAccepted {
		t.Errorf("after close the send is %s", got)
	}
	if !h.check(h.v.ID, h.code).Valid {
		t.Error("a check after close")
	}
}

// A caller whose context is over before anything happened leaves nothing.
func TestCanceledCaller(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Start(ctx, request(t)); !errors.Is(err, context.Canceled) || b.store.dump() != "" || b.sender.count() != 0 {
		t.Errorf("got %v, %q", err, b.store.dump())
	}
}

func TestNoRandomness(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.random = strings.NewReader("an id, no salt")
	if _, err := b.Start(t.Context(), request(t)); err == nil || b.store.dump() != "" {
		t.Errorf("got %v", err)
	}
}
