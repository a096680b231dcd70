package twiliosim_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// callback is one POST that the simulator made.
type callback struct {
	path  string
	form  url.Values
	token string // I-Twilio-Idempotency-Token
	user  string // of Basic credentials
}

// receiver is somebody's callback URL. It lets Twilio's validator judge every
// request before anything else.
type receiver struct {
	url  string
	got  chan callback
	mu   sync.Mutex
	plan []func(http.ResponseWriter, *http.Request) // what to do with the next requests
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	rc := &receiver{got: make(chan callback, 1000)}
	validator := client.NewRequestValidator(simToken)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		form, formErr := url.ParseQuery(string(body))
		if err != nil || formErr != nil || r.Method != http.MethodPost && r.Method != http.MethodGet {
			t.Errorf("%s that cannot be read: %v, %v", r.Method, err, formErr)
		}
		ct := r.Header.Get("Content-Type")
		if r.Method == http.MethodGet {
			form = r.URL.Query()
			if len(body) > 0 || ct != "" {
				t.Errorf("a GET with %d bytes of %q", len(body), ct)
			}
		} else if !regexp.MustCompile(`^application/x-www-form-urlencoded\b`).MatchString(ct) {
			t.Errorf("content type %q", ct)
		}
		// The URL as the receiver knows it: without the user and the fragment.
		if !validator.ValidateBody("http://"+r.Host+r.RequestURI, body, r.Header.Get("X-Twilio-Signature")) {
			t.Errorf("Twilio's validator refuses the callback %s", form.Get("MessageStatus"))
		}
		user, _, _ := r.BasicAuth()
		reply := rc.next() // before anybody hears of it and makes another plan
		rc.got <- callback{path: r.RequestURI, form: form, token: r.Header.Get("I-Twilio-Idempotency-Token"), user: user}
		reply(w, r)
	}))
	t.Cleanup(server.Close)
	rc.url = server.URL
	return rc
}

func (rc *receiver) next() func(http.ResponseWriter, *http.Request) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if len(rc.plan) == 0 {
		return answer(http.StatusNoContent)
	}
	f := rc.plan[0]
	rc.plan = rc.plan[1:]
	return f
}

// answers plans what the next requests are given; 204 follows.
func (rc *receiver) answers(fs ...func(http.ResponseWriter, *http.Request)) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.plan = fs
}

func answer(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// silence answers nothing until the caller has gone away.
func silence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// until collects callbacks up to and with the first of a status.
func (rc *receiver) until(t *testing.T, status string) []callback {
	t.Helper()
	var all []callback
	for patience := time.After(20 * time.Second); ; {
		select {
		case c := <-rc.got:
			all = append(all, c)
			if c.form.Get("MessageStatus") == status {
				return all
			}
		case <-patience:
			t.Fatalf("no callback %s after %v", status, statuses(all))
		}
	}
}

// receive waits for the next request, whatever it is.
func (rc *receiver) receive(t *testing.T) callback {
	t.Helper()
	select {
	case c := <-rc.got:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no request came")
		return callback{}
	}
}

func statuses(all []callback) []string {
	var s []string
	for _, c := range all {
		s = append(s, c.form.Get("MessageStatus"))
	}
	return s
}

func (r *rig) send(t *testing.T, p *api.CreateMessageParams) string {
	t.Helper()
	return val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(p)).Sid)
}

func fromNumber() *api.CreateMessageParams {
	return (&api.CreateMessageParams{}).SetTo(person).SetFrom(simNumber).SetBody("Your code is 123456.")
}

