package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Timeouts bound what a client may keep us waiting for. Zero fields have the
// values of DefaultTimeouts.
type Timeouts struct {
	Header time.Duration // from the connection's first byte to the headers' end
	Read   time.Duration // to the body's end
	Write  time.Duration // to the answer's end; longer than any handler may take
	Idle   time.Duration // between two requests of one connection
	Grace  time.Duration // for what is in flight when the server is told to stop
}

// DefaultTimeouts returns the bounds of a server on the open internet. Headers
// that take more than five seconds come from a client that means harm or is
// gone. Write outlasts a start that waits a minute for its provider, and Grace
// the default ten seconds of it.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Header: 5 * time.Second, Read: 15 * time.Second, Write: 90 * time.Second,
		Idle: 2 * time.Minute, Grace: 30 * time.Second,
	}
}

// maxHeaderBytes is many times what a caller of ours needs. net/http allows
// 4 KiB on top of it.
const maxHeaderBytes = 16 << 10

// Server is one listener's server. A request's context outlives Serve's: to be
// told to stop is no reason to break off what is in flight. It ends with its
// connection; with one context above them all, each connection would be entered
// in that one's list, under its lock.
type Server struct {
	http     *http.Server
	grace    time.Duration
	detached detachments
}

// serverKey is the Server's in the context of its requests, for Detach.
type serverKey struct{}

// NewServer makes a server for a handler, usually one from Wrap. log gets what
// net/http has to say, without a client's words; nil is silent.
func NewServer(h http.Handler, t Timeouts, log *slog.Logger) *Server {
	d := DefaultTimeouts()
	for _, f := range []struct{ set, def *time.Duration }{
		{&t.Header, &d.Header}, {&t.Read, &d.Read}, {&t.Write, &d.Write}, {&t.Idle, &d.Idle}, {&t.Grace, &d.Grace},
	} {
		if *f.set <= 0 {
			*f.set = *f.def
		}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{grace: t.Grace}
	s.http = &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), serverKey{}, s) },
		ReadHeaderTimeout: t.Header,
		ReadTimeout:       t.Read,
		WriteTimeout:      t.Write,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// OnStop has f called when Serve begins to stop, for what does not end by
// itself, as event streams do not. It must be called before Serve.
func (s *Server) OnStop(f func()) { s.http.RegisterOnShutdown(f) }

// ErrUnfinished says that requests were broken off because they outlasted the
// grace.
var ErrUnfinished = errors.New("edge: requests were still in flight when the grace was over")

// Serve answers on ln until ctx is done. It then takes no new connection,
// finishes what is in flight within the grace, and returns nil, or
// ErrUnfinished. It closes ln. A Server serves once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("edge: serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	err := s.http.Shutdown(grace)
	if err == nil {
		err = s.detached.wait(grace) // nobody is left who could add to them
	}
	if err != nil {
		err = ErrUnfinished
		_ = s.http.Close() // its error would be the listener's, which is closed
		s.detached.end()
	}
	if e := <-failed; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	return err
}
