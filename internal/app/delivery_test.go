package app_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// send is what the tests read of a text in an answer.
type send struct{ Connector, Status, Kind, ProviderID string }

func sendsOf(v map[string]any) (all []send) {
	list, _ := v["sends"].([]any)
	for _, one := range list {
		m, _ := one.(map[string]any)
		s := send{Connector: m["connector"].(string), Status: m["status"].(string)}
		s.ProviderID, _ = m["provider_id"].(string)
		if fault, ok := m["error"].(map[string]any); ok {
			s.Kind, _ = fault["kind"].(string)
		}
		all = append(all, s)
	}
	return all
}

// statuses are the statuses of a verification's texts, as the API tells them.
func (w *world) statuses(id string) (all []string) {
	w.t.Helper()
	_, v := w.call("GET", "/v1/verifications/"+id, nil)
	for _, s := range sendsOf(v) {
		all = append(all, s.Status)
	}
	return all
}

// until polls what the service does by itself, and at its own pace.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); !done(); <-poll.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

func (w *world) settles(id string, want ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf("%s to be %v", id, want), func() bool { return cmp.Equal(w.statuses(id), want) })
}

func (w *world) fail(f twiliosim.Faults) {
	w.t.Helper()
	if err := w.sim.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

// metric reads a figure with its labels off /metrics; 0 where there is none.
func (w *world) metric(line string) float64 {
	w.t.Helper()
	_, text := w.raw("GET", w.svc.PrivateURL()+"/metrics", nil)
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(l, line+" "); ok {
			var n float64
			if _, err := fmt.Sscan(value, &n); err != nil {
				w.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// Twilio's callbacks come signed, through a proxy that the service knows nothing
// of, and what they say shows in the next answer.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.start(person)
	w.settles(id, "delivered")
	path := "/callbacks/twilio/" + id + ".1"
	call := w.front.wait(t, path, "MessageStatus=delivered")
	if call.status != http.StatusNoContent || call.header.Get("X-Twilio-Signature") == "" {
		t.Errorf("the callback was answered %d", call.status)
	}
	if n := w.metric(`sixdigit_callbacks_total{connector="twilio",kind="status",result="ok"}`); n != 3 {
		t.Errorf("%v callbacks were counted, want 3", n)
	}
	if n := w.metric(`sixdigit_send_status_total{connector="twilio",country="US",kind="",status="delivered"}`); n != 1 {
		t.Errorf("delivered was counted %v times", n)
	}
	// What Twilio is told of the URL's fragment stays with Twilio.
	at := w.sim.Ledger()[0].StatusCallback
	if base, _, ok := strings.Cut(at, "#"); !ok || base != w.front.URL+path {
		t.Errorf("the callback URL is %s", at)
	}

	second := w.start("+14155550135")
	w.settles(second, "delivered")
	failed := call.form + "&" + url.Values{"ErrorCode": {"30003"}}.Encode()
	for name, c := range map[string]struct {
		path, form, signature string
		want                  int
	}{
		"unsigned":          {path, call.form, "", http.StatusForbidden},
		"signed otherwise":  {path, call.form, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", http.StatusForbidden},
		"another form":      {path, failed, call.header.Get("X-Twilio-Signature"), http.StatusForbidden},
		"another send":      {"/callbacks/twilio/" + second + ".1", call.form, call.header.Get("X-Twilio-Signature"), http.StatusForbidden},
		"another connector": {"/callbacks/spare/" + id + ".1", call.form, call.header.Get("X-Twilio-Signature"), http.StatusNotFound},
		"once more":         {path, call.form, call.header.Get("X-Twilio-Signature"), http.StatusNoContent},
	} {
		status, _ := w.raw("POST", w.svc.URL()+c.path, c.form, "Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", c.signature)
		if status != c.want {
			t.Errorf("a callback %s: %d, want %d", name, status, c.want)
		}
	}
	if got := append(w.statuses(id), w.statuses(second)...); !cmp.Equal(got, []string{"delivered", "delivered"}) {
		t.Errorf("after forged callbacks: %v", got)
	}
	if n := w.metric(`sixdigit_callbacks_total{connector="",kind="status",result="not_found"}`); n != 1 {
		t.Errorf("callbacks for no connector: %v", n)
	}
}

// The phone may have the text before the service has Twilio's answer.
func TestCallbackOvertakesTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if !isCreate(r) {
			sim.ServeHTTP(rw, r)
			return
		}
		rec := httptest.NewRecorder()
		sim.ServeHTTP(rec, r)
		w.front.wait(t, "/callbacks/", "MessageStatus=delivered")
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	})
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	got := sendsOf(v)
	if status != http.StatusCreated || len(got) != 1 || got[0].Status != "delivered" || got[0].ProviderID != w.sim.Messages(person)[0].SID {
		t.Errorf("%d %+v", status, got)
	}
}

// Callbacks that come last one first, and twice, end in the truth.
func TestCallbacksOutOfOrder(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"reorder", "duplicate"} {
		w := newWorld(t, nil)
		w.fail(twiliosim.Faults{Callbacks: order, Outcome: "undelivered", ErrorCode: 30003})
		id := w.start(person)
		w.front.wait(t, "/callbacks/", "MessageStatus=queued") // the last, or the first of six
		w.settles(id, "undelivered")
		_, v := w.call("GET", "/v1/verifications/"+id, nil)
		if got := sendsOf(v); v["status"] != "pending" || got[0].Kind != "unreachable" {
			t.Errorf("%s: %v %+v", order, v["status"], got)
		}
	}
}

