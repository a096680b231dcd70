package connectortest_test

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sixdigit/sixdigit/connector/connectortest"
)

// ExampleLoopbackOnly shows a test that tries to reach a provider.
func ExampleLoopbackOnly() {
	client := &http.Client{Transport: connectortest.LoopbackOnly()}
	_, err := client.Get("https://api.example.com/messages") //nolint:bodyclose // It is refused: there is no body.
	fmt.Println(errors.Unwrap(err))
	// Output: connectortest: tests call loopback addresses only
}
