package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// A wait is rounded up: whoever comes back at the time told must not be early.
func TestAdviceTellsTheWait(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Millisecond:        "in 1 second.",
		2 * time.Second:         "in 2 seconds.",
		1500 * time.Millisecond: "in 2 seconds.",
		time.Minute:             "in 1 minute.",
		61 * time.Second:        "in 2 minutes.",
	} {
		for _, a := range []connector.Advice{connector.AdviceWait, connector.AdviceTooMany} {
			if got := a.Text(wait); !strings.HasSuffix(got, want) {
				t.Errorf("%s after %s: %q, want …%q", a, wait, got, want)
			}
		}
	}
	for _, a := range connector.Advices() {
		for _, wait := range []time.Duration{0, -time.Second} {
			if got := a.Text(wait); got == "" || strings.ContainsAny(got, "0123456789") {
				t.Errorf("%s without a wait: %q", a, got)
			}
		}
	}
	if got := connector.Advice("?").Text(0); got != connector.AdviceOurFault.Text(0) {
		t.Errorf("an unknown advice says %q", got)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	a := connector.ActRetry | connector.ActPage
	if a.String() != "retry,page" || !a.Has(connector.ActPage) || a.Has(connector.ActPage|connector.ActTell) || connector.Action(0).String() != "" {
		t.Errorf("actions %q", a)
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	for s, want := range map[connector.Status]bool{
		connector.StatusSending: false, connector.StatusUnknown: false, connector.StatusAccepted: false, connector.StatusSent: false,
		connector.StatusDelivered: true, connector.StatusUndelivered: true, connector.StatusFailed: true, connector.StatusRejected: true,
	} {
		if s.Final() != want {
			t.Errorf("%s: final %v", s, !want)
		}
	}
}
