package twiliosim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The control API:
//
//	GET    /sim/                page with a phone that shows the texts
//	GET    /sim/messages?to=…   {"messages":[…]}, newest first; ?limit=n
//	DELETE /sim/messages        forgets them all; those on their way stop
//	GET    /sim/ledger          {"creates":[…],"dropped":n,"lists":n}, oldest first
//	DELETE /sim/ledger          empties it
//	POST   /sim/inbound         {"from","to","body"}: a person texts the account; 201 with the message
//	GET    /sim/faults          the faults in force
//	PUT    /sim/faults          replaces them (type Faults)
//	DELETE /sim/faults          ends them
//	POST   /sim/keys            {"friendly_name","main":bool} -> an API key with its secret
//	GET    /sim/events          server-sent events: message, reset
//	GET    /sim/state           counts of what is kept, posted and dropped
//
// It is for one laptop, and it shows texts with codes in them. Therefore it
// answers only under host names of this machine (or AllowedHosts), so that a
// web page that points its own name here learns nothing; and it refuses
// requests that a browser makes on behalf of another site.

// controlRoutes is the control API without the page's own files.
func (s *Server) controlRoutes() map[string]map[string]http.HandlerFunc {
	return map[string]map[string]http.HandlerFunc{
		"/sim/messages": {"GET": s.simMessages, "DELETE": s.simClear(false)},
		"/sim/ledger":   {"GET": s.simLedger, "DELETE": s.simClear(true)},
		"/sim/inbound":  {"POST": s.simInbound},
		"/sim/faults":   {"GET": s.simGetFaults, "PUT": s.simPutFaults, "DELETE": s.simDeleteFaults},
		"/sim/keys":     {"POST": s.simKeys},
		"/sim/events":   {"GET": s.streamEvents},
		"/sim/state":    {"GET": s.simState},
	}
}

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case s.ctx.Err() != nil:
		controlError(w, http.StatusServiceUnavailable, "the simulator is closed")
		return
	case !s.localHost(r.Host):
		controlError(w, http.StatusForbidden, "this host name is not one of the simulator's; see AllowedHosts")
		return
	case crossSite(r):
		controlError(w, http.StatusForbidden, "requests from other sites are refused")
		return
	}
	if servePage(w, r) {
		return
	}
	methods := s.control[r.URL.Path]
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	switch h := methods[method]; {
	case methods == nil:
		controlError(w, http.StatusNotFound, "no such resource")
	case h == nil:
		controlError(w, http.StatusMethodNotAllowed, "no such method here")
	default:
		h(w, r)
	}
}

// crossSite reports whether a browser makes the request for another site. A
// person may follow a link to the page; everything else must come from here.
func crossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // another port of this machine is another site's business
		navigation := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		return !(navigation && r.Method == http.MethodGet && (r.URL.Path == "/sim/" || r.URL.Path == "/sim"))
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	return !strings.EqualFold(host, r.Host)
}

func controlError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, status, map[string]string{"error": text})
}

func controlJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, http.StatusOK, v)
}

func (s *Server) simMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if q.Get("limit") != "" && (err != nil || limit < 1) {
		controlError(w, http.StatusBadRequest, "limit is not a positive number")
		return
	}
	// A + that nobody escaped arrives as a space.
	to := q.Get("to")
	if strings.HasPrefix(to, " ") {
		to = "+" + strings.TrimLeft(to, " ")
	}
	controlJSON(w, map[string]any{"messages": s.box.messages(to, limit)})
}

func (s *Server) simLedger(w http.ResponseWriter, _ *http.Request) {
	creates, dropped, lists := s.box.creates()
	controlJSON(w, map[string]any{"creates": creates, "dropped": dropped, "lists": lists})
}

// simClear empties the messages, or the ledger.
func (s *Server) simClear(ledger bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if ledger {
			s.box.clearLedger()
		} else {
			s.box.clearMessages()
			s.hub.publish(event{kind: "reset"})
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) simGetFaults(w http.ResponseWriter, _ *http.Request) {
	controlJSON(w, s.faults.get())
}

func (s *Server) simPutFaults(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Faults
		Rate *float64 `json:"rate"` // tells an explicit 0, which would hit every create
	}
	if err := readJSON(w, r, &in); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	f := in.Faults
	if in.Rate != nil {
		if f.Rate = *in.Rate; f.Rate == 0 {
			controlError(w, http.StatusBadRequest, "rate is 0, which hits nothing; leave it out to hit every create")
			return
		}
	}
	if err := s.SetFaults(f); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.o.Logger.Info("faults set", "status", f.Status, "code", f.Code, "accept_then", f.AcceptThen,
		"outcome", f.Outcome, "callbacks", f.Callbacks, "latency_ms", f.LatencyMS, "reads", f.Reads)
	controlJSON(w, f)
}

func (s *Server) simDeleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) simKeys(w http.ResponseWriter, r *http.Request) {
	var in struct {
		FriendlyName string `json:"friendly_name"`
		Main         bool   `json:"main"`
	}
	if err := readJSON(w, r, &in); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	k := s.reg.newKey(s.ids, in.FriendlyName, in.Main)
	j := k.resource()
	j.Secret = k.secret
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, http.StatusCreated, j)
}

func (s *Server) simState(w http.ResponseWriter, _ *http.Request) {
	messages, steps, creates, dropped := s.box.size()
	s.faults.mu.Lock()
	hits := s.faults.hits
	s.faults.mu.Unlock()
	s.calls.mu.Lock()
	waiting := s.calls.waiting
	s.calls.mu.Unlock()
	s.reg.mu.RLock()
	optOuts := len(s.reg.optOuts)
	s.reg.mu.RUnlock()
	controlJSON(w, map[string]int64{
		"messages": messages, "steps_due": steps,
		"creates": creates, "creates_dropped": dropped, "fault_hits": hits, "opt_outs": int64(optOuts),
		"callbacks_waiting": int64(waiting), "callbacks_posted": s.calls.posted.Load(),
		"callbacks_failed": s.calls.failed.Load(), "callbacks_dropped": s.calls.dropped.Load(),
	})
}

// readJSON reads one strict JSON document; unknown fields are refused.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text behind the JSON document")
	}
	return nil
}
