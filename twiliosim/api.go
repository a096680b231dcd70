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

// A handler answers with a status and what is shown as JSON, nil for an empty
// answer, or with an error. Status 0 is of one that has ended the connection.
// It may hold a lock to its end: the answer is written behind it.
type handler func(*exchange) (status int, v any, e *apiError)

type methods map[string]handler

// apiRoutes is the whole REST API. Path segments at odd places are sids and
// stand as *; the account's own segment is left out. See key.
func (s *Server) apiRoutes() map[string]methods {
	return map[string]methods{
		"Accounts":                              {"GET": s.listAccounts},
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
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	start time.Time
	who   caller
	path  []string // its segments, behind the account's or the version's
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

	status, v, e := x.answer(n)
	switch {
	case e != nil:
		x.json(e.Status, e)
	case status == 0: // nobody is left to answer
	case v == nil:
		x.stamp()
		w.WriteHeader(status)
	default:
		x.json(status, v)
	}
}

// answer runs the handler of a request, the n-th of those in flight.
func (x *exchange) answer(n int64) (int, any, *apiError) {
	s := x.s
	switch {
	case s.ctx.Err() != nil:
		return 0, nil, refuse(20503)
	case crossSite(x.r) || !s.restHost(x.r.Host):
		return 0, nil, newAPIError(http.StatusForbidden, 20003, "The simulator answers no web page but its own, and no host name that could be one; see AllowedHosts")
	case s.o.MaxConcurrent > 0 && n > int64(s.o.MaxConcurrent):
		return 0, nil, refuse(20429)
	}
	h, e := x.route()
	if e == nil && !x.creates() {
		e = x.suffer(s.faults.drawRead()) // a create draws for itself
	}
	if e != nil {
		return 0, nil, e
	}
	return h(x)
}

// creates reports whether the routed request is one to create a message.
func (x *exchange) creates() bool {
	return x.r.Method == http.MethodPost && len(x.path) == 1 && x.path[0] == "Messages"
}

// route authenticates the caller and finds the resource, then the method: who
// may not use a resource learns nothing of its methods.
func (x *exchange) route() (handler, *apiError) {
	var ok bool
	if x.who, ok = x.s.authenticate(x.r); !ok {
		return nil, x.unauthorized()
	}
	key, method := x.key(), x.r.Method
	found := x.s.routes[key]
	switch {
	case found == nil:
		return nil, x.missing()
	case x.who.acct.test && !(method == "POST" && (key == "2010 Messages" || key == "2010 IncomingPhoneNumbers")):
		return nil, refuse(20008)
	case x.who.standard() && (key == "Accounts" || key == "2010 " || strings.HasPrefix(key, "2010 Keys")):
		return nil, x.unauthorized()
	case found[method] == nil:
		return nil, refuse(20004)
	}
	return found[method], nil
}

// key names the resource as apiRoutes does. It is empty for a path that has
// none: good credentials with another account in the path find nothing either.
func (x *exchange) key() string {
	path := x.r.URL.Path
	if rest, ok := strings.CutPrefix(path, v1); ok {
		return "v1 " + x.wild(rest)
	}
	path, ok := strings.CutSuffix(path, ".json")
	if !ok {
		return ""
	}
	if path+"/" == v2010 {
		return "Accounts"
	}
	rest, ok := strings.CutPrefix(path, v2010)
	account, rest, _ := strings.Cut(rest, "/")
	if !ok || account != x.who.acct.sid {
		return ""
	}
	return "2010 " + x.wild(rest)
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

func (x *exchange) unauthorized() *apiError {
	x.w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	return refuse(20003)
}

// missing is the error for the resource that was asked for.
func (x *exchange) missing() *apiError { return refuse(20404, x.r.URL.Path) }

func (x *exchange) query() params { return params(x.r.URL.Query()) }

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

// restHost reports whether a REST request's Host header may stand there. The
// default credentials are public: a web page that rebinds its own host name to
// this machine could otherwise read the texts. A page has a name with a dot
// from somebody's domain; Twilio's own names, addresses and the undotted names
// of a private network cannot be rebound.
func (s *Server) restHost(host string) bool {
	name := hostName(host)
	return s.localHost(host) || net.ParseIP(name) != nil || !strings.Contains(name, ".") ||
		name == "twilio.com" || strings.HasSuffix(name, ".twilio.com")
}

// hostName is a Host header without port and brackets, in lower case.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// localHost reports whether a Host header names this machine: a loopback
// address, localhost, or one of Options.AllowedHosts.
func (s *Server) localHost(host string) bool {
	name := hostName(host)
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
