package connectortest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
)

const plainToken = "3b1f9d7c5e2a"

// plain is the smallest connector that passes, and one that does not for each
// flaw.
type plain struct {
	base string
	rt   http.RoundTripper
	flaw string
}

func plainHarness(flaw string) Harness {
	return Harness{
		New: func(_ testing.TB, baseURL string, rt http.RoundTripper) connector.Sender {
			p := &plain{base: baseURL, rt: rt, flaw: flaw}
			if flaw == "own transport" {
				p.rt = &http.Transport{DisableKeepAlives: true}
			}
			if flaw == "shows itself" {
				p.base = strings.Replace(baseURL, "://", "://user:"+plainToken+"@", 1)
			}
			return p
		},
		Accept:     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id": "m1"}`) },
		Secrets:    []string{plainToken},
		ProviderID: "m1",
		Callback: func(testing.TB) connector.Inbound {
			in := connector.Inbound{PublicURL: "https://example.com/cb", Header: http.Header{}, Body: []byte("delivered")}
			http.Header(in.Header).Set("Signature", plainSign(in))
			return in
		},
		Reply: func(testing.TB) connector.Inbound {
			in := connector.Inbound{PublicURL: "https://example.com/in", Header: http.Header{}, Body: []byte("+1" + number + " STOP")}
			http.Header(in.Header).Set("Signature", plainSign(in))
			return in
		},
	}
}

func (p *plain) fail(kind connector.Kind, outcome connector.Outcome, cause error) error {
	e := &connector.Error{Kind: kind, Outcome: outcome, Advice: connector.AdviceOurFault, Err: cause}
	switch p.flaw {
	case "no type":
		return cause
	case "no cause":
		e.Err = errors.New("plain: no")
	case "no text":
		e.Err = nil
	case "retry beside maybe":
		e.Actions = connector.ActRetry
	case "no advice":
		e.Advice = ""
	case "own kind":
		e.Kind = "broken"
	case "own outcome":
		e.Outcome = "lost"
	}
	return e
}

type onceRead struct {
	io.Reader
	read atomic.Bool
}

func (o *onceRead) Read(b []byte) (int, error) { o.read.Store(true); return o.Reader.Read(b) }
func (o *onceRead) Close() error               { return nil }

