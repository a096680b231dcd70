package twilio

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/sixdigit/sixdigit/connector"
)

// maxInterim bounds the answers of 1xx before the one that counts.
const maxInterim = 5

var errInterim = errors.New("too many interim answers")

// question is one request as it is written.
type question struct {
	text       *[]byte // nil once it is written and not to be written again
	repeatable bool
	limit      int // bytes of answer that are read
}

// exchange makes one request and reads its answer, as Client.exchange says. It
// writes to a kept connection, or to a new one. Where a kept connection turns
// out to be dead it goes on to a new one, once, if no byte was written or the
// call may be repeated.
func (w *wire) exchange(ctx context.Context, r *call, auth string) (a answer, e *connector.Error) {
	q := &question{text: w.buffer(), repeatable: r.form == nil, limit: r.limit}
	*q.text = appendRequest(*q.text, r, auth)
	var err error
	c := w.kept()
	if c != nil {
		err = w.talk(ctx, c, q, &a)
		if err == nil || c.heard || c.wrote && !q.repeatable {
			return a, unheard(ctx, c, err, q.repeatable)
		}
	}
	if c, err = w.dial(ctx); err == nil {
		err = w.talk(ctx, c, q, &a)
	}
	return a, unheard(ctx, c, err, q.repeatable)
}

// unheard is the error for a request that was to be made on c, or nil.
func unheard(ctx context.Context, c *wireConn, err error, repeatable bool) *connector.Error {
	if err == nil {
		return nil
	}
	return lost(ctx.Err(), err, repeatable || c == nil || !c.wrote)
}

// talk makes the request on c, and keeps c where it can be used again. Its error
// means that no answer arrived.
func (w *wire) talk(ctx context.Context, c *wireConn, q *question, a *answer) error {
	c.wrote, c.heard = false, false
	stop := context.AfterFunc(ctx, c.abort)
	clean := false
	err := w.ask(ctx, c, q)
	if err == nil {
		clean, err = w.read(ctx, c, q.limit, a)
	}
	if stop() && clean {
		w.keep(c)
	} else {
		c.abort()
	}
	return err
}

// ask writes the request and waits for the first byte of its answer. That is
// where the time passes: nobody has a buffer yet, and no goroutine but this one
// waits.
func (w *wire) ask(ctx context.Context, c *wireConn, q *question) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.talk.Write(*q.text); err != nil {
		return err
	}
	if !q.repeatable {
		w.release(q.text) // it is not needed while we wait
		q.text = nil
	}
	for n := 0; n == 0; {
		var err error
		if n, err = c.talk.Read(c.first[:]); n == 0 && err != nil {
			return err
		}
	}
	c.heard = true
	return nil
}

// read reads an answer whose first byte has been read. clean says that nothing
// speaks against another request on the connection.
func (w *wire) read(ctx context.Context, c *wireConn, limit int, a *answer) (clean bool, err error) {
	a.buffer = w.buffer()
	begun := append(*a.buffer, c.first[0])
	n, _ := c.talk.Read(begun[1:cap(begun)]) // an error comes again
	begun = begun[:1+n]
	if h, ok := plainHead(begun); ok && h.length <= limit {
		a.status = h.status
		a.body, a.err = c.body(begun, h)
		clean = len(begun) <= h.size+h.length
	} else if clean, err = w.readAny(c, begun, limit, a); err != nil {
		return false, err
	}
	if a.err != nil && ctx.Err() != nil {
		a.err = ctx.Err()
	}
	return clean && a.err == nil, nil
}

// body reads what is missing of a body. What has begun is the head and what came
// with it.
func (c *wireConn) body(begun []byte, h head) ([]byte, error) {
	have, all := len(begun), h.size+h.length
	if have < all {
		begun = slices.Grow(begun, all-have)
		n, err := io.ReadFull(c.talk, begun[have:all])
		if have += n; err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return begun[h.size:have], plain(err)
		}
	}
	return begun[h.size:all], nil
}

// readAny reads whatever answer HTTP/1.1 has, as net/http does.
func (w *wire) readAny(c *wireConn, begun []byte, limit int, a *answer) (clean bool, err error) {
	source := &answerReader{conn: c, begun: begun, left: maxAnswer}
	r := w.readers.Get().(*bufio.Reader)
	r.Reset(source)
	defer func() {
		r.Reset(nil)
		w.readers.Put(r)
	}()
	resp, err := readHead(r) //nolint:bodyclose // to close it is to read all of it, however much comes
	if err != nil {
		return false, err
	}
	a.status, a.header = resp.StatusCode, resp.Header
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return false, nil // what follows is not HTTP
	}
	source.left = math.MaxInt // readAnswer has a bound of its own
	a.body, a.err = readAnswer(resp, limit)
	return !resp.Close && r.Buffered() == 0 && len(source.begun) == 0, nil
}

// readHead reads up to the body of the answer that counts.
func readHead(r *bufio.Reader) (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode < 100 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, errInterim
}

// appendRequest writes out a request. What it is made of holds no white space and
// no control characters: baseURL and resource see to the URL, base64 to auth.
func appendRequest(b []byte, r *call, auth string) []byte {
	if r.form == nil {
		b = append(b, "GET "...)
	} else {
		b = append(b, "POST "...)
	}
	b = append(b, r.url.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.url.Host...)
	b = append(b, "\r\nUser-Agent: sixdigit\r\nAccept: application/json\r\nAuthorization: "...)
	b = append(b, auth...)
	if r.form != nil {
		b = append(b, "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.form)), 10)
	}
	b = append(b, "\r\n\r\n"...)
	return append(b, r.form...)
}
