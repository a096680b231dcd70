package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// The floor posts what the connector posts, or it would be the floor of something
// else.
func TestProxyPostsAsTheConnector(t *testing.T) {
	t.Parallel()
	forms := make(chan url.Values, 2)
	sim := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.ParseForm() != nil || r.URL.Path != simMessages || user != simAccount || password != simToken {
			t.Errorf("%s %s of %q", r.Method, r.URL.Path, user)
		}
		forms <- r.PostForm
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"sid":"SM0123456789abcdef0123456789abcdef","account_sid":"` + simAccount + `","status":"accepted"}`))
	}))
	defer sim.Close()
	client, err := twilio.New(twilio.Config{
		AccountSID: simAccount, AuthToken: secret.New(simToken), MessagingServiceSID: simService, BaseURL: sim.URL,
	}, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	to, err := phone.Parse("+14155550134")
	if err != nil {
		t.Fatal(err)
	}
	text := connector.Message{To: to, Body: secret.New("Your code is 123456."), Validity: 10 * time.Minute, WantFeedback: true}
	if _, err := client.Send(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	proxy(sim.URL).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the proxy answers %d", w.Code)
	}
	if diff := cmp.Diff(<-forms, <-forms); diff != "" {
		t.Errorf("the connector's form, and the floor's:\n%s", diff)
	}
}
