package twilio

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/sixdigit/sixdigit/connector"
)

// What can be wrong with an answer. They go into errors in place of the
// transport's own, which may quote a URL, a proxy's password or a header.
var (
	errTooLong     = errors.New("the answer is too long")
	errNotMessage  = errors.New("the answer is not a message of this account")
	errNotList     = errors.New("the answer is not a list of this account's messages")
	errNotFeedback = errors.New("the answer is not the feedback that was sent")
	errElse        = errors.New("network error")
)

// notStarted is for a context that was done before anything began.
func notStarted(cause error) *connector.Error {
	return temporary(connector.OutcomeNotProcessed, fmt.Errorf("twilio: nothing was sent: %w", cause))
}

// noPlace is for a call whose time ran out in our own queue.
func noPlace(cause error) *connector.Error {
	return &connector.Error{
		Kind:    kindThrottled,
		Outcome: connector.OutcomeNotProcessed,
		Actions: actRetry | actFailover,
		Advice:  sayWait,
		Err:     fmt.Errorf("twilio: nothing was sent: too many requests are under way: %w", cause),
	}
}

// unfit is for a message that is wrong before Twilio sees it.
func unfit(kind connector.Kind, actions connector.Action, advice connector.Advice, why string) *connector.Error {
	return &connector.Error{
		Kind:    kind,
		Outcome: connector.OutcomeNotProcessed,
		Actions: actions,
		Advice:  advice,
		Err:     errors.New("twilio: nothing was sent: " + why),
	}
}

// temporary is a fault that passes. Where the request may have taken effect it
// asks for no retry: only the caller can find out first.
func temporary(outcome connector.Outcome, cause error) *connector.Error {
	e := &connector.Error{
		Kind:    kindTemporary,
		Outcome: outcome,
		Actions: actFailover,
		Advice:  sayWait,
		Err:     cause,
	}
	if outcome == connector.OutcomeNotProcessed {
		e.Actions |= actRetry
	}
	return e
}

// lost is for a request to which no answer came. done is the context's error;
// harmless says that the request never left, or has no effect.
func lost(done, err error, harmless bool) *connector.Error {
	reason := plain(err)
	if done != nil {
		reason = done
	}
	if !harmless {
		return temporary(connector.OutcomeMaybe, fmt.Errorf("twilio: the answer was lost: %w", reason))
	}
	if words, page := handshake(err); done == nil && page {
		e := temporary(connector.OutcomeNotProcessed, errors.New("twilio: no connection: "+words))
		e.Actions |= actPage
		return e
	}
	return temporary(connector.OutcomeNotProcessed, fmt.Errorf("twilio: %s: %w", stage(err), reason))
}

// stage names how far a request came that took no effect.
func stage(err error) string {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return "the host's name was not resolved"
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return "no connection"
	}
	return "no answer"
}

// handshake tells whether TLS refused the server, which no waiting mends. The
// words of x509 quote the server's certificate and nothing of ours.
func handshake(err error) (words string, page bool) {
	if e := (*tls.CertificateVerificationError)(nil); errors.As(err, &e) {
		return certificate(e.Err), true
	}
	// A RoundTripper that verifies by itself returns these bare.
	for _, target := range []any{&x509.UnknownAuthorityError{}, &x509.HostnameError{}, &x509.CertificateInvalidError{}} {
		if errors.As(err, target) {
			return certificate(target.(error)), true
		}
	}
	if e := (tls.RecordHeaderError{}); errors.As(err, &e) || errors.Is(err, http.ErrSchemeMismatch) {
		return "the server does not speak TLS", true
	}
	return "", false
}

func certificate(err error) string {
	const enough = 200 // a certificate may list a thousand host names
	words := err.Error()
	if len(words) > enough {
		words = words[:enough] + "…"
	}
	return fmt.Sprintf("the server's certificate is refused: %q", words)
}

// plain returns what is known and safe of a transport's error: a sentinel, an
// errno, or errElse. A *url.Error holds the URL, others may hold more.
func plain(err error) error {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &timeout) && timeout.Timeout():
		return os.ErrDeadlineExceeded
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return errElse
}
