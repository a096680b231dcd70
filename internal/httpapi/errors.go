package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// The codes of problems. Those of a *verify.InvalidError stand in the table
// below as they come from the domain.
const (
	codeMalformed    = "malformed_json"
	codeBodyMissing  = "body_missing"
	codeBodyBroken   = "body_incomplete"
	codeBodySlow     = "body_timeout"
	codeBodyTooLarge = "body_too_large"
	codeMediaType    = "unsupported_media_type"
	codeIdemKey      = "idempotency_key_invalid"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNotFound     = "not_found"
	codeEnded        = "verification_ended"
	codeInFlight     = "idempotency_key_in_flight"
	codeIdemMismatch = "idempotency_key_reused"
	codeInvalid      = "invalid_request"
	codeNumber       = "number_invalid"
	codeClientIP     = "client_ip_invalid"
	codePayload      = "payload_invalid"
	codeNoTemplate   = "template_not_found"
	codeRefused      = "send_rejected"
	codeLimit        = "rate_limited"
	codeClosed       = "client_closed_request"
	codeInternal     = "internal"
	codeUnavailable  = "unavailable"
)

// statusClientClosed is nginx's word in a log for a client that hung up. Nobody
// reads the answer.
const statusClientClosed = 499

// fault is one row of the table from codes to statuses.
type fault struct {
	code   string
	status int
	detail string
}

// faultTable has every problem of the API, in the order of statuses.
func faultTable() []fault {
	return []fault{
		{codeMalformed, 400, "The body is not one JSON value in UTF-8, with each name once and at most 8 deep."},
		{codeBodyMissing, 400, "The body is empty; it must be a JSON object."},
		{codeBodyBroken, 400, "The body ended early or its encoding is broken."},
		{codeIdemKey, 400, "Idempotency-Key must be one value of 1 to 255 visible ASCII characters."},
		{codeUnauthorized, 401, "Send Authorization: Bearer and an API key that works."},
		{codeForbidden, 403, "The API key has no scope for this operation."},
		{codeNotFound, 404, "There is no such verification or message."},
		{codeBodySlow, 408, "The body took too long to arrive."},
		{codeEnded, 409, "The verification has ended; start a new one."},
		{codeInFlight, 409, "The first request with this Idempotency-Key is still under way."},
		{codeBodyTooLarge, 413, "The body is larger than 16384 bytes."},
		{codeMediaType, 415, "Send Content-Type: application/json, and no Content-Encoding."},
		{codeInvalid, 422, "The body does not fit; errors names the fields."},
		{codeNumber, 422, "The number is not a phone number in E.164 form."},
		{"country_not_allowed", 422, "Numbers of this country get no texts."},
		{"number_kind", 422, "Numbers of this kind get no texts: premium, toll-free and the like."},
		{"use_call", 422, "A fixed line gets no texts, and calls are not served."},
		{"usage_type_unknown", 422, "There is no such usage type."},
		{"channel_unsupported", 422, "The only channel is sms."},
		{"domain_not_allowed", 422, "The domain is not one of the app's."},
		{"client_ip_required", 422, "The address of the person's device is needed for the limits, or the operator sets client_ip: none for this app."},
		{codeClientIP, 422, "client_ip is not an IPv4 or IPv6 address."},
		{"session_invalid", 422, "The session is longer than 256 bytes."},
		{"metadata_invalid", 422, "Metadata may have 16 entries, names of 40 bytes and values of 256."},
		{codePayload, 422, "The payload has no code of at most 64 bytes, is larger than 4096 bytes, or holds what no text can show."},
		{"code_length", 422, "The code would be too long, or shorter than the service allows."},
		{"locale_invalid", 422, "The locale is not a BCP 47 language tag."},
		{codeNoTemplate, 422, "The operator has written no text for this usage type."},
		{codeIdemMismatch, 422, "This Idempotency-Key came with another body, or for another verification."},
		{codeRefused, 422, "The provider refused the text for good. Show advice to the person."},
		{codeLimit, 429, "Too many requests; Retry-After says when to come back."},
		{codeClosed, statusClientClosed, "The client closed the connection."},
		{codeInternal, 500, "Something is wrong on our side. The request's id finds it in the log."},
		{codeUnavailable, 503, "The service cannot answer now; try again."},
	}
}

func faultOf(code string) fault {
	for _, f := range faultTable() {
		if f.code == code {
			return f
		}
	}
	return fault{codeInternal, http.StatusInternalServerError, ""}
}