// A callback that never comes hides nothing: Twilio is asked.
func TestLostCallbackIsPolled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.Send.PollAfter = time.Second })
	w.front.loseAll("/callbacks/")
	id := w.start(person)
	if got := w.statuses(id); !cmp.Equal(got, []string{"accepted"}) {
		t.Errorf("at first: %v", got)
	}
	w.settles(id, "delivered")
	if n := w.count("GET", w.sim.Messages(person)[0].SID+".json"); n != 1 {
		t.Errorf("Twilio was asked %d times", n)
	}
}

// Without a public URL no callbacks are asked for, and the operator is told.
func TestNoPublicURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.PublicURL = "" })
	id := w.start(person)
	if at := w.sim.Ledger()[0].StatusCallback; at != "" {
		t.Errorf("a callback was asked for: %s", at)
	}
	if status, _ := w.raw("POST", w.svc.URL()+"/callbacks/twilio/"+id+".1", "a=b"); status != http.StatusNotFound {
		t.Errorf("a callback: %d", status)
	}
	if !strings.Contains(w.logs.String(), "public_url is not set") {
		t.Error("the operator is not told")
	}
}

// The answers to texts that went out are lost. The list has them, and there is
// no second one. What a message says is kept until then: it might have to be said
// again.
func TestLostAnswersAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.PublicURL = "" })
	const other = "+14155550135"
	w.fail(twiliosim.Faults{AcceptThen: "reset", Count: 1})
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	if got := sendsOf(v); status != http.StatusAccepted || got[0].Status != "unknown" {
		t.Fatalf("%d %+v", status, got)
	}
	w.fail(twiliosim.Faults{AcceptThen: "500", Count: 1})
	status, m := w.call("POST", "/v1/messages", messageOf(other))
	if status != http.StatusAccepted || m["status"] != "unknown" {
		t.Fatalf("%d %v", status, m)
	}
	id, message := v["id"].(string), m["id"].(string)
	if w.record(message)["sealed"] == nil {
		t.Error("a message that nobody knows of is not kept")
	}
	w.settles(id, "delivered")
	w.until("the message to be found", func() bool { return w.messageStatus(message) == "delivered" })
	_, v = w.call("GET", "/v1/verifications/"+id, nil)
	if texts, got := w.sim.Messages(person), sendsOf(v); len(texts) != 1 || got[0].ProviderID != texts[0].SID {
		t.Errorf("%d texts; %+v", len(texts), got)
	}
	if texts := w.sim.Messages(other); len(texts) != 1 || w.record(message)["sealed"] != nil {
		t.Errorf("%d texts of the message, or it is still kept", len(texts))
	}
	if n := w.metric(`sixdigit_send_looks_total{connector="twilio",result="found"}`); n != 2 {
		t.Errorf("%v looks found them", n)
	}
	if _, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(person)}); v["valid"] != true {
		t.Errorf("the code of the text that was found: %v", v)
	}
}