func (p *plain) Send(ctx context.Context, m connector.Message) (connector.Receipt, error) {
	if ctx.Err() != nil && p.flaw != "sends when it is over" {
		return connector.Receipt{}, p.fail(connector.KindTemporary, connector.OutcomeNotProcessed, ctx.Err())
	} else if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	body := &onceRead{Reader: strings.NewReader(m.To.E164() + m.Body.Reveal())}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/send", body)
	if err != nil {
		return connector.Receipt{}, p.fail(connector.KindSender, connector.OutcomeNotProcessed, errors.New("plain: URL"))
	}
	req.ContentLength = int64(len(m.To.E164() + m.Body.Reveal()))
	req.Header.Set("Token", plainToken)
	if p.flaw == "replays" {
		req.Header.Set("Idempotency-Key", "k")
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(m.To.E164() + m.Body.Reveal())), nil
		}
	}
	do := p.rt.RoundTrip
	if p.flaw == "follows redirects" {
		req.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
		do = (&http.Client{Transport: p.rt}).Do
	}
	resp, err := do(req)
	if err != nil {
		return connector.Receipt{}, p.lost(ctx, err, !body.read.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	return p.read(ctx, m, resp)
}

func (p *plain) lost(ctx context.Context, err error, unread bool) error {
	cause := errors.New("plain: the network")
	if ctx.Err() != nil {
		cause = fmt.Errorf("plain: %w", ctx.Err())
	}
	if p.flaw == "url.Error" {
		cause = &url.Error{Op: "Post", URL: p.base + "?token=" + plainToken, Err: err}
	}
	if unread != (p.flaw == "lost as never sent") && p.flaw != "never sent as lost" {
		e := p.fail(connector.KindTemporary, connector.OutcomeNotProcessed, cause)
		if x := (*connector.Error)(nil); errors.As(e, &x) && strings.Contains(err.Error(), "certificate") && p.flaw != "silent on certificates" {
			x.Actions |= connector.ActPage
		}
		return e
	}
	return p.fail(connector.KindTemporary, connector.OutcomeMaybe, cause)
}

func (p *plain) read(ctx context.Context, m connector.Message, resp *http.Response) (connector.Receipt, error) {
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if p.flaw == "retries" && resp.StatusCode == http.StatusServiceUnavailable {
		p.flaw = ""
		return p.Send(ctx, m)
	}
	if resp.StatusCode > 299 {
		return connector.Receipt{}, p.refused(resp, data)
	}
	var message struct{ ID string }
	if err != nil {
		cause := errors.New("plain: cut")
		if ctx.Err() != nil {
			cause = ctx.Err()
		}
		return connector.Receipt{}, p.fail(connector.KindTemporary, connector.OutcomeMaybe, cause)
	}
	bad := json.Unmarshal(data, &message) != nil || message.ID == ""
	switch {
	case bad && p.flaw == "any 2xx":
		message.ID = "?"
	case bad && p.flaw == "a receipt beside the error":
		return connector.Receipt{Status: connector.StatusAccepted}, p.fail(connector.KindTemporary, connector.OutcomeMaybe, errors.New("plain: what?"))
	case bad:
		return connector.Receipt{}, p.fail(connector.KindTemporary, connector.OutcomeMaybe, errors.New("plain: what?"))
	case p.flaw == "no id":
		message.ID = ""
	}
	return connector.Receipt{ProviderID: message.ID, Status: connector.StatusAccepted}, nil
}

func (p *plain) refused(resp *http.Response, data []byte) error {
	want := Want{Outcome: connector.OutcomeRefused, Kind: connector.KindUnclassified}
	if w, ok := defaultStatuses()[resp.StatusCode]; ok {
		want = w
	}
	if want.Kind == "" {
		want.Kind = connector.KindUnclassified
	}
	if p.flaw == "5xx as refused" && resp.StatusCode >= 500 {
		want.Outcome = connector.OutcomeRefused
	}
	if p.flaw == "401 as sender" && resp.StatusCode == 401 {
		want.Kind = connector.KindSender
	}
	cause := errors.New("plain: refused")
	if p.flaw == "quotes the provider" {
		cause = errors.New(string(data))
	}
	err := p.fail(want.Kind, want.Outcome, cause)
	var e *connector.Error
	if errors.As(err, &e) {
		e.HTTPStatus = resp.StatusCode
		if p.flaw == "no status" {
			e.HTTPStatus = 0
		}
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && (s > 0 || p.flaw == "negative wait") && p.flaw != "no wait" {
			e.RetryAfter = time.Duration(s) * time.Second
		}
	}
	return err
}

func plainSign(in connector.Inbound) string {
	mac := hmac.New(sha256.New, []byte(plainToken))
	mac.Write([]byte(in.PublicURL))
	mac.Write(in.Body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (p *plain) ParseStatus(in connector.Inbound) (connector.StatusUpdate, error) {
	unsigned := !hmac.Equal([]byte(plainSign(in)), []byte(http.Header(in.Header).Get("Signature")))
	switch {
	case unsigned && p.flaw == "quotes callbacks":
		return connector.StatusUpdate{}, fmt.Errorf("%w: %s", connector.ErrSignature, in.Body)
	case unsigned && p.flaw == "own sentinel":
		return connector.StatusUpdate{}, errors.New("plain: unsigned")
	case unsigned && p.flaw != "no signature" && (p.flaw != "signs the body alone" || bytes.Equal(in.Body, []byte("delivered")) == (http.Header(in.Header).Get("Signature") == "")):
		return connector.StatusUpdate{}, connector.ErrSignature
	case p.flaw == "reads it wrongly":
		return connector.StatusUpdate{ProviderID: "m1", Status: connector.StatusSent}, nil
	}
	return connector.StatusUpdate{ProviderID: "m1", Status: connector.StatusDelivered}, nil
}

func (p *plain) ParseReply(in connector.Inbound) (connector.Reply, error) {
	from, word, _ := strings.Cut(string(in.Body), " ")
	var reply connector.Reply
	if n, err := phone.Parse(from); err == nil && word == "STOP" {
		reply = connector.Reply{From: n, Consent: connector.ConsentStop}
	}
	unsigned := !hmac.Equal([]byte(plainSign(in)), []byte(http.Header(in.Header).Get("Signature")))
	switch {
	case unsigned && p.flaw == "quotes replies":
		return connector.Reply{}, fmt.Errorf("%w: %s", connector.ErrSignature, in.Body)
	case unsigned && p.flaw == "says who beside the error":
		return connector.Reply{Consent: connector.ConsentStart}, connector.ErrSignature
	case unsigned && p.flaw != "replies unsigned":
		return connector.Reply{}, connector.ErrSignature
	case p.flaw == "STOP is START":
		reply.Consent = connector.ConsentStart
	}
	return reply, nil
}

// looks is every other call: the stand-in for the provider knows none of them.
func (p *plain) looks(ctx context.Context, id string) error {
	cause := ctx.Err()
	if cause == nil {
		cause = errors.New("plain: not there")
	}
	if p.flaw == "quotes the id" {
		cause = errors.New("plain: no " + id)
	}
	if p.flaw == "maybe of a look" {
		return p.fail(connector.KindTemporary, connector.OutcomeMaybe, cause)
	}
	return p.fail(connector.KindTemporary, connector.OutcomeNotProcessed, cause)
}

func (p *plain) Find(ctx context.Context, m connector.Message, _ time.Time) ([]connector.Found, error) {
	if p.flaw == "finds nothing" {
		return nil, nil
	}
	return nil, p.looks(ctx, m.To.E164())
}

func (p *plain) Fetch(ctx context.Context, id string) (connector.Found, error) {
	return connector.Found{}, p.looks(ctx, id)
}

func (p *plain) Feedback(ctx context.Context, id string, _ bool) error {
	if p.flaw == "feedback is deaf" {
		return nil
	}
	return p.looks(ctx, id)
}
