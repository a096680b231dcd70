package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/secret"
)

// The connector takes the load's callbacks for Twilio's own, each for one step
// further, and no changed one.
func TestNotices(t *testing.T) {
	t.Parallel()
	client, err := twilio.New(twilio.Config{AccountSID: simAccount, AuthToken: secret.New(simToken), MessagingServiceSID: simService}, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const sid = "SM0123456789abcdef0123456789abcdef"
	want := []connector.Status{connector.StatusSent, connector.StatusDelivered}
	for i, status := range statuses() {
		n := noticeOf("0123456789abcdefghijklmnop.1", sid, "+14155550134", status)
		if n.path != "/callbacks/twilio/0123456789abcdefghijklmnop.1" {
			t.Errorf("it is posted to %s", n.path)
		}
		l := n.letter("http://127.0.0.1:1", http.StatusNoContent)
		in := connector.Inbound{
			PublicURL: publicURL + n.path, Body: l.body,
			Header: map[string][]string{"Content-Type": {l.kind}, "X-Twilio-Signature": {l.signature}},
		}
		got, err := client.ParseStatus(in)
		if err != nil || got.Status != want[i] || got.ProviderID != sid {
			t.Errorf("%s is read as %+v, %v", status, got, err)
		}
		in.PublicURL += "0"
		if _, err := client.ParseStatus(in); !errors.Is(err, connector.ErrSignature) {
			t.Errorf("of another send: %v", err)
		}
	}
}
