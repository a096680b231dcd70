package connector_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// busy is a connector whose provider is busy.
type busy struct{}

func (busy) Send(context.Context, connector.Message) (connector.Receipt, error) {
	return connector.Receipt{}, &connector.Error{
		Kind: connector.KindThrottled, ProviderCode: "20429", RetryAfter: 90 * time.Second,
		Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry | connector.ActFailover,
		Advice: connector.AdviceWait, Err: errors.New("too many requests at once"),
	}
}

// What a caller learns from a send that did not succeed.
func ExampleError() {
	to, err := phone.Parse("+14155550134")
	if err != nil {
		panic(err)
	}
	var sender connector.Sender = busy{}
	_, err = sender.Send(context.Background(), connector.Message{To: to, Body: secret.New("Your code is 123456.")})

	var e *connector.Error
	if errors.As(err, &e) {
		fmt.Println("for the log:   ", e)
		fmt.Println("for the person:", e.Advice.Text(e.RetryAfter))
		fmt.Println("send again?    ", e.Outcome == connector.OutcomeNotProcessed && e.Actions.Has(connector.ActRetry))
	}
	// Output:
	// for the log:    connector: throttled (provider code 20429): too many requests at once
	// for the person: We are busy; your code may take a moment. You can ask again in 2 minutes.
	// send again?     true
}
