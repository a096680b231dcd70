package twilio

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// Bounds of what is read of an answer. A message is about 1 kB; its body, of
// at most 1,600 characters, may take 6 bytes a character in JSON.
const (
	maxAnswer = 64 << 10
	maxList   = 512 << 10
)

// call is one request to Twilio.
type call struct {
	url   url.URL
	form  []byte // what is posted; nil makes the call a GET, which has no effect and may be repeated
	limit int    // bytes of answer that are read
}

// answer is what came back.
type answer struct {
	status int
	header http.Header // nil where nobody asks for it: of a 2xx
	body   []byte
	err    error   // why body is not whole, or nil
	buffer *[]byte // what body stands in, where it can be used again
}

// exchange makes the request and reads its answer, whatever its status. Its
// error means that no answer arrived.
func (c *Client) exchange(ctx context.Context, r *call) (answer, *connector.Error) {
	if err := ctx.Err(); err != nil {
		return answer{}, notStarted(err)
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	if err := c.take(ctx); err != nil {
		return answer{}, noPlace(err)
	}
	defer c.leave()
	if c.wire != nil {
		return c.wire.exchange(ctx, r, c.auth.Reveal())
	}
	return c.roundTrip(ctx, r)
}

// roundTrip is exchange by way of a RoundTripper.
//
// It calls that itself: http.Client would follow redirects, and copies the
// request and its headers on the way there.
func (c *Client) roundTrip(ctx context.Context, r *call) (answer, *connector.Error) {
	req, body := c.request(ctx, r)
	resp, err := c.transport.RoundTrip(req)
	if err != nil || resp == nil {
		return answer{}, lost(ctx.Err(), err, body == nil || body.unread())
	}
	if resp.Body == nil { // net/http's is never nil; a RoundTripper made for a test may be
		resp.Body = http.NoBody
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return a, nil // its body is the bare connection, which no deadline ends
	}
	a.body, a.err = readAnswer(resp, r.limit)
	if a.err != nil && ctx.Err() != nil {
		a.err = ctx.Err()
	}
	return a, nil
}

// request builds the request. It has no Idempotency-Key header: Twilio knows
// none, and net/http takes one as leave to repeat a POST by itself when a
// connection dies under it. Without it, GetBody only lets net/http move to
// another connection when not one byte was written to the first.
func (c *Client) request(ctx context.Context, r *call) (*http.Request, body) {
	req := &http.Request{
		Method:     http.MethodGet,
		URL:        &r.url,
		Host:       r.url.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header: http.Header{
			"Authorization": {c.auth.Reveal()},
			"Accept":        {"application/json"},
			"User-Agent":    {"sixdigit"},
		},
	}
	if r.form == nil {
		return req.WithContext(ctx), nil
	}
	req.Method = http.MethodPost
	req.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	req.ContentLength = int64(len(r.form))
	var b body
	if c.pool != nil {
		b = newPlainBody(req, r.form)
	} else {
		b = newGuardedBody(req, r.form)
	}
	return req.WithContext(ctx), b
}

// readAnswer reads the body to its end, which lets the connection be used
// again, or until limit is passed.
func readAnswer(resp *http.Response, limit int) ([]byte, error) {
	size := resp.ContentLength
	if size > int64(limit) {
		return nil, errTooLong
	}
	if size < 0 {
		size = 2 << 10
	}
	buf := make([]byte, 0, size+1) // room for one more, so that the end shows without growing
	for {
		n, err := resp.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, errTooLong
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, plain(err)
		case len(buf) == cap(buf):
			buf = append(buf, 0)[:len(buf)]
		}
	}
}
