package hooks

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/verify"
)

// Result is what a request came to, for metrics and log.
type Result string

// The results.
const (
	ResultSent         Result = "sent"         // the provider has taken the text
	ResultPending      Result = "pending"      // it is written down; whether the provider has it is not known yet
	ResultDuplicate    Result = "duplicate"    // the order was carried out before
	ResultRefused      Result = "refused"      // there will be no text to this number
	ResultLimited      Result = "limited"      // too many texts
	ResultFault        Result = "fault"        // the operator has to mend something
	ResultUnavailable  Result = "unavailable"  // nothing was sent; the order may come again
	ResultMalformed    Result = "malformed"    // not what this server sends
	ResultTooLarge     Result = "too_large"    // more than maxBody
	ResultUnauthorized Result = "unauthorized" // not from the server
)

// Results returns every result.
func Results() []Result {
	return []Result{
		ResultSent, ResultPending, ResultDuplicate, ResultRefused, ResultLimited, ResultFault,
		ResultUnavailable, ResultMalformed, ResultTooLarge, ResultUnauthorized,
	}
}

// done reports whether the order needs nothing more of the server.
func (r Result) done() bool { return r == ResultSent || r == ResultPending || r == ResultDuplicate }

// final reports whether the order, made again, would come to the same.
func (r Result) final() bool {
	return r.done() || r == ResultRefused || r == ResultLimited || r == ResultFault
}

// status is the result as HTTP has it.
func (r Result) status() int {
	switch r {
	case ResultSent, ResultPending, ResultDuplicate:
		return http.StatusOK
	case ResultRefused:
		return http.StatusUnprocessableEntity
	case ResultLimited:
		return http.StatusTooManyRequests
	case ResultUnavailable:
		return http.StatusServiceUnavailable
	case ResultMalformed:
		return http.StatusBadRequest
	case ResultTooLarge:
		return http.StatusRequestEntityTooLarge
	case ResultUnauthorized:
		return http.StatusUnauthorized
	default:
		return http.StatusInternalServerError
	}
}

// outcome is what became of a request.
type outcome struct {
	result Result
	advice connector.Advice // for the person; "" where nothing is wrong
	wait   time.Duration    // until the next try makes sense; 0 where nobody knows
	detail string           // for who connects the two servers; quotes nothing
	id     string           // the message's
	kind   connector.Kind   // why it was refused
	err    error            // for the log
}

// torn reports whether the request did not arrive whole: it may do so next time.
func (o outcome) torn() bool {
	return errors.Is(o.err, errBroken) || errors.Is(o.err, os.ErrDeadlineExceeded)
}

// words are what the person, or the developer, is to read.
func (o outcome) words() string {
	if o.detail != "" {
		return o.detail
	}
	return o.advice.Text(o.wait)
}

// againSoon is the wait after a failure that passes.
const againSoon = time.Second

func unavailable(err error) outcome {
	return outcome{result: ResultUnavailable, advice: connector.AdviceOtherMethod, wait: againSoon, err: err}
}

// outcomeOf is the one place where what the domain says becomes an outcome.
func outcomeOf(st verify.Started, err error) outcome {
	o := outcome{}
	if st.Verification != nil {
		o.id = st.Verification.ID
	}
	var (
		limit   *verify.LimitError
		bad     *verify.InvalidError
		refused *verify.RefusedError
	)
	switch {
	case err == nil:
		return o.carried(st)
	case errors.As(err, &refused):
		o.result, o.kind, o.err = ResultRefused, refused.Cause.Kind, err
		o.advice, o.wait = refused.Cause.Advice, refused.Cause.RetryAfter
		switch o.kind {
		case connector.KindAuth, connector.KindAccount, connector.KindSender:
			o.result = ResultFault
		default:
		}
	case errors.As(err, &limit):
		// Which limit it was is in the service's log.
		o.result, o.advice, o.wait = ResultLimited, connector.AdviceTooMany, max(limit.RetryAfter, time.Second)
	case errors.As(err, &bad):
		o.err = err
		o.result, o.advice = invalid(bad.Code)
		if o.result == ResultMalformed {
			o.detail = "The order's " + bad.Field + ": " + bad.Text + "."
		}
	case errors.Is(err, verify.ErrIdemMismatch):
		o.result, o.err, o.detail = ResultMalformed, err, "The order has the id of another one."
	case errors.Is(err, verify.ErrInFlight):
		o.result = ResultPending // the first of the two brings the text
	case errors.Is(err, verify.ErrNoTemplate):
		o.result, o.advice, o.err = ResultFault, connector.AdviceOurFault, err
	default:
		return unavailable(err)
	}
	return o
}

// carried is the outcome of an order that was accepted here.
func (o outcome) carried(st verify.Started) outcome {
	o.result = ResultSent
	if n := len(st.Verification.Sends); n > 0 {
		switch newest := &st.Verification.Sends[n-1]; {
		case newest.Status == connector.StatusFailed && newest.Guess:
			// It was given up before anything went out.
			u := unavailable(errGivenUp)
			u.id = o.id
			return u
		case newest.Status == connector.StatusSending, newest.Status == connector.StatusUnknown:
			o.result = ResultPending
		}
	}
	switch {
	case st.Replayed:
		o.result = ResultDuplicate
	case st.Unknown:
		o.result = ResultPending
	}
	return o
}

var errGivenUp = errors.New("hooks: the text was given up")

// invalid sorts the codes of a *verify.InvalidError. The person can do something
// about a number; the others are between the two servers.
func invalid(code string) (Result, connector.Advice) {
	switch code {
	case "number_invalid":
		return ResultRefused, connector.AdviceCheckNumber
	case "country_not_allowed":
		return ResultRefused, connector.AdviceCountry
	case "number_kind", "use_call":
		return ResultRefused, connector.AdviceNotMobile
	case "channel_unsupported":
		return ResultRefused, connector.AdviceOtherMethod
	case "payload_invalid":
		return ResultMalformed, connector.AdviceOurFault
	}
	return ResultFault, connector.AdviceOurFault
}

// notes are what the log line says of an outcome.
func (o outcome) notes(hook string) []slog.Attr {
	notes := []slog.Attr{slog.String("hook", hook), slog.String("result", string(o.result))}
	if o.id != "" {
		notes = append(notes, slog.String("message", o.id))
	}
	if o.kind != "" {
		notes = append(notes, slog.String("kind", string(o.kind)))
	}
	if o.err != nil {
		notes = append(notes, slog.String("error", o.err.Error()))
	}
	return notes
}