// faultError is an error of the edge itself.
type faultError struct {
	code   string
	fields []edge.FieldError
}

// Error names the code.
func (e faultError) Error() string { return "httpapi: " + e.code }

var errForbidden = faultError{code: codeForbidden}

func invalid(fields ...edge.FieldError) error { return faultError{codeInvalid, fields} }

// Problem is an error as this API shows it.
type Problem struct {
	edge.Problem
	ID           string `json:"id,omitempty" doc:"Of send_rejected: the id of the verification or message. None where nothing was made: the number is known to have opted out."`
	Kind         string `json:"kind,omitempty" doc:"Of send_rejected: why, in words that hold for every provider."`
	ProviderCode string `json:"provider_code,omitempty" doc:"Of send_rejected: the provider's own code."`
	Advice       string `json:"advice,omitempty" doc:"Of send_rejected: what to tell the person, in English."`
	AdviceKey    string `json:"advice_key,omitempty" doc:"Of send_rejected: the advice as a key, for translations."`
}

// problemOf is the one place where errors become statuses.
func problemOf(err error) Problem {
	var (
		own     faultError
		limit   *verify.LimitError
		bad     *verify.InvalidError
		refused *verify.RefusedError
	)
	switch {
	case errors.As(err, &own):
		p := problem(own.code, 0)
		p.Errors = own.fields
		return p
	case errors.Is(err, access.ErrUnauthorized):
		return problem(codeUnauthorized, 0)
	case errors.Is(err, verify.ErrNotFound):
		return problem(codeNotFound, 0)
	case errors.Is(err, verify.ErrEnded):
		return problem(codeEnded, 0)
	case errors.Is(err, verify.ErrInFlight):
		return problem(codeInFlight, time.Second)
	case errors.Is(err, verify.ErrIdemMismatch):
		return problem(codeIdemMismatch, 0)
	case errors.Is(err, verify.ErrNoTemplate):
		return problem(codeNoTemplate, 0)
	case errors.As(err, &limit):
		// Which limit it was is for the operator's log alone.
		return problem(codeLimit, max(limit.RetryAfter, time.Second))
	case errors.As(err, &bad):
		return Problem{Problem: edge.Problem{
			Status: http.StatusUnprocessableEntity, Code: bad.Code, Detail: faultOf(bad.Code).detail,
			Errors: []edge.FieldError{{Field: bad.Field, Detail: bad.Text}},
		}}
	case errors.As(err, &refused):
		return refusal(refused)
	case errors.Is(err, verify.ErrUnavailable), errors.Is(err, access.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return problem(codeUnavailable, time.Second)
	case errors.Is(err, context.Canceled):
		return problem(codeClosed, 0)
	}
	return problem(codeInternal, 0)
}

func problem(code string, retryAfter time.Duration) Problem {
	f := faultOf(code)
	p := Problem{Problem: edge.Problem{Status: f.status, Code: f.code, Detail: f.detail}}
	if retryAfter > 0 {
		p.RetryAfter = edge.Seconds(retryAfter)
	}
	return p
}

// refusedUs is the detail of a refusal that no number and no person can mend.
const refusedUs = "The provider refuses the service's own credentials, account or sender; the number is not at fault. The operator has to mend it; the request's id finds it in the log."

func refusal(e *verify.RefusedError) Problem {
	p := problem(codeRefused, 0)
	switch e.Cause.Kind {
	case connector.KindAuth, connector.KindAccount, connector.KindSender:
		p.Detail = refusedUs
	default:
	}
	if e.Verification != nil {
		p.ID = e.Verification.ID
	}
	p.Kind, p.ProviderCode = string(e.Cause.Kind), e.Cause.ProviderCode
	p.Advice, p.AdviceKey = e.Cause.Advice.Text(e.Cause.RetryAfter), string(e.Cause.Advice)
	return p
}

// writeError answers with an error's problem and tells the log what the client
// is not told.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	p.Complete(r)
	edge.Note(r.Context(), slog.String("problem", p.Code))
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="sixdigit"`)
		edge.Note(r.Context(), slog.String("reason", err.Error()))
	case http.StatusRequestTimeout:
		w.Header().Set("Connection", "close") // the rest of the body is not waited for
	case http.StatusInternalServerError, http.StatusServiceUnavailable:
		edge.Note(r.Context(), slog.String("error", err.Error()))
	case statusClientClosed:
		p.Title = "Client Closed Request"
	}
	edge.WriteProblem(w, &p.Problem, &p)
}
