package edge

import (
	"context"
	"log/slog"
	"net/http"
)

// state is what one request gathers on its way.
type state struct {
	id    string
	notes []slog.Attr
	few   [4]slog.Attr // what notes begin in
}

type stateKey struct{}

// attach puts the state into the request's context. It changes the request
// itself: net/http keeps that for as long as a handler would keep a copy, and one
// is enough while a provider takes its time. The copy in between must not stand
// on the stack of the handler.
//
//go:noinline
func (s *state) attach(r *http.Request) {
	*r = *r.WithContext(context.WithValue(r.Context(), stateKey{}, s))
}

func stateOf(ctx context.Context) *state {
	s, _ := ctx.Value(stateKey{}).(*state)
	return s
}

// RequestID returns the id of the request that ctx belongs to, or "" outside of
// Wrap. It is in the answer's X-Request-ID, in every problem and in the log.
func RequestID(ctx context.Context) string {
	if s := stateOf(ctx); s != nil {
		return s.id
	}
	return ""
}

// Note adds attributes to the request's log line. It is for the handler's own
// goroutine, and after Detach for Answer's.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if s := stateOf(ctx); s != nil {
		s.notes = append(s.notes, attrs...)
	}
}
