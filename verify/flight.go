package verify

import (
	"context"
	"fmt"
	"sync"
)

// flight counts the calls and sends that are under way.
type flight struct {
	mu     sync.RWMutex // keeps enter and close apart: a group that is waited for must not grow from zero
	closed bool
	// closing is closed with it: who waits for another try waits no longer.
	closing chan struct{}
	group   sync.WaitGroup

	sending sync.Mutex
	sends   map[string]struct{} // the ids of those that this process is making
}

func (f *flight) enter() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return false
	}
	f.group.Add(1)
	return true
}

func (f *flight) leave() { f.group.Done() }

// begin and end say that this process is making a send, and that it is done.
func (f *flight) begin(send string) {
	f.sending.Lock()
	defer f.sending.Unlock()
	f.sends[send] = struct{}{}
}

func (f *flight) end(send string) {
	f.sending.Lock()
	defer f.sending.Unlock()
	delete(f.sends, send)
}

func (f *flight) making(send string) bool {
	f.sending.Lock()
	defer f.sending.Unlock()
	_, ok := f.sends[send]
	return ok
}

// Close refuses further starts and resends with ErrUnavailable and waits until
// the sends in flight have ended and their outcomes are written, or ctx is
// done. The store and the connector may be closed when it has returned nil.
// Checks go on working.
func (s *Service) Close(ctx context.Context) error {
	s.flight.mu.Lock()
	if !s.flight.closed {
		s.flight.closed = true
		close(s.flight.closing)
	}
	s.flight.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		s.flight.group.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("verify: wait for the sends in flight: %w", ctx.Err())
	}
}
