package twilio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/twiliosim"
)

func TestSimMagicNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	for _, tt := range []struct {
		from, to string
		code     string
		kind     connector.Kind
		advice   connector.Advice
	}{
		{"", "+15005550001", "21211", connector.KindInvalidRecipient, connector.AdviceCheckNumber},
		{"", "+15005550002", "21612", connector.KindUnreachable, connector.AdviceNotMobile},
		{"", "+15005550003", "21408", connector.KindGeo, connector.AdviceCountry},
		{"", "+15005550004", "21610", connector.KindOptedOut, connector.AdviceOptedOut},
		{"", "+15005550009", "21614", connector.KindUnreachable, connector.AdviceNotMobile},
		{"+15005550001", somebody, "21212", connector.KindSender, connector.AdviceOurFault},
		{"+15005550007", somebody, "21606", connector.KindSender, connector.AdviceOurFault},
		{"+15005550008", somebody, "21611", connector.KindThrottled, connector.AdviceWait},
	} {
		client := w.client
		if tt.from != "" {
			cfg := w.cfg
			cfg.MessagingServiceSID, cfg.From = "", tt.from
			client = newClient(t, cfg)
		}
		_, err := client.Send(t.Context(), textTo(t, tt.to, "Your code is 123456."))
		e := failure(t, err)
		if e.ProviderCode != tt.code || e.Kind != tt.kind || e.Outcome != connector.OutcomeRefused || e.Advice != tt.advice {
			t.Errorf("from %q to %s: code %s, %s, %s, %s; want %s, %s, refused, %s", tt.from, tt.to, e.ProviderCode, e.Kind, e.Outcome, e.Advice, tt.code, tt.kind, tt.advice)
		}
		carriesNoSecret(t, err, strings.TrimPrefix(tt.to, "+"), "123456", goldenToken)
	}
}

func TestSimFaultKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	for _, tt := range []struct {
		faults  twiliosim.Faults
		kind    connector.Kind
		outcome connector.Outcome
		after   time.Duration
	}{
		{twiliosim.Faults{Status: 429, RetryAfter: 7}, connector.KindThrottled, connector.OutcomeNotProcessed, 7 * time.Second},
		{twiliosim.Faults{Status: 429}, connector.KindThrottled, connector.OutcomeNotProcessed, 0},
		{twiliosim.Faults{Status: 500}, connector.KindTemporary, connector.OutcomeMaybe, 0},
		{twiliosim.Faults{Status: 503, RetryAfter: 2}, connector.KindTemporary, connector.OutcomeMaybe, 2 * time.Second},
		{twiliosim.Faults{Status: 401}, connector.KindAuth, connector.OutcomeRefused, 0},
		{twiliosim.Faults{Code: 21610}, connector.KindOptedOut, connector.OutcomeRefused, 0},
		{twiliosim.Faults{Code: 30450}, connector.KindFraud, connector.OutcomeRefused, 0},
	} {
		w.faults(t, tt.faults)
		_, err := w.client.Send(t.Context(), textTo(t, somebody, "Your code is 123456."))
		if e := failure(t, err); e.Kind != tt.kind || e.Outcome != tt.outcome || e.RetryAfter != tt.after {
			t.Errorf("%+v: %s, %s, retry after %v; want %s, %s, %v", tt.faults, e.Kind, e.Outcome, e.RetryAfter, tt.kind, tt.outcome, tt.after)
		}
	}
	if n := len(w.sim.Ledger()); n != 0 {
		t.Errorf("%d texts were taken", n)
	}
}

// TestSimConcurrentSends: each send is one text, no more and no fewer.
func TestSimConcurrentSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	const sends = 200
	errs := make(chan error, sends)
	for range sends {
		m := textTo(t, somebody, "Your code is 123456.")
		go func() {
			_, err := w.client.Send(t.Context(), m)
			errs <- err
		}()
	}
	for range sends {
		if err := <-errs; err != nil {
			t.Errorf("Send: %v", err)
		}
	}
	if n := len(w.sim.Ledger()); n != sends {
		t.Errorf("%d texts for %d sends", n, sends)
	}
}