// TestSDKCallbacks: each step is called back, in order, but for the first.
func TestSDKCallbacks(t *testing.T) {
	t.Parallel()
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	for _, tt := range []struct {
		name    string
		faults  twiliosim.Faults
		service bool
		want    []string
		code    string
	}{
		{"service", twiliosim.Faults{}, true, []string{"queued", "sent", "delivered"}, ""},
		{"number", twiliosim.Faults{}, false, []string{"sent", "delivered"}, ""},
		{"undelivered", twiliosim.Faults{Outcome: "undelivered", ErrorCode: 30003}, true, []string{"queued", "sent", "undelivered"}, "30003"},
		{"failed", twiliosim.Faults{Outcome: "failed", ErrorCode: 30007}, true, []string{"queued", "failed"}, "30007"},
		{"failed from a number", twiliosim.Faults{Outcome: "failed", ErrorCode: 30007}, false, []string{"failed"}, "30007"},
		{"no receipt", twiliosim.Faults{Outcome: "sent"}, true, []string{"queued", "sent"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := r.sim.SetFaults(tt.faults); err != nil {
				t.Fatal(err)
			}
			p := fromNumber()
			if tt.service {
				p = text(person, "Your code is 123456.")
			}
			sid := r.send(t, p.SetStatusCallback(rc.url+"/cb/s%2F1?app=a+b&send=%C3%B3"))
			last := tt.want[len(tt.want)-1]
			all := rc.until(t, last)
			if got := statuses(all); !slices.Equal(got, tt.want) {
				t.Fatalf("callbacks %v, want %v", got, tt.want)
			}
			tokens := map[string]bool{}
			for _, c := range all {
				tokens[c.token] = true
				status, want := c.form.Get("MessageStatus"), map[string]string{
					"MessageSid": sid, "SmsSid": sid, "SmsStatus": c.form.Get("MessageStatus"), "AccountSid": simAccount,
					"From": simNumber, "To": person, "ApiVersion": "2010-04-01", "MessagingServiceSid": "", "ErrorCode": "",
				}
				if tt.service {
					want["MessagingServiceSid"] = simService
				}
				if status == "failed" || status == "undelivered" {
					want["ErrorCode"] = tt.code
				}
				for name, v := range want {
					if c.form.Get(name) != v || c.form.Has(name) != (v != "") {
						t.Errorf("%s: %s is %q, want %q", status, name, c.form.Get(name), v)
					}
				}
				if done := c.form.Get("RawDlrDoneDate"); done != "" && (!regexp.MustCompile(`^\d{10}$`).MatchString(done) || status != "delivered" && status != "undelivered") {
					t.Errorf("%s: RawDlrDoneDate %q", status, done)
				}
				if c.path != "/cb/s%2F1?app=a+b&send=%C3%B3" {
					t.Errorf("%s came to %s", status, c.path)
				}
			}
			if len(tokens) != len(all) || tokens[""] {
				t.Errorf("%d idempotency tokens for %d events", len(tokens), len(all))
			}
		})
	}
}

// TestSDKCallbackURLs: the message's URL goes before its service's, and a user
// in it is sent but not signed.
func TestSDKCallbackURLs(t *testing.T) {
	t.Parallel()
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	if _, err := r.messaging.UpdateService(simService, (&messaging.UpdateServiceParams{}).SetStatusCallback(rc.url+"/service")); err != nil {
		t.Fatal(err)
	}
	r.send(t, text(person, "Your code is 123456."))
	if c := rc.until(t, "delivered")[0]; c.path != "/service" {
		t.Errorf("the callback came to %s, want the service's URL", c.path)
	}
	own, err := url.Parse(rc.url + "/message?x=1")
	if err != nil {
		t.Fatal(err)
	}
	own.User = url.UserPassword("user", "secret")
	r.send(t, text(person, "Your code is 123456.").SetStatusCallback(own.String()+"#rc=2&rp=5xx"))
	if c := rc.until(t, "delivered")[0]; c.path != "/message?x=1" || c.user != "user" {
		t.Errorf("the callback came to %s for user %q, want the message's own URL", c.path, c.user)
	}
}

