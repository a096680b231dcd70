package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// verifications enters the operations on verifications.
func (a *API) verifications() {
	change := []access.Scope{access.ScopeVerify}
	look := []access.Scope{access.ScopeVerify, access.ScopeRead}
	const path, one = "/v1/verifications", "/v1/verifications/{id}"

	addSend(a, operation{
		id: "startVerification", method: http.MethodPost, path: path, tag: tagVerifications, scopes: change, body: requiredBody,
		summary:     "Start a verification",
		description: startText,
		requests:    startSamples(),
		answers: []reply{
			{201, "The text is on its way.", pendingSample()},
			{202, "It is not known yet whether the provider took the text: " + unknownText, unknownSample()},
			{200, "A pending verification of the same session was joined; another text was sent only if its time had come.", joinedSample()},
		},
		faults: append(policyFaults(), codeNoTemplate, codeRefused, codeLimit),
	}, a.start, tellStarted(http.StatusCreated))
	add(a, operation{
		id: "checkVerification", method: http.MethodPost, path: one + "/check", tag: tagVerifications, scopes: change, body: requiredBody,
		summary:     "Check a code",
		description: checkText,
		requests:    []sample{{"code", "What the person typed.", CheckRequest{Code: "482913"}}},
		answers:     []reply{{200, "The check was counted. Only valid tells whether the code was right.", checkSample()}},
		faults:      []string{codeNotFound, codeLimit},
	}, a.check)
	addSend(a, operation{
		id: "resendVerification", method: http.MethodPost, path: one + "/resend", tag: tagVerifications, scopes: change, body: optionalBody,
		summary:     "Send another text",
		description: resendText,
		requests: []sample{
			{"plain", "The body may be empty.", ResendRequest{}},
			{"with client_ip", "The limits of the address count too.", ResendRequest{Channel: "sms", ClientIP: "203.0.113.7"}},
		},
		answers: []reply{
			{200, "Another text is on its way.", pendingSample()},
			{202, "It is not known yet whether the provider took the text: " + unknownText, unknownSample()},
		},
		faults: []string{codeNotFound, codeEnded, "channel_unsupported", codeClientIP, codeNoTemplate, codeRefused, codeLimit},
	}, a.resend, tellStarted(http.StatusOK))
	add(a, operation{
		id: "getVerification", method: http.MethodGet, path: one, tag: tagVerifications, scopes: look,
		summary:     "Read a verification",
		description: "How a verification and its texts stand now. It proves nothing about the caller's user; only a check does.",
		answers:     []reply{{200, "The verification.", endedSample()}},
		faults:      []string{codeNotFound},
	}, a.get)
	add(a, operation{
		id: "cancelVerification", method: http.MethodDelete, path: one, tag: tagVerifications, scopes: change,
		summary:     "Cancel a verification",
		description: "Ends a pending verification; its code dies at once. One that has ended stays as it is.",
		answers:     []reply{{200, "The verification, canceled or as it had ended.", canceledSample()}},
		faults:      []string{codeNotFound},
	}, a.cancel)
}

func (a *API) start(ctx context.Context, c *call[StartRequest]) (verify.Started, error) {
	b := &c.body
	to, client, err := addressed(b.To, b.ClientIP)
	if err != nil {
		return verify.Started{}, err
	}
	return a.Verifier.Start(ctx, verify.StartRequest{
		App: c.caller.App, To: to, Usage: sms.UsageType(b.UsageType), Locale: b.Locale, Channel: verify.Channel(b.Channel),
		Domain: b.Domain, ClientIP: client, Session: b.Session, CodeLength: b.CodeLength, Metadata: b.Metadata, Idem: c.idem, Later: c.later,
	})
}

func (a *API) resend(ctx context.Context, c *call[ResendRequest]) (verify.Started, error) {
	client, err := clientIP(c.body.ClientIP)
	if err != nil {
		return verify.Started{}, err
	}
	return a.Verifier.Resend(ctx, verify.ResendRequest{
		App: c.caller.App, ID: c.id, Channel: verify.Channel(c.body.Channel), ClientIP: client, Idem: c.idem, Later: c.later,
	})
}

// tellStarted answers a start or a resend, with status where the text is on its way.
// A replay has the status of the first answer, but for a send that was unknown
// then and is known by now.
func tellStarted(status int) func(context.Context, verify.Started, error) (int, any, error) {
	return func(ctx context.Context, st verify.Started, err error) (int, any, error) {
		if st.Verification != nil {
			edge.Note(ctx, slog.String("verification", st.Verification.ID))
		}
		if err != nil {
			return 0, nil, err
		}
		v := render(st.Verification, st.Now)
		v.Joined = st.Joined
		switch {
		case st.Unknown, !st.Joined && !taken(st.Verification):
			return http.StatusAccepted, &v, nil
		case st.Joined:
			return http.StatusOK, &v, nil
		}
		return status, &v, nil
	}
}

// taken reports whether the provider is known to have taken the newest text.
func taken(v *verify.Verification) bool {
	if len(v.Sends) == 0 {
		return false
	}
	switch v.Sends[len(v.Sends)-1].Status {
	case connector.StatusSending, connector.StatusUnknown, connector.StatusFailed:
		return false
	default:
		return true
	}
}

func (a *API) check(ctx context.Context, c *call[CheckRequest]) (int, any, error) {
	code := secret.New(c.body.Code)
	c.body.Code = ""
	res, err := a.Verifier.Check(ctx, verify.CheckRequest{App: c.caller.App, ID: c.id, Code: code, Idem: c.idem})
	if err != nil {
		return 0, nil, err
	}
	edge.Note(ctx, slog.String("verification", res.Verification.ID), slog.Bool("valid", res.Valid))
	v := render(res.Verification, res.Now)
	return http.StatusOK, &CheckAnswer{Valid: res.Valid, Status: v.Status, AttemptsLeft: v.AttemptsLeft, Verification: v}, nil
}

func (a *API) get(ctx context.Context, c *call[struct{}]) (int, any, error) {
	v, now, err := a.Verifier.Get(ctx, c.caller.App, c.id)
	if err != nil {
		return 0, nil, err
	}
	answer := render(v, now)
	return http.StatusOK, &answer, nil
}

func (a *API) cancel(ctx context.Context, c *call[struct{}]) (int, any, error) {
	v, now, err := a.Verifier.Cancel(ctx, c.caller.App, c.id)
	if err != nil {
		return 0, nil, err
	}
	edge.Note(ctx, slog.String("verification", v.ID))
	answer := render(v, now)
	return http.StatusOK, &answer, nil
}

// recipient reads the number that a text goes to.
func recipient(s string) (phone.Number, error) {
	to, err := phone.Parse(s)
	if err != nil {
		return to, &verify.InvalidError{Field: "to", Code: codeNumber, Text: strings.TrimPrefix(err.Error(), "phone: ")}
	}
	return to, nil
}

// addressed reads whom a text is for, and who asks.
func addressed(to, client string) (n phone.Number, ip netip.Addr, err error) {
	if n, err = recipient(to); err == nil {
		ip, err = clientIP(client)
	}
	return n, ip, err
}

// clientIP reads an address; the empty string is none. A zone names an
// interface of somebody else's machine.
func clientIP(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, &verify.InvalidError{Field: "client_ip", Code: codeClientIP, Text: "not an IPv4 or IPv6 address"}
	}
	return ip.Unmap(), nil
}
