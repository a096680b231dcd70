package twilioverify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// The codes, as Twilio's documentation has them
// (https://www.twilio.com/docs/api/errors).
const (
	codeParameter    = 20001 // of a list
	codeCredentials  = 20003
	codeMethod       = 20004
	codeNotFound     = 20404
	codeTooMany      = 20429
	codeInternal     = 20500
	codeUnavailable  = 20503
	codeInvalid      = 60200
	codeMaxChecks    = 60202
	codeMaxSends     = 60203
	codeNoFeature    = 60204
	codeLandline     = 60205
	codeConcurrent   = 60212
	codeBlocked      = 60410
	codeGeo          = 60605
	codeUnsubscribed = 21610
)

// statusClientClosed is nginx's word in a log for a client that hung up. Nobody
// reads the answer.
const statusClientClosed = 499

// answer is one row of the table from codes to statuses.
type answer struct {
	code, status int
	message      string
}

// answerTable has every error of this surface.
func answerTable() []answer {
	return []answer{
		{codeParameter, 400, "Invalid parameter"},
		{codeCredentials, 401, "Authenticate"},
		{codeMethod, 405, "Method not allowed"},
		{codeNotFound, 404, "The requested resource was not found"},
		{codeTooMany, 429, "Too many requests"},
		{codeInternal, 500, "An internal server error has occurred"},
		{codeUnavailable, 503, "Service is unavailable. Please try again"},
		{codeInvalid, 400, "Invalid parameter"},
		{codeMaxChecks, 429, "Max check attempts reached"},
		{codeMaxSends, 429, "Max send attempts reached"},
		{codeNoFeature, 403, "Custom code not allowed"},
		{codeLandline, 400, "SMS is not supported by landline phone number"},
		{codeConcurrent, 429, "Too many concurrent requests for phone number"},
		{codeBlocked, 403, "The destination phone number has been temporarily blocked"},
		{codeGeo, 403, "Verification delivery attempt blocked: the country is not allowed"},
		{codeUnsubscribed, 400, "Attempt to send to unsubscribed recipient"},
	}
}

// Error is an error as clients of Twilio's API read it.
type Error struct {
	Code       int           `json:"code"`
	Message    string        `json:"message"`
	MoreInfo   string        `json:"more_info"`
	Status     int           `json:"status"`
	retryAfter time.Duration // 0: the client is told none
	cause      error         // for the log
}

// Error names the code.
func (e *Error) Error() string { return "twilioverify: error " + strconv.Itoa(e.Code) }

// fault is the error of a code.
func fault(code int) *Error {
	for _, a := range answerTable() {
		if a.code == code {
			return &Error{Code: code, Message: a.message, Status: a.status, MoreInfo: "https://www.twilio.com/docs/errors/" + strconv.Itoa(code)}
		}
	}
	return fault(codeInternal)
}

// because adds a sentence to the message. It quotes no value.
func (e *Error) because(sentence string) *Error {
	e.Message += ": " + sentence
	return e
}

// wrongList is for a parameter of a list.
func wrongList(parameter, sentence string) *Error {
	e := fault(codeParameter)
	e.Message += " `" + parameter + "`"
	return e.because(sentence)
}

// invalid is for a parameter that cannot be honoured.
func invalid(parameter, sentence string) *Error {
	e := fault(codeInvalid)
	e.Message += " `" + parameter + "`"
	return e.because(sentence)
}

// missing is for what is not there, or is another app's. Twilio names the
// resource without the version.
func missing(path string) *Error {
	e := fault(codeNotFound)
	e.Message = "The requested resource " + resource(path) + " was not found"
	return e
}

