package twiliosim

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a simulated Twilio. It is an http.Handler; make one with New and
// end it with Close.
type Server struct {
	o       Options
	ids     *idSource
	reg     *registry
	box     *box
	faults  faultBox
	hub     hub
	calls   *dispatcher
	routes  map[string]methods
	control map[string]map[string]http.HandlerFunc

	inFlight atomic.Int64
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

var _ http.Handler = (*Server)(nil)

// New starts a simulator. It needs no port: mount it on any HTTP server, or on
// an httptest.Server.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, ids: newIDSource(o.Seed), box: newBox(o.MaxMessages)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.reg = newRegistry(o, s.ids)
	s.calls = newDispatcher(s)
	s.routes, s.control = s.apiRoutes(), s.controlRoutes()
	s.wg.Go(s.runProgress)
	return s
}

// Close ends every goroutine of the simulator and waits for them. Requests
// that hang, wait or stream end too; later requests are answered 503.
func (s *Server) Close() error {
	s.stop()
	s.calls.close()
	s.wg.Wait()
	return nil
}

// ServeHTTP answers Twilio's API, the control API and the page.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/":
		http.Redirect(w, r, "/sim/", http.StatusFound)
	case path == "/sim" || strings.HasPrefix(path, "/sim/"):
		s.serveControl(w, r)
	default:
		s.serveAPI(w, r)
	}
}

// Messages returns the messages to one number, or all of them when to is
// empty, newest first.
func (s *Server) Messages(to string) []Message {
	return s.box.messages(to, 0)
}

// Ledger returns every create that was taken and is still kept, oldest first.
func (s *Server) Ledger() []Create {
	creates, _, _ := s.box.creates()
	return creates
}

// SetFaults replaces the faults in force; the counts start anew. It refuses
// values that contradict each other and leaves the old ones in force.
func (s *Server) SetFaults(f Faults) error { return s.faults.set(f) }

// ClearFaults ends all faults. Messages already taken keep their fate.
func (s *Server) ClearFaults() { s.faults.clear() }

// Reset brings the simulator back to its first state: no messages, no ledger,
// no faults, the default number and service, no API keys, no opt-outs.
func (s *Server) Reset() {
	s.faults.clear()
	s.box.clearMessages()
	s.box.clearLedger()
	s.reg.reset(s.o, s.ids)
	s.hub.publish(event{kind: "reset"})
}

// pause waits for d. It reports false when the client has gone away or the
// simulator was closed meanwhile.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}