// The callback itself is evidence: nobody has to look.
func TestLostAnswerIsHeardOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.fail(twiliosim.Faults{AcceptThen: "reset", Count: 1})
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	if status != http.StatusAccepted && status != http.StatusCreated { // the callback may be faster
		t.Fatalf("%d %v", status, v["code"])
	}
	w.settles(v["id"].(string), "delivered")
	if texts, looks := w.sim.Messages(person), w.count("GET", "/Messages.json"); len(texts) != 1 || looks != 0 {
		t.Errorf("%d texts, %d looks", len(texts), looks)
	}
}

// Twilio asks to wait for a second, and the caller has ten.
func TestBusyProviderIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.fail(twiliosim.Faults{Status: 429, RetryAfter: 1, Count: 1})
	began := time.Now()
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	if status != http.StatusCreated || len(sendsOf(v)) != 1 || w.creates() != 2 {
		t.Errorf("%d %+v after %d requests", status, sendsOf(v), w.creates())
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("asked again after %s", took)
	}
	if n := w.metric(`sixdigit_send_retries_total{connector="twilio",kind="throttled"}`); n != 1 {
		t.Errorf("%v retries were counted", n)
	}
}

// The patience of a caller ends; the text goes out in the background.
func TestBusyProviderOutlastsTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.Send.Timeout = time.Second })
	w.fail(twiliosim.Faults{Status: 429, RetryAfter: 2, Count: 1})
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	if status != http.StatusAccepted || sendsOf(v)[0].Status != "sending" {
		t.Fatalf("%d %+v", status, sendsOf(v))
	}
	w.settles(v["id"].(string), "delivered")
	if n := w.creates(); n != 2 {
		t.Errorf("%d requests were made, want 2", n)
	}
}

// When a code is used Twilio learns of it, once.
func TestFeedback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id, other := w.start(person), w.start("+14155550135")
	check := map[string]any{"code": w.code(person)}
	for range 2 {
		w.call("POST", "/v1/verifications/"+id+"/check", check)
	}
	w.call("POST", "/v1/verifications/"+other+"/check", map[string]any{"code": wrong(w.code("+14155550135"))})
	w.until("feedback", func() bool { return w.sim.Messages(person)[0].Feedback == "confirmed" })
	w.stop()
	if n := w.count("POST", "/Feedback.json"); n != 1 {
		t.Errorf("feedback was given %d times", n)
	}

	w = newWorld(t, func(c *app.Config) { c.Send.Feedback = false })
	id = w.start(person)
	w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(person)})
	w.settles(id, "delivered")
	w.stop()
	if n := w.count("POST", "/Feedback.json"); n != 0 {
		t.Errorf("feedback that nobody wants was given %d times", n)
	}
}

// startOf is the body of a start.
func startOf(to string) map[string]any {
	return map[string]any{"to": to, "usage_type": "SignIn", "client_ip": "203.0.113.7"}
}

// The service ends what it does in the background before it closes its store.
func TestEndsWhatItDoesInTheBackground(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorld(t, func(c *app.Config) {
		c.PublicURL = ""
		config = *c
	})
	w.fail(twiliosim.Faults{AcceptThen: "reset", Count: 1})
	_, v := w.call("POST", "/v1/verifications", startOf(person))
	id := v["id"].(string)
	looking, answer := make(chan struct{}), make(chan struct{})
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if r.Method == http.MethodGet {
			close(looking)
			<-answer
		}
		sim.ServeHTTP(rw, r)
	})
	<-looking
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop()
	}()
	w.until("the listener to close", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.svc.URL(), "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(answer)
	<-stopped
	if log := w.logs.String(); strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, `"result":"found"`) {
		t.Errorf("the look did not end well:\n%s", log)
	}
	w.between(nil)
	w.run(config)
	if got := w.statuses(id); !cmp.Equal(got, []string{"delivered"}) {
		t.Errorf("after a restart: %v", got)
	}
}
