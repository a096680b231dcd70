package twilio

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
)

// body is a request's body of which can be told whether anybody has read it. A
// transport that failed and never did has not sent the request: it may have
// failed to resolve, to connect or to shake hands, or run out of time before.
type body interface {
	// unread is asked once, when RoundTrip has returned an error.
	unread() bool
}

// plainBody is for the Client's own http.Transport, which speaks HTTP/1. That sends
// the header and the body in one packet only when the body is of a type it
// knows, a bytes.Reader; the second packet is a quarter of what a send costs.
// Its HTTP/1 has ended its own reading by the time it returns an error, so
// looking at the reader is safe. Its HTTP/2 has not.
type plainBody struct {
	reader bytes.Reader
	copied atomic.Bool
	form   []byte
}

func newPlainBody(req *http.Request, form []byte) *plainBody {
	b := &plainBody{form: form}
	b.reader.Reset(form)
	req.Body, req.GetBody = io.NopCloser(&b.reader), b.again
	return b
}

func (b *plainBody) again() (io.ReadCloser, error) {
	b.copied.Store(true)
	return io.NopCloser(bytes.NewReader(b.form)), nil
}

func (b *plainBody) unread() bool { return !b.copied.Load() && b.reader.Len() == len(b.form) }

// guardedBody is for a RoundTripper from Options, which may go on reading after it
// has returned an error (http.RoundTripper allows that). Asked whether it is
// unread, it seals itself: who comes to read it later gets an error in place
// of the form, so the answer stays true.
type guardedBody struct {
	reader bytes.Reader
	state  *atomic.Uint32 // shared with the copies that again makes
	form   []byte
}

// The states of a guardedBody: fresh, then one of the others for good.
const (
	bodyFresh uint32 = iota
	bodyRead
	bodySealed
)

func newGuardedBody(req *http.Request, form []byte) *guardedBody {
	b := &guardedBody{state: new(atomic.Uint32), form: form}
	b.reader.Reset(form)
	req.Body, req.GetBody = b, b.again
	return b
}

// Read gives the form out, unless it is sealed.
func (b *guardedBody) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(bodyFresh, bodyRead) && b.state.Load() == bodySealed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(p)
}

// Close does nothing: there is nothing to give back.
func (b *guardedBody) Close() error { return nil }

func (b *guardedBody) again() (io.ReadCloser, error) {
	c := &guardedBody{state: b.state, form: b.form}
	c.reader.Reset(b.form)
	return c, nil
}

func (b *guardedBody) unread() bool { return b.state.CompareAndSwap(bodyFresh, bodySealed) }
