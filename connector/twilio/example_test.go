package twilio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// Example sends one text to a server that stands in for Twilio.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("Twilio is asked to text", r.PostFormValue("To"))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid": "SM0123456789abcdef0123456789abcdef", "account_sid": "`+r.URL.Path[21:55]+`", "status": "accepted"}`)
	}))
	defer server.Close()

	client, err := twilio.New(twilio.Config{
		AccountSID:          "AC" + strings.Repeat("0", 32),
		AuthToken:           secret.New(strings.Repeat("1", 32)),
		MessagingServiceSID: "MG" + strings.Repeat("0", 32),
		BaseURL:             server.URL, // leave it out to reach Twilio
	}, twilio.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	to, err := phone.Parse("+1 415 555 2671")
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := client.Send(context.Background(), connector.Message{
		To:   to,
		Body: secret.New("Your sign-in code is 123456."),
	})
	if e := (*connector.Error)(nil); errors.As(err, &e) {
		// An outcome of maybe: ask client.Find before anything is sent again.
		fmt.Println(e.Outcome, "-", e.Advice.Text(e.RetryAfter))
		return
	}
	fmt.Println(receipt.Status, "for", to)
	// Output:
	// Twilio is asked to text +14155552671
	// accepted for +1********71
}
