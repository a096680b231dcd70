package twilio

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// maxRetryAfter is the longest wait that is believed. A longer one is a fault
// of the server's, or not one that a person waits for.
const maxRetryAfter = time.Hour

// maxCode is above every code that Twilio uses (they have 5 or 6 digits). A
// longer number is no code, and might be somebody's phone number.
const maxCode = 999_999

// refusal turns an answer that is not 2xx into an error. What was done with
// the request follows from the status; why, from Twilio's code where the table
// has it, else from the status.
func (c *Client) refusal(a answer) *connector.Error {
	code := errorCode(a.body)
	e := byStatus(a.status)
	r, known := lookup(code)
	switch {
	case e.Outcome == connector.OutcomeMaybe:
		// A 3xx or 5xx is a fault, whatever its body says.
	case e.Kind == kindThrottled && r.kind != kindThrottled:
		// A 429 is about the rate, whatever its body says.
	case known:
		e.Kind, e.Actions, e.Advice = r.kind, r.actions, r.advice
		if r.kind == kindTemporary && !r.actions.Has(actRetry) {
			e.Outcome = connector.OutcomeMaybe // Twilio's page on 20500: the message may have been sent
		}
	}
	// A caller that looks at the actions alone must not send twice.
	if e.Outcome == connector.OutcomeMaybe {
		e.Actions &^= actRetry
	}
	e.HTTPStatus = a.status
	e.ProviderCode = codeString(code)
	e.RetryAfter = retryAfter(a.header, c.now())
	e.Err = errors.New(refusalText(a, code, r.meaning))
	return e
}

// byStatus is what an HTTP status says where no code says more.
func byStatus(status int) *connector.Error {
	const refused, maybe = connector.OutcomeRefused, connector.OutcomeMaybe
	switch {
	case status == http.StatusTooManyRequests:
		return &connector.Error{Outcome: connector.OutcomeNotProcessed, Kind: kindThrottled, Actions: actRetry | actFailover, Advice: sayWait}
	case status == http.StatusRequestTimeout, status >= 500:
		return &connector.Error{Outcome: maybe, Kind: kindTemporary, Actions: actFailover, Advice: sayWait}
	case status == http.StatusUnauthorized:
		return &connector.Error{Outcome: refused, Kind: kindAuth, Actions: actFailover | actPage, Advice: sayFault}
	case status == http.StatusNotFound:
		return &connector.Error{Outcome: refused, Kind: kindSender, Actions: actPage, Advice: sayFault}
	case status >= 400:
		return &connector.Error{Outcome: refused, Kind: kindUnclassified, Actions: actTell | actPage, Advice: sayOther}
	default: // a redirect, or something that is no answer to a POST
		return &connector.Error{Outcome: maybe, Kind: kindUnclassified, Actions: actPage, Advice: sayFault}
	}
}

// failure is why a text that Twilio took was not delivered. code may be 0:
// Twilio gave none.
func failure(word string, code int) *connector.Error {
	e := &connector.Error{
		Outcome: connector.OutcomeRefused, Kind: kindUnclassified, Actions: actFailover, Advice: sayOther,
		ProviderCode: codeString(code),
	}
	r, known := lookup(code)
	switch {
	case known:
		e.Kind, e.Actions, e.Advice = r.kind, r.actions, r.advice
	case code != 0 && !aboutDelivery(code): // the send was wrong
		e.Actions = actTell | actPage
	}
	e.Err = errors.New("twilio: message " + word + describe(code, r.meaning))
	return e
}

// unusable is for an answer of 2xx that does not say what became of the
// request.
func unusable(a answer, why error) *connector.Error {
	if a.err != nil {
		why = a.err
	}
	e := temporary(connector.OutcomeMaybe, fmt.Errorf("twilio: HTTP %d: %w", a.status, why))
	e.HTTPStatus = a.status
	return e
}

// repeatable is for a call without effect, whose failures leave nothing open.
func repeatable(e *connector.Error) *connector.Error {
	if e.Outcome != connector.OutcomeMaybe {
		return e
	}
	e.Outcome = connector.OutcomeNotProcessed
	if e.Kind == kindTemporary {
		e.Actions |= actRetry
	}
	return e
}

// refusalText is for the operator, in our words. The request's id is what
// Twilio's support asks for.
func refusalText(a answer, code int, meaning string) string {
	text := "twilio: HTTP " + strconv.Itoa(a.status) + describe(code, meaning)
	if id := a.header.Get("Twilio-Request-Id"); isSID(id, "RQ") {
		text += " (request " + id + ")"
	}
	return text
}

func describe(code int, meaning string) string {
	switch {
	case code == 0:
		return ", without a code"
	case meaning == "":
		meaning = "a code that we do not know"
	}
	return ": " + meaning + "; see https://www.twilio.com/docs/errors/" + strconv.Itoa(code)
}

// errorCode reads the code of an error's body, or 0. The rest of the body is
// words, and those quote the phone number.
func errorCode(body []byte) int {
	var b struct {
		Code json.RawMessage `json:"code"`
	}
	if json.Unmarshal(body, &b) != nil {
		return 0
	}
	return parseCode(strings.Trim(string(b.Code), `"`))
}

// parseCode reads a code of digits. Anything else is 0, no code.
func parseCode(s string) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > maxCode {
		return 0
	}
	return int(n)
}

func codeString(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

// retryAfter reads Retry-After, seconds or an HTTP date (RFC 9110, 10.2.3).
// What is neither, or past, is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil || n > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}