// TestSDKCallbackRetries: by default Twilio repeats a callback only when it
// could not connect; the fragment of the URL may ask for more.
func TestSDKCallbackRetries(t *testing.T) {
	t.Parallel()
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	type plan = []func(http.ResponseWriter, *http.Request)
	fail, bad := answer(http.StatusInternalServerError), answer(http.StatusBadRequest)
	for _, tt := range []struct {
		fragment string
		plan     plan
		sent     int // how often the callback sent is made
	}{
		{"", plan{fail}, 1},
		{"", plan{answer(http.StatusTooManyRequests)}, 1},
		{"", plan{answer(http.StatusTemporaryRedirect)}, 1},
		{"#rt=100", plan{silence}, 1},
		{"#rp=5xx", plan{fail, fail}, 2}, // rc is 1 by default
		{"#rc=3&rp=5xx", plan{fail, fail, fail}, 4},
		{"#rc=5&rp=5xx", plan{fail, answer(http.StatusNoContent)}, 2},
		{"#rc=3&rp=5xx", plan{bad}, 1},
		{"#rc=2&rp=4xx", plan{bad, bad, bad}, 3},
		{"#rc=2&rp=4xx,5xx", plan{bad, fail, bad}, 3},
		{"#rc=2&rp=all", plan{bad, fail, bad}, 3},
		{"#rc=0&rp=all", plan{fail}, 1},
		{"#rc=1&rp=rt&rt=100", plan{silence, silence}, 2},
	} {
		t.Run(tt.fragment, func(t *testing.T) {
			rc.answers(tt.plan...)
			r.send(t, fromNumber().SetStatusCallback(rc.url+"/cb"+tt.fragment))
			all := rc.until(t, "delivered")
			if n := len(all) - 1; n != tt.sent {
				t.Fatalf("callbacks %v: sent came %d times, want %d", statuses(all), n, tt.sent)
			}
			for _, c := range all[:tt.sent] {
				if c.token != all[0].token || c.token == "" || c.form.Encode() != all[0].form.Encode() {
					t.Error("a repeated callback differs from the first, or has another idempotency token")
				}
			}
			if last := all[tt.sent]; last.token == all[0].token {
				t.Error("two events have one idempotency token")
			}
		})
	}
}

// TestSDKCallbackConnectRetry: a connection that fails is tried once more, and
// no more than that.
func TestSDKCallbackConnectRetry(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int64]string{1: "sent", 2: "delivered"} {
		rc := newReceiver(t)
		var dials atomic.Int64
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) <= failures {
				return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		r := newRig(t, twiliosim.Options{CallbackClient: &http.Client{Transport: transport}})
		r.send(t, fromNumber().SetStatusCallback(rc.url+"/cb"))
		if got := statuses(rc.until(t, "delivered"))[0]; got != want {
			t.Errorf("after %d failed connections the first callback is %s, want %s", failures, got, want)
		}
	}
}

// TestSDKCallbackFaults: the simulator can lose callbacks, double them and mix
// them up, as the network may.
func TestSDKCallbackFaults(t *testing.T) {
	t.Parallel()
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	set := func(callbacks string) {
		if err := r.sim.SetFaults(twiliosim.Faults{Callbacks: callbacks}); err != nil {
			t.Fatal(err)
		}
	}
	set("reorder")
	r.send(t, text(person, "Your code is 123456.").SetStatusCallback(rc.url+"/cb"))
	if got, want := statuses(rc.until(t, "queued")), []string{"delivered", "sent", "queued"}; !slices.Equal(got, want) {
		t.Errorf("reordered callbacks %v, want %v", got, want)
	}
	set("duplicate")
	r.send(t, text(person, "Your code is 123456.").SetStatusCallback(rc.url+"/cb"))
	all := append(rc.until(t, "delivered"), rc.until(t, "delivered")...)
	if got, want := statuses(all), []string{"queued", "queued", "sent", "sent", "delivered", "delivered"}; !slices.Equal(got, want) {
		t.Errorf("doubled callbacks %v, want %v", got, want)
	}
	set("none")
	silent := r.send(t, text(person, "Your code is 123456.").SetStatusCallback(rc.url+"/cb"))
	r.reaches(t, silent, "delivered")
	set("normal")
	loud := r.send(t, text(person, "Your code is 123456.").SetStatusCallback(rc.url+"/cb"))
	for _, c := range rc.until(t, "delivered") {
		if c.form.Get("MessageSid") != loud {
			t.Error("a callback came that was to be lost")
		}
	}
}
