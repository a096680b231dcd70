package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// connectors has the config name several, for files of the world.
func (w *world) connectors(c *app.Config, all ...app.ConnectorConfig) {
	c.Connector = ""
	for _, one := range all {
		one.File = w.file(one.File)
		c.Connectors = append(c.Connectors, one)
	}
}

// withoutIDs leaves out what is different in every run.
var withoutIDs = cmpopts.IgnoreFields(send{}, "ProviderID")

// A connector whose credentials are wrong costs nobody a code: the next one
// carries it, and answer, log and metrics say which.
func TestFailover(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, func(w *world, c *app.Config) {
		c.Countries = []string{"US", "GB", "DE"}
		w.connectors(c,
			app.ConnectorConfig{Name: "uk", File: "twilio.json", Countries: []string{"gb"}, MaxConcurrent: 3},
			app.ConnectorConfig{Name: "main", File: "broken.json", Countries: []string{"US", "GB"}},
			app.ConnectorConfig{Name: "spare", File: "twilio.json"})
	})
	for to, want := range map[string][]send{
		person:           {{Connector: "main", Status: "rejected", Kind: "auth"}, {Connector: "spare", Status: "accepted"}},
		"+447400123456":  {{Connector: "uk", Status: "accepted"}},
		"+4915112345678": {{Connector: "spare", Status: "accepted"}},
	} {
		w.front.loseAll("/callbacks/") // what happens at once is looked at
		status, v := w.call("POST", "/v1/verifications", startOf(to))
		if status != http.StatusCreated {
			t.Errorf("%s: %d %v", to, status, v["code"])
			continue
		}
		if diff := cmp.Diff(want, sendsOf(v), withoutIDs); diff != "" {
			t.Errorf("%s:\n%s", to, diff)
		}
		w.front.loseAll("")
	}
	for _, line := range []string{`"connector":"main","status":"rejected"`, `"connector":"spare","status":"accepted"`} {
		if !strings.Contains(w.logs.String(), line) {
			t.Errorf("the log does not have %s", line)
		}
	}
	for line, want := range map[string]float64{
		`sixdigit_sends_total{connector="main",country="US",kind="auth",status="rejected"}`: 1,
		`sixdigit_sends_total{connector="spare",country="US",kind="",status="accepted"}`:    1,
		`sixdigit_sends_total{connector="uk",country="GB",kind="",status="accepted"}`:       1,
		`sixdigit_send_retries_total{connector="main",kind="auth"}`:                         1,
		`sixdigit_connector_open{connector="spare"}`:                                        0,
	} {
		if got := w.metric(line); got != want {
			t.Errorf("%s is %v, want %v", line, got, want)
		}
	}
	if n := len(w.sim.Messages(person)); n != 1 {
		t.Errorf("%d texts went out", n)
	}
}

// A number that is refused is refused by all: nobody else is asked.
func TestRefusedNumberIsNoFailover(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, func(w *world, c *app.Config) {
		w.connectors(c, app.ConnectorConfig{Name: "main", File: "twilio.json"}, app.ConnectorConfig{Name: "spare", File: "twilio.json"})
	})
	status, v := w.call("POST", "/v1/verifications", startOf("+15005550009"))
	if status != http.StatusUnprocessableEntity || v["code"] != "send_rejected" || v["kind"] != "unreachable" || w.creates() != 1 {
		t.Errorf("%d %v %v after %d requests", status, v["code"], v["kind"], w.creates())
	}
}

// With one connector out of order the service is ready, and says so; texts wait
// and go out when it is back.
func TestConnectorOutOfOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.Send.Timeout = time.Second })
	const open = `sixdigit_connector_open{connector="twilio"}`
	if text := w.ready(); strings.Contains(text, "warnings") || w.metric(open) != 0 {
		t.Errorf("at first: %s, open %v", text, w.metric(open))
	}
	w.fail(twiliosim.Faults{Status: 429})
	ids := make([]string, 5)
	parallel(len(ids), func(i int) {
		status, v := w.call("POST", "/v1/verifications", startOf("+1415555"+pad(200+i)))
		if status != http.StatusAccepted {
			t.Errorf("%d %v", status, v["code"])
			return
		}
		ids[i] = v["id"].(string)
	})
	w.until("the breaker to open", func() bool { return w.metric(open) == 1 })
	if text := w.ready(); !strings.Contains(text, `"status":"ready"`) || !strings.Contains(text, "the connector twilio is out of order") {
		t.Errorf("with the connector open: %s", text)
	}
	w.sim.ClearFaults()
	for _, id := range ids {
		w.settles(id, "delivered")
	}
	if text := w.ready(); strings.Contains(text, "warnings") || w.metric(open) != 0 {
		t.Errorf("at last: %s, open %v", text, w.metric(open))
	}
	for i := range ids {
		if n := len(w.sim.Messages("+1415555" + pad(200+i))); n != 1 {
			t.Errorf("%d texts to one number", n)
		}
	}
}

