package twilioverify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// minCode is the shortest code that a check takes, in characters.
const minCode = 4

// handle names the verification of a path or of a check: a sid, or a number.
func (a *API) handle(c *call, word string) (verify.Handle, error) {
	h := verify.Handle{App: c.caller.App, Service: c.service.SID, ID: verificationID(word)}
	if h.ID != "" {
		return h, nil
	}
	to, err := phone.Parse(word)
	if err != nil {
		return h, verify.ErrNotFound
	}
	h.To = to
	return h, nil
}

// gone reports whether Twilio would know nothing of the verification any more: one
// that was approved or has expired, and one whose checks are used up once its time
// is over.
func gone(v *verify.Verification, now time.Time) bool {
	switch v.StatusAt(now) {
	case verify.StatusApproved, verify.StatusExpired:
		return true
	case verify.StatusExhausted:
		return !now.Before(v.ExpiresAt)
	default:
		return false
	}
}

// check checks a code. A wrong one is no error.
func (a *API) check(ctx context.Context, c *call) (int, any, error) {
	h := verify.Handle{App: c.caller.App, Service: c.service.SID}
	to, sid := c.form["To"], c.form["VerificationSid"]
	var err error
	switch {
	case to != "" && sid != "":
		return 0, nil, invalid("To", "it stands beside VerificationSid; one of them names the verification")
	case sid != "":
		if h.ID = verificationID(sid); h.ID == "" {
			return 0, nil, invalid("VerificationSid", "it is VE and 32 hexadecimal digits")
		}
	default:
		if h.To, err = number(to); err != nil {
			return 0, nil, err
		}
	}
	code := strings.NewReplacer(" ", "", "-", "").Replace(c.form["Code"])
	if n := utf8.RuneCountInString(code); n < minCode || n > verify.MaxCodeLength {
		return 0, nil, invalid("Code", "it has 4 to 10 characters")
	}
	res, err := a.Verifier.CheckAt(ctx, h, secret.New(code))
	var limit *verify.LimitError
	if errors.As(err, &limit) && limit.Name == verify.LimitFailures {
		e := fault(codeMaxChecks)
		e.retryAfter = limit.RetryAfter
		return 0, nil, e
	}
	if err != nil {
		return 0, nil, err
	}
	v := res.Verification
	edge.Note(ctx, slog.String("verification", v.ID), slog.Bool("valid", res.Valid))
	switch status := v.StatusAt(res.Now); {
	case res.Counted, status == verify.StatusPending:
		return http.StatusOK, renderCheck(res), nil
	case status == verify.StatusExhausted && res.Now.Before(v.ExpiresAt):
		e := fault(codeMaxChecks)
		e.retryAfter = v.ExpiresAt.Sub(res.Now)
		return 0, nil, e
	}
	return 0, nil, verify.ErrNotFound
}

func (a *API) fetch(ctx context.Context, c *call) (int, any, error) {
	h, err := a.handle(c, c.r.PathValue("sid"))
	if err != nil {
		return 0, nil, err
	}
	v, now, err := a.Verifier.FindAt(ctx, h)
	switch {
	case err != nil:
		return 0, nil, err
	case gone(v, now):
		return 0, nil, verify.ErrNotFound
	}
	return http.StatusOK, renderVerification(v, now, c.base), nil
}

// update cancels or approves. What is gone is not there; what has ended otherwise
// stays as it is. It asks once: what a check has approved by then is gone, and no
// answer to a cancellation.
func (a *API) update(ctx context.Context, c *call) (int, any, error) {
	end := a.Verifier.CancelAt
	switch c.form["Status"] {
	case string(verify.StatusCanceled):
	case string(verify.StatusApproved):
		end = a.Verifier.ApproveAt
	default:
		return 0, nil, invalid("Status", "write canceled or approved")
	}
	h, err := a.handle(c, c.r.PathValue("sid"))
	if err != nil {
		return 0, nil, err
	}
	ended, err := end(ctx, h)
	v := ended.Verification
	switch {
	case err != nil:
		return 0, nil, err
	case !ended.Changed && gone(v, ended.Now):
		return 0, nil, verify.ErrNotFound
	}
	edge.Note(ctx, slog.String("verification", v.ID))
	return http.StatusOK, renderVerification(v, ended.Now, c.base), nil
}
