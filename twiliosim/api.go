package twiliosim

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	apiVersion = "2010-04-01"
	v2010      = "/" + apiVersion + "/Accounts/"
	v1         = "/v1/"

	// maxForm bounds a posted form; Twilio's longest parameters are a few KB.
	maxForm = 1 << 20
)

type (
	handler func(*exchange)
	methods map[string]handler
)

// apiRoutes is the whole REST API. Path segments at odd places are sids and
// stand as *; the account's own segment is left out.
func (s *Server) apiRoutes() map[string]methods {
	return map[string]methods{
		"2010 ":                                 {"GET": s.getAccount},
		"2010 Balance":                          {"GET": s.getBalance},
		"2010 Messages":                         {"GET": s.listMessages, "POST": s.createMessage},
		"2010 Messages/*":                       {"GET": s.getMessage, "POST": s.updateMessage, "DELETE": s.deleteMessage},
		"2010 Messages/*/Feedback":              {"POST": s.createFeedback},
		"2010 Messages/*/Media":                 {"GET": s.listMedia},
		"2010 Keys":                             {"GET": s.listKeys, "POST": s.createKey},
		"2010 Keys/*":                           {"GET": s.getKey, "DELETE": s.deleteKey},
		"2010 OutgoingCallerIds":                {"GET": s.listCallerIDs},
		"2010 IncomingPhoneNumbers":             {"GET": s.listNumbers, "POST": s.buyNumber},
		"2010 IncomingPhoneNumbers/*":           {"GET": s.getNumber, "DELETE": s.releaseNumber},
		"2010 AvailablePhoneNumbers/*/Local":    {"GET": s.searchNumbers},
		"2010 AvailablePhoneNumbers/*/Mobile":   {"GET": s.searchNumbers},
		"2010 AvailablePhoneNumbers/*/TollFree": {"GET": s.searchNumbers},

		"v1 Services":                  {"GET": s.listServices, "POST": s.createService},
		"v1 Services/Usecases":         {"GET": s.listUsecases},
		"v1 Services/*":                {"GET": s.getService, "POST": s.updateService, "DELETE": s.deleteService},
		"v1 Services/*/ShortCodes":     {"GET": s.listNone("short_codes")},
		"v1 Services/*/AlphaSenders":   {"GET": s.listNone("alpha_senders")},
		"v1 Services/*/PhoneNumbers":   {"GET": s.listServiceNumbers, "POST": s.addServiceNumber},
		"v1 Services/*/PhoneNumbers/*": {"GET": s.getServiceNumber, "DELETE": s.removeServiceNumber},
	}
}

// exchange is one API request on its way through the simulator.
type exchange struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time
	who     caller
	account string // the AccountSid of a v2010 path
	path    []string
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, start: time.Now()}
	n := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)

	// These are the headers seen on Twilio's answers.
	h := w.Header()
	h.Set("Twilio-Request-Id", s.ids.sid("RQ"))
	h.Set("Twilio-Concurrent-Requests", strconv.FormatInt(n, 10))
	h.Set("X-Home-Region", "us1")
	h.Set("X-Api-Domain", "api.twilio.com")
	if strings.HasPrefix(r.URL.Path, v1) {
		h.Set("X-Api-Domain", "messaging.twilio.com")
	}
	h.Set("X-Shenanigans", "none")
	h.Set("X-Powered-By", "AT-5000")

	switch {
	case s.ctx.Err() != nil:
		x.refuse(20503)
		return
	case crossSite(r) || fromBrowser(r) && !s.localHost(r.Host):
		x.fail(newAPIError(http.StatusForbidden, 20003, "The simulator answers no web page but its own; see AllowedHosts"))
		return
	case s.o.MaxConcurrent > 0 && n > int64(s.o.MaxConcurrent):
		x.refuse(20429)
		return
	}
	if methods := x.route(); methods == nil {
		x.refuse(20404, r.URL.Path)
	} else if h := methods[r.Method]; h == nil {
		x.refuse(20004)
	} else {
		h(x)
	}
}

