package twiliosim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// event is one line of the stream /sim/events: a message that came or changed,
// or a reset, after which the reader should fetch /sim/messages anew.
type event struct {
	kind string // message or reset
	m    Message
}

// hub hands events to those who listen. A listener that cannot keep up loses
// events and is told so by a reset; it never holds anyone up.
type hub struct {
	count atomic.Int64 // of listeners, so that a publish without any costs nothing
	mu    sync.Mutex
	all   map[*listener]struct{}
}

type listener struct {
	events chan event
	lost   atomic.Bool
}

const listenerBuffer = 256

func (h *hub) join() *listener {
	l := &listener{events: make(chan event, listenerBuffer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[*listener]struct{}{}
	}
	h.all[l] = struct{}{}
	h.count.Add(1)
	return l
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, l)
	h.count.Add(-1)
}

func (h *hub) publish(e event) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.all {
		select {
		case l.events <- e:
		default:
			l.lost.Store(true)
		}
	}
}

// publishMessage publishes the present state of m. The caller holds box.mu.
func (h *hub) publishMessage(m *message) {
	if h.count.Load() > 0 {
		h.publish(event{kind: "message", m: m.public()})
	}
}

// maxListeners bounds the open streams.
const maxListeners = 64

// streamEvents answers GET /sim/events as server-sent events. It begins with a
// reset, so that a reader that reconnects misses nothing.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	if s.hub.count.Load() >= maxListeners {
		controlError(w, http.StatusServiceUnavailable, "too many streams are open")
		return
	}
	l := s.hub.join()
	defer s.hub.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	send := func(text []byte) bool {
		// A reader that stopped reading must not hold the stream for ever.
		_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, err := w.Write(text)
		return err == nil && rc.Flush() == nil
	}
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // the connection may live on
	if !send([]byte("event: reset\ndata: {}\n\n")) {
		return
	}
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for {
		var text []byte
		select {
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		case <-alive.C:
			text = []byte(": alive\n\n")
		case e := <-l.events:
			text = e.encode()
		}
		if l.lost.CompareAndSwap(true, false) {
			text = append(text, "event: reset\ndata: {}\n\n"...)
		}
		if !send(text) {
			return
		}
	}
}

func (e event) encode() []byte {
	if e.kind == "reset" {
		return []byte("event: reset\ndata: {}\n\n")
	}
	data, err := json.Marshal(e.m)
	if err != nil {
		return nil // strings and times always encode
	}
	return bytes.Join([][]byte{[]byte("event: message\ndata: "), data, []byte("\n\n")}, nil)
}