// A wrong token shows before anybody asks why no text comes.
func TestRefusingConnectorShows(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, func(w *world, c *app.Config) { c.Connector = w.file("broken.json") })
	if text := w.ready(); strings.Contains(text, "warnings") {
		t.Errorf("at first: %s", text)
	}
	status, v := w.call("POST", "/v1/verifications", startOf(person))
	detail, _ := v["detail"].(string)
	if status != http.StatusUnprocessableEntity || v["kind"] != "auth" || !strings.Contains(detail, "the number is not at fault") {
		t.Errorf("%d %v", status, v)
	}
	if text := w.ready(); !strings.Contains(text, "the connector twilio refuses texts: auth") {
		t.Errorf("with a wrong token: %s", text)
	}
	w.stop()
	if log := strings.TrimSpace(w.logs.String()); !strings.Contains(log, `"msg":"stopping"`) || !strings.HasSuffix(log, `"msg":"stopped"}`) {
		t.Errorf("the log does not end with stopping and stopped:\n%s", log)
	}
}

// ready is what /readyz says; it must be that the service is.
func (w *world) ready() string {
	w.t.Helper()
	status, text := w.raw("GET", w.svc.PrivateURL()+"/readyz", nil)
	if status != http.StatusOK {
		w.t.Errorf("readyz: %d %s", status, text)
	}
	return string(text)
}

// Who said STOP costs one refused request, and none once it is known; who says
// START gets texts again.
func TestOptOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	refused := func(what string) {
		t.Helper()
		status, v := w.call("POST", "/v1/verifications", startOf(person))
		if status != http.StatusUnprocessableEntity || v["kind"] != "opted_out" || v["advice_key"] != "opted_out" {
			t.Errorf("%s: %d %v %v", what, status, v["code"], v["kind"])
		}
	}
	reply := func(word string) {
		t.Helper()
		if _, err := w.sim.Reply(person, simNumber, word); err != nil {
			t.Fatal(err)
		}
		w.front.wait(t, "/inbound/twilio", "Body="+word+"&")
	}

	w.front.loseAll("/inbound/")
	reply("STOP")
	refused("the first start, which Twilio refuses")
	refused("the second")
	if n := w.creates(); n != 1 {
		t.Errorf("Twilio was asked %d times", n)
	}
	w.front.loseAll("")
	reply("START")
	w.start(person)

	reply("Stopall") // settles it at once
	refused("a start after a STOP that was heard")
	if n := w.creates(); n != 2 {
		t.Errorf("Twilio was asked %d times", n)
	}
	reply("UNSTOP")
	w.start(person)
	if n := w.metric(`sixdigit_callbacks_total{connector="twilio",kind="reply",result="ok"}`); n != 3 {
		t.Errorf("%v replies were counted", n)
	}
	if !strings.Contains(w.logs.String(), `"consent":"stop"`) {
		t.Error("the log does not tell of the STOP")
	}
}

// Each connector has its own cap on requests at once.
func TestMaxConcurrentOfAConnector(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, func(w *world, c *app.Config) {
		c.Countries = []string{"US", "GB"}
		w.connectors(c, app.ConnectorConfig{Name: "uk", File: "twilio.json", Countries: []string{"GB"}, MaxConcurrent: 2},
			app.ConnectorConfig{Name: "main", File: "twilio.json"})
	})
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		rec := httptest.NewRecorder()
		sim.ServeHTTP(rec, r)
		country := "US"
		if strings.Contains(rec.Body.String(), `"to":"+44`) {
			country = "GB"
		}
		if isCreate(r) {
			mu.Lock()
			now[country]++
			most[country] = max(most[country], now[country])
			mu.Unlock()
			<-time.After(100 * time.Millisecond) // long enough for all to come
			mu.Lock()
			now[country]--
			mu.Unlock()
		}
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	})
	parallel(12, func(i int) {
		to := "+1415555" + pad(300+i)
		if i%2 == 0 {
			to = "+44740012" + pad(3000+i)
		}
		if status, v := w.call("POST", "/v1/verifications", startOf(to)); status != http.StatusCreated {
			t.Errorf("%d %v", status, v["code"])
		}
	})
	if most["GB"] != 2 || most["US"] <= 2 {
		t.Errorf("at once: %v; want 2 of GB and more of US", most)
	}
}