// route authenticates the caller and finds the resource. When the caller is
// refused it returns a handler that says so, whatever the method.
func (x *exchange) route() methods {
	var ok bool
	if x.who, ok = x.s.authenticate(x.r); !ok {
		return always(x.unauthorized)
	}
	key := ""
	path := x.r.URL.Path
	switch {
	case strings.HasPrefix(path, v2010):
		rest, json := strings.CutSuffix(path[len(v2010):], ".json")
		if !json {
			return nil
		}
		account, rest, _ := strings.Cut(rest, "/")
		if account != x.who.acct.sid {
			return nil // good credentials, another account: 20404
		}
		x.account = account
		key = "2010 " + x.wild(rest)
	case path == strings.TrimSuffix(v2010, "/")+".json":
		return methods{"GET": guarded(x.s.listAccounts)}
	case strings.HasPrefix(path, v1):
		key = "v1 " + x.wild(path[len(v1):])
	}
	found := x.s.routes[key]
	switch {
	case found == nil:
		return nil
	case x.who.acct.test && !(x.r.Method == "POST" && (key == "2010 Messages" || key == "2010 IncomingPhoneNumbers")):
		return always(func(x *exchange) { x.refuse(20008) })
	case x.who.standard() && (key == "2010 " || strings.HasPrefix(key, "2010 Keys")):
		return always(x.unauthorized)
	}
	return found
}

func always(h func(*exchange)) methods {
	return methods{"GET": h, "POST": h, "PUT": h, "DELETE": h, "PATCH": h, "HEAD": h, "OPTIONS": h}
}

// guarded keeps test credentials and standard keys off the list of accounts.
func guarded(h handler) handler {
	return func(x *exchange) {
		switch {
		case x.who.acct.test:
			x.refuse(20008)
		case x.who.standard():
			x.unauthorized(x)
		default:
			h(x)
		}
	}
}

// wild splits the path into x.path and returns it with a * for each sid.
func (x *exchange) wild(rest string) string {
	x.path = strings.Split(rest, "/")
	if len(x.path) == 1 || rest == "Services/Usecases" {
		return rest
	}
	p := append([]string(nil), x.path...)
	for i := 1; i < len(p); i += 2 {
		p[i] = "*"
	}
	return strings.Join(p, "/")
}

func (*exchange) unauthorized(x *exchange) {
	x.w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	x.refuse(20003)
}

func (x *exchange) refuse(code int, values ...any) { x.fail(refuse(code, values...)) }

func (x *exchange) notFound() { x.refuse(20404, x.r.URL.Path) }

func (x *exchange) fail(e *apiError) { x.json(e.Status, e) }

// form parses the posted parameters. Twilio ignores a body of another type, so
// that its parameters are missing; only the posted ones count here.
func (x *exchange) form() (params, *apiError) {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxForm)
	if err := x.r.ParseForm(); err != nil {
		return nil, newAPIError(http.StatusBadRequest, 20422, "Invalid Parameter: the form cannot be read")
	}
	return params(x.r.PostForm), nil
}

func (x *exchange) json(status int, v any) {
	x.stamp()
	x.w.Header().Set("Content-Type", "application/json")
	writeJSON(x.w, status, v)
}

// stamp tells how long the request took, in seconds.
func (x *exchange) stamp() {
	took := time.Since(x.start)
	x.w.Header().Set("Twilio-Request-Duration", strconv.FormatFloat(took.Seconds(), 'f', 3, 64))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	buf := bytes.NewBuffer(make([]byte, 0, 1024)) // a message takes about 800
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		http.Error(w, "twiliosim: cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the client may be gone; nobody is left to tell
}

// noContent answers 204, as deletes do.
func (x *exchange) noContent() {
	x.stamp()
	x.w.WriteHeader(http.StatusNoContent)
}

// fromBrowser guesses whether a web browser made the request. A page that
// rebinds its own host name to a loopback address could otherwise read the
// texts through the REST API, since the default credentials are public. No
// Twilio SDK sends any of these; Node's fetch sends the language *.
func fromBrowser(r *http.Request) bool {
	h := r.Header
	language := h.Get("Accept-Language")
	return h.Get("Origin") != "" || h.Get("Referer") != "" || h.Get("Sec-Fetch-Site") != "" ||
		language != "" && language != "*" || strings.HasPrefix(h.Get("User-Agent"), "Mozilla/")
}

// localHost reports whether a Host header names this machine: a loopback
// address, localhost, or one of Options.AllowedHosts.
func (s *Server) localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	name = strings.TrimSuffix(name, ".")
	if ip := net.ParseIP(name); ip != nil && ip.IsLoopback() {
		return true
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	for _, a := range s.o.AllowedHosts {
		if strings.EqualFold(a, name) || strings.EqualFold(a, host) {
			return true
		}
	}
	return false
}
