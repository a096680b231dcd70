package twilio_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// TestSimFindsLostTexts loses the answer of a send in every way, and finds the
// text although Twilio stores its body in another form.
func TestSimFindsLostTexts(t *testing.T) {
	t.Parallel()
	const plain = "Your code is 123456.\n\n@example.com #123456"
	const curly = "Your\u00a0“code” is ‘123456’ – don’t share it… ½ `x`\u200b •"
	for _, accept := range []string{"hang", "reset", "500"} {
		for _, tt := range []struct {
			name, body   string
			trial, smart bool
		}{
			{"plain", plain, false, false}, {"unicode", "Código: 123456 你好 😀", false, false}, {"trial", plain, true, false},
			{"smart", curly, false, true}, {"trial and smart", curly, true, true},
		} {
			t.Run(accept+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, twiliosim.Options{Trial: tt.trial, VerifiedNumbers: []string{somebody}}, func(c *twilio.Config) { c.SmartEncoded = tt.smart })
				lostAndFound(t, w, accept, tt.body)
			})
		}
	}
}

func lostAndFound(t *testing.T, w *world, accept, body string) {
	since := time.Now()
	w.send(t, textTo(t, somebody, "Your code is 654321."))
	w.faults(t, twiliosim.Faults{AcceptThen: accept, Count: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if accept == "hang" {
		go func() { // give up once the text is taken
			for len(w.sim.Ledger()) < 2 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
	}
	m := textTo(t, somebody, body)
	receipt, err := w.client.Send(ctx, m)
	if e := failure(t, err); e.Outcome != connector.OutcomeMaybe || e.Actions.Has(connector.ActRetry) {
		t.Fatalf("receipt %v, outcome %s, actions %s: want maybe and no retry", receipt, e.Outcome, e.Actions)
	}
	ledger := w.sim.Ledger()
	if len(ledger) != 2 || !ledger[1].AnswerLost {
		t.Fatalf("the ledger holds %d texts, want 2 and the answer to the second lost", len(ledger))
	}
	found, err := w.client.Find(t.Context(), m, since)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	if len(found) != 1 || found[0].ProviderID != ledger[1].SID || found[0].Created.Before(since.Truncate(time.Second)) {
		t.Errorf("found %d texts, want the one", len(found))
	}
	for name, tt := range map[string]struct {
		m     connector.Message
		since time.Time
	}{
		"another body":   {textTo(t, somebody, body+"!"), since},
		"another number": {textTo(t, "+14155552672", body), since},
		"a later time":   {m, time.Now().Add(time.Minute)},
	} {
		if found, err := w.client.Find(t.Context(), tt.m, tt.since); err != nil || len(found) != 0 {
			t.Errorf("Find with %s: %d texts, error %v; want none", name, len(found), err)
		}
	}
}

// TestSimListLag: a list may be behind, so "not there" is not proof yet.
func TestSimListLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	since := time.Now()
	w.faults(t, twiliosim.Faults{AcceptThen: "reset", Count: 1, ListLagMS: 3_600_000})
	m := textTo(t, somebody, "Your code is 123456.")
	_, err := w.client.Send(t.Context(), m)
	if e := failure(t, err); e.Outcome != connector.OutcomeMaybe {
		t.Fatalf("outcome %s, want maybe", e.Outcome)
	}
	if found, err := w.client.Find(t.Context(), m, since); err != nil || len(found) != 0 {
		t.Errorf("within the lag: %d texts, error %v; want none", len(found), err)
	}
	w.sim.ClearFaults()
	if found, err := w.client.Find(t.Context(), m, since); err != nil || len(found) != 1 {
		t.Errorf("after the lag: %d texts, error %v; want the one", len(found), err)
	}
}

// TestSimFindAmongMany: the text is found behind pages of younger ones to the
// same number, and twins are all told.
func TestSimFindAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	since := time.Now()
	m := textTo(t, somebody, "Your code is 123456.")
	want := []string{w.send(t, m).ProviderID, w.send(t, m).ProviderID}
	slices.Reverse(want) // newest first
	for i := range 60 {
		w.send(t, textTo(t, somebody, fmt.Sprintf("Your code is %06d.", i)))
	}
	found, err := w.client.Find(t.Context(), m, since)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.ProviderID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %d texts, want the 2", len(got))
	}
}