// resource is a path as an error may quote it: a sid is no secret, but a number
// may stand in its place.
func resource(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/v2"), "/")
	for i, part := range parts {
		switch part {
		case "", "Services", "Verifications", "VerificationCheck", "Attempts", "Summary":
			continue
		}
		if len(part) != sidLength || strings.Trim(part, "0123456789abcdefABCDEFLV") != "" {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "/")
}

// forbidden is for a key that may not do this.
func forbidden() *Error {
	e := fault(codeCredentials)
	e.Status, e.Message = http.StatusForbidden, "Permission denied: the key has no scope for this"
	return e
}

// errorOf is the one place where errors become codes. path is the resource that is
// not there.
func errorOf(err error, path string) *Error {
	var (
		own     *Error
		limit   *verify.LimitError
		bad     *verify.InvalidError
		refused *verify.RefusedError
		e       *Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, access.ErrUnauthorized):
		e = fault(codeCredentials)
	case errors.Is(err, verify.ErrNotFound), errors.Is(err, access.ErrNoService):
		e = missing(path)
	case errors.As(err, &limit):
		e = limited(limit)
	case errors.As(err, &bad):
		e = invalidOf(bad)
	case errors.As(err, &refused):
		e = refusal(refused.Cause)
	case errors.Is(err, verify.ErrNoTemplate):
		e = fault(codeInternal).because("the operator has written no text for this surface")
	case errors.Is(err, context.Canceled):
		e = fault(codeUnavailable)
		e.Status = statusClientClosed
	case errors.Is(err, verify.ErrUnavailable), errors.Is(err, access.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		e = fault(codeUnavailable)
		e.retryAfter = time.Second
	default:
		e = fault(codeInternal)
	}
	e.cause = err
	return e
}

// limited tells what of a limit concerns the caller: the number's own have Twilio's
// codes for numbers, a burst another than what is used up; whatever others share is
// 20429. Which limit it was is for the operator's log alone.
func limited(l *verify.LimitError) *Error {
	code := codeTooMany
	switch l.Name {
	case verify.LimitResendCount, verify.LimitFailures, "app_number_daily", "number_daily":
		code = codeMaxSends
	case verify.LimitUnsettled, "app_number", "number":
		code = codeConcurrent
	}
	e := fault(code)
	e.retryAfter = max(l.RetryAfter, time.Second)
	return e
}

// invalidOf names the parameter that a field of the domain comes from.
func invalidOf(bad *verify.InvalidError) *Error {
	switch bad.Code {
	case "country_not_allowed":
		return fault(codeGeo)
	case "use_call":
		return fault(codeLandline)
	}
	parameter := map[string]string{
		"to": "To", "locale": "Locale", "code": "CustomCode", "client_ip": "DeviceIp", "channel": "Channel", "code_length": "CodeLength",
	}[bad.Field]
	if parameter == "" {
		return fault(codeInvalid).because(bad.Text)
	}
	return invalid(parameter, bad.Text)
}

// refusal is for a text that the provider refused for good.
func refusal(cause *connector.Error) *Error {
	switch cause.Kind {
	case connector.KindInvalidRecipient:
		return invalid("To", "the provider knows no such number")
	case connector.KindUnreachable:
		return fault(codeLandline)
	case connector.KindOptedOut:
		return fault(codeUnsubscribed)
	case connector.KindGeo:
		return fault(codeGeo)
	case connector.KindBlocked, connector.KindFraud, connector.KindFiltered:
		return fault(codeBlocked)
	case connector.KindThrottled, connector.KindTemporary:
		return fault(codeUnavailable)
	default: // ours: credentials, account, sender
		return fault(codeInternal).because("the provider refuses the text; the operator has to mend it")
	}
}

// write answers with the error and tells the log what the client is not told.
func (e *Error) write(w http.ResponseWriter, r *http.Request) {
	edge.Note(r.Context(), slog.Int("code", e.Code))
	if e.cause != nil && (e.Status >= http.StatusInternalServerError || e.Status == http.StatusUnauthorized) {
		edge.Note(r.Context(), slog.String("error", e.cause.Error()))
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(edge.Seconds(e.retryAfter)))
	}
	edge.WriteJSON(w, e.Status, "application/json", e)
}
