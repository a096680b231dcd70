package edge

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestStopWaitsForDetached(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{}, nil)
	c, d := s.ask(t, post)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for { // until the listener is closed
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped (%v) with a detached request", err)
	case <-time.After(50 * time.Millisecond):
	}
	d.Answer(created)
	if res, _ := hear(t, c); res.StatusCode != 201 {
		t.Errorf("got %d", res.StatusCode)
	}
	_ = c.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// What outlasts the grace is hung up on; the answer then goes nowhere. One that is
// being written to a client that does not read is broken off.
func TestStopBreaksDetachedOff(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{Grace: 100 * time.Millisecond}, nil)
	c, d := s.ask(t, post)
	_, large := s.ask(t, post)
	written := make(chan struct{})
	go func() {
		defer close(written)
		large.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 64<<20)) })
	}()
	if err := s.stop(); !errors.Is(err, ErrUnfinished) {
		t.Errorf("stop: %v", err)
	}
	if all, err := io.ReadAll(c); len(all) > 0 || err != nil {
		t.Errorf("got %q, %v", all, err)
	}
	<-written
	d.Answer(created)
	if lines := s.lines(t); len(lines) != 2 {
		t.Errorf("log: %v", lines)
	}
}

// A request that is detached just when the grace is over is not forgotten.
func TestDetachAtTheEnd(t *testing.T) {
	t.Parallel()
	var l detachments
	d, late := &Detached{}, &Detached{}
	if !l.add(d) {
		t.Fatal("refused")
	}
	l.end()
	here, there := net.Pipe()
	l.connect(d, here)
	if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("its connection is open: %v", err)
	}
	if l.add(late) {
		t.Error("another one is taken")
	}
	l.remove(d)
	if err := l.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// After a wave of a thousand the collector is asked, once it is over.
func TestWave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l detachments
		come := func(n, want int) {
			t.Helper()
			for range n {
				l.connect(&Detached{}, nil)
				<-time.After(waveOver / 2)
			}
			l.mu.Lock()
			got := l.wave
			l.mu.Unlock()
			if got != want+n {
				t.Errorf("a wave of %d, want %d", got, want+n)
			}
			<-time.After(2 * waveOver)
			synctest.Wait()
		}
		come(bigWave-1, 0)
		come(1, bigWave-1)
		come(1, 0)
	})
}
