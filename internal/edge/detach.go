package edge

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// answerTimeout is how long a client may take to take a detached answer. Most
	// answers fit into the socket's buffer, so that nobody waits for the client.
	answerTimeout = 10 * time.Second
	// hangUpWait is how long the client may take to hang up after its answer. To
	// close on bytes that were not read would reset the connection, and with it
	// an answer that has not arrived (RFC 9112, section 9.6).
	hangUpWait = 500 * time.Millisecond
	// bigWave is how many requests leave behind, when they are detached, what is
	// worth the collector's while: about 20 KiB each. While more are coming it comes
	// by itself. When there has been none for waveOver, it might not for minutes: its
	// goal was set when all of that was in use.
	bigWave  = 1000
	waveOver = time.Second
)

// Detached is a request whose answer comes after its handler has returned. It
// holds the connection, and nothing that net/http has for one: no goroutine and
// no buffer.
type Detached struct {
	wrapper  *wrapper
	server   *Server
	conn     net.Conn
	state    *state
	began    time.Time
	method   string
	pattern  string
	answered atomic.Bool
}

// Detach takes the request's connection away from net/http, for an answer that
// is a long time coming. The handler must then return and touch neither w, r nor
// its context's notes; somebody must call Answer.
//
// It declines, with nil, where the handler has to wait: the answer has begun or
// has no body, the connection speaks something else than plain HTTP/1.1, or no
// Server would wait for the answer when it is told to stop. The body must have
// been read.
//
// The connection ends with the answer. What the client may have sent behind this
// request is not looked at: the answer says so, with Connection: close.
func Detach(w http.ResponseWriter, r *http.Request) *Detached {
	rec, _ := w.(*recorder)
	server, _ := r.Context().Value(serverKey{}).(*Server)
	if rec == nil || server == nil || rec.status != 0 || r.Method == http.MethodHead ||
		r.TLS != nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		return nil
	}
	d := &Detached{
		wrapper: rec.wrapper, server: server, state: rec.state, began: rec.began, method: r.Method, pattern: r.Pattern,
	}
	// Before net/http forgets it: a Server that stops must not miss it in between.
	if !server.detached.add(d) {
		return nil
	}
	conn, _, err := http.NewResponseController(rec.ResponseWriter).Hijack() // which ends every deadline
	if err != nil {
		server.detached.remove(d)
		return nil
	}
	server.detached.connect(d, conn)
	rec.detached = d
	return d
}

// Answer has write answer the request, sends what it wrote, hangs up, and does
// what Wrap does when a request is over. The request that write gets has the
// method, the pattern and the context's state of the true one, and nothing else;
// the answer has the headers that Wrap sets. Only the first call counts.
func (d *Detached) Answer(write func(w http.ResponseWriter, r *http.Request)) {
	if d.answered.Swap(true) {
		return
	}
	defer func() { go d.hangUp() }()
	// The goroutine is anybody's: no panic, Observe's say, may end it.
	defer func() {
		if p := recover(); p != nil {
			d.server.http.ErrorLog.Printf("edge: a detached answer panicked: %T", p)
		}
	}()
	r := &http.Request{Method: d.method, Pattern: d.pattern}
	d.state.attach(r)
	p, rec := d.compose(r, write)
	d.wrapper.done(rec, r, d.state, time.Since(d.began))
	if p == nil {
		return
	}
	_ = d.conn.SetWriteDeadline(time.Now().Add(answerTimeout)) // fails as the write will
	_, _ = d.conn.Write(p.bytes())                             // a client that has gone is not our fault
}

// compose has the answer written. A panic becomes a 500, also where it comes
// late: nothing has been sent. http.ErrAbortHandler is no answer, nil.
func (d *Detached) compose(r *http.Request, write func(http.ResponseWriter, *http.Request)) (p *page, rec *recorder) {
	blank := func() {
		p = &page{header: http.Header{}}
		setHeaders(p.header, d.state.id)
		rec = &recorder{ResponseWriter: p, request: r}
	}
	blank()
	defer func() {
		switch v := recover(); v {
		case nil:
		case any(http.ErrAbortHandler):
			p = nil
		default:
			blank()
			d.wrapper.panicked(rec, r, v)
		}
	}()
	write(rec, r)
	return p, rec
}

// hangUp ends the connection in a way that leaves the answer whole.
func (d *Detached) hangUp() {
	defer d.server.detached.remove(d)
	defer func() { _ = d.conn.Close() }()
	half, ok := d.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || d.conn.SetReadDeadline(time.Now().Add(hangUpWait)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, d.conn)
}

// page is an answer that is written whole.
type page struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's.
func (p *page) Header() http.Header { return p.header }

// WriteHeader sets the status, unless it is that of an interim answer.
func (p *page) WriteHeader(status int) {
	if status >= http.StatusOK {
		p.status = status
	}
}

// Write adds to the body.
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// bytes is the page as HTTP/1.1, after which the connection ends.
func (p *page) bytes() []byte {
	if p.status == 0 {
		p.status = http.StatusOK // as net/http has it for a handler that wrote nothing
	}
	p.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var out bytes.Buffer
	out.Grow(p.body.Len() + typicalAnswer)
	_ = (&http.Response{ // a buffer does not fail
		StatusCode: p.status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: p.header, ContentLength: int64(p.body.Len()), Body: io.NopCloser(&p.body),
	}).Write(&out)
	return out.Bytes()
}

// detachments are a Server's detached requests, which net/http knows no more.
type detachments struct {
	mu    sync.Mutex
	all   map[*Detached]struct{}
	ended bool          // the grace is over
	empty chan struct{} // of who waits; closed when the last one ends

	wave     int // how many have come since the collector was asked
	waveOver *time.Timer
}

// add reports whether there may be another one.
func (l *detachments) add(d *Detached) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.all == nil {
		l.all = map[*Detached]struct{}{}
	}
	l.all[d] = struct{}{}
	return true
}

// connect gives it its connection, which is closed where the grace is over.
func (l *detachments) connect(d *Detached, conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.conn = conn
	if l.ended {
		_ = conn.Close()
	}
	l.wave++
	if l.waveOver == nil {
		l.waveOver = time.AfterFunc(waveOver, l.collect)
	}
	l.waveOver.Reset(waveOver)
}

// collect frees what a wave has left behind.
func (l *detachments) collect() {
	l.mu.Lock()
	big := l.wave >= bigWave
	if big {
		l.wave = 0
	}
	l.mu.Unlock()
	if big {
		runtime.GC()
	}
}

func (l *detachments) remove(d *Detached) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, d)
	if len(l.all) == 0 {
		l.all = nil // a map never shrinks
		if l.empty != nil {
			close(l.empty)
			l.empty = nil
		}
	}
}

// wait waits until there is none, or returns the error of ctx when that is done.
func (l *detachments) wait(ctx context.Context) error {
	l.mu.Lock()
	if len(l.all) == 0 {
		l.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	l.empty = empty
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end closes the connections of all there are. Their answers go nowhere.
func (l *detachments) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for d := range l.all {
		if d.conn != nil {
			_ = d.conn.Close()
		}
	}
}
