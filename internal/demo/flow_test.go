package demo

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page is whole without JavaScript: each form leads back to it.
func TestSignInWithoutScripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.set(sentText("accepted", "queued"))
	c := w.browser()
	w.has(w.get(c), `action="/start"`, "The text will arrive here.", "Nothing was asked yet.")

	page := w.post(c, "/start", "to", " +1 415 555 0134 ", "usage", usageRegister)
	w.has(page, "A text is on its way to +14155550134.", `autocomplete="one-time-code"`, "Your sign-in code is 123456.",
		`"to": "+1 415 555 0134"`, `"usage_type": "Register"`, `"client_ip": "127.0.0.1"`,
		textSID, `<li class="queued">`, " in 30 s")

	page = w.post(c, "/check", "code", "111111")
	w.has(page, "That is not the code. You have 4 tries left.", `aria-invalid="true"`, "<title>Error: ")

	page = w.post(c, "/check", "code", " 123 456 ") // as people copy it
	w.has(page, "You are signed in")
	w.has(w.get(c), "You are signed in")

	w.has(w.post(c, "/restart"), `action="/start"`, "Nothing was asked yet.")
	want := []string{
		"POST /v1/verifications", "POST /v1/verifications/" + firstID + "/check", "POST /v1/verifications/" + firstID + "/check",
	}
	if d := cmp.Diff(want, w.made()); d != "" {
		t.Errorf("the app's calls (-want +got):\n%s", d)
	}
}

// Leaving a verification ends it.
func TestChangeCancels(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/change", "/restart"} {
		w := newWorld(t)
		c := w.browser()
		w.post(c, "/start", "to", "+1 415 555 0134")
		page := w.post(c, path)
		kept := strings.Contains(page, `value="&#43;1 415 555 0134"`)
		if kept != (path == "/change") {
			t.Errorf("%s: the number is kept: %t", path, kept)
		}
		calls := w.made()
		if last := calls[len(calls)-1]; last != "DELETE /v1/verifications/"+firstID {
			t.Errorf("%s: the last call was %s", path, last)
		}
		w.post(c, "/check", "code", "123456") // from a page of before
		w.post(c, "/resend")
		if n := len(w.made()); n != len(calls) {
			t.Errorf("%s: an old form made a call", path)
		}
	}
}

// Every problem of the service has words for the person, and a field where one
// is at fault.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{422, `{"code":"number_invalid"}`, "That is not a phone number."},
		{422, `{"code":"country_not_allowed"}`, "We send no texts to this country."},
		{422, `{"code":"number_kind"}`, "Use a mobile number."},
		{422, `{"code":"use_call"}`, "This is a fixed line"},
		{422, `{"code":"send_rejected","advice":"This number has opted out."}`, "This number has opted out."},
		{429, `{"code":"rate_limited","retry_after":1}`, "Try again in 1 second."},
		{429, `{"code":"rate_limited","retry_after":119}`, "Try again in 119 seconds."},
		{429, `{"code":"rate_limited","retry_after":3601}`, "Try again in 61 minutes."},
		{409, `{"code":"verification_ended"}`, "This code is no longer valid."},
		{500, `{"code":"internal"}`, "Something is wrong on our side (internal)."},
		{418, `{"code":"<script>"}`, "Something is wrong on our side (&lt;script&gt;)."},
		{500, `not JSON`, "The service does not answer."},
		{500, `{}`, "The service does not answer."},
		{201, `[]`, "The service does not answer."},
		{201, strings.Repeat("x", maxAnswer+1), "The service does not answer."},
	} {
		w := newWorld(t)
		w.answerWith(c.status, c.body)
		b := w.browser()
		page := w.post(b, "/start", "to", "+1 415 555 0134")
		w.has(page, c.want, `id="to"`, `value="+1 415 555 0134"`, `aria-describedby="to-hint fault"`)
		// The same in the middle of a verification, where nothing is lost by it.
		w.mu.Lock()
		w.reply = w.pending
		w.mu.Unlock()
		w.post(b, "/start", "to", "+1 415 555 0134")
		w.answerWith(c.status, c.body)
		if c.body != `[]` {
			w.has(w.post(b, "/check", "code", "123456"), c.want, `id="code"`)
		}
		page = w.post(b, "/resend")
		w.has(page, c.want)
		if ended := strings.Contains(page, "Not signed in"); ended != (c.status == 409) {
			t.Errorf("%s: a resend ends it: %t", c.body, ended)
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		answer string
		want   string
	}{
		{202, `{"id":"x","to":"+14155550134","status":"pending"}`, "Nobody can tell yet whether the text went out."},
		{200, `{"id":"x","to":"+14155550134","status":"pending","joined":true}`, "A text is already on its way to +14155550134."},
	} {
		w := newWorld(t)
		w.answerWith(c.status, c.answer)
		w.has(w.post(w.browser(), "/start", "to", "+1 415 555 0134"), c.want)
	}
	for state, want := range map[string]string{
		"exhausted": "That was the last try.",
		"expired":   "The code has expired.",
		"approved":  "The code was used already.",
		"canceled":  "This code is no longer valid.",
	} {
		w := newWorld(t)
		b := w.browser()
		w.post(b, "/start", "to", "+1 415 555 0134")
		w.answerWith(200, fmt.Sprintf(`{"valid":false,"verification":{"id":"x","status":%q}}`, state))
		w.has(w.post(b, "/check", "code", "123456"), "Not signed in", want)
	}
}

// What cannot be right needs no call.
func TestEmptyForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	w.has(w.post(b, "/start", "to", "  "), "Type a phone number.")
	w.post(b, "/start", "to", "+1 415 555 0134")
	w.has(w.post(b, "/check", "code", " - "), "Type the code from the text.")
	if n := len(w.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// The stream tells of texts and their steps, and of nothing to others.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.browser()
	w.sim.set(sentText("accepted"))
	w.post(c, "/start", "to", "+1 415 555 0134")
	resp, err := c.Get(w.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("Content-Type %s", kind)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		var event []string
		for lines.Scan() && lines.Text() != "" {
			event = append(event, lines.Text())
		}
		return strings.Join(event, "|")
	}
	const news = "event: changed|data: {}"
	if e := next(); e != news {
		t.Errorf("the stream begins with %q", e)
	}
	w.sim.tell(sentText("accepted", "queued", "sent", "delivered"))
	if e := next(); e != news {
		t.Errorf("after a step: %q", e)
	}
	w.has(w.get(c), `<li class="delivered">`)
	w.sim.tell(sentText("accepted", "queued")) // late: it takes nothing back
	if e := next(); e != news {
		t.Errorf("after a late step: %q", e)
	}
	w.has(w.get(c), `<li class="delivered">`)
	// After a loss everything is read anew.
	undelivered := sentText("accepted", "queued", "sent", "undelivered")
	undelivered.ErrorCode = 30003
	w.sim.set(undelivered)
	w.sim.events <- "event: reset\ndata: {}\n\n"
	if e := next(); e != news {
		t.Errorf("after a reset: %q", e)
	}
	w.has(w.get(c), `<li class="undelivered">`, "error 30003")
}

// A log that is never cleared stays bounded, and so do the texts of a phone.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 * maxSessions {
		w.demo.sessions.open()
	}
	if n := len(w.demo.sessions.each()); n != maxSessions {
		t.Errorf("%d sessions are kept, want %d", n, maxSessions)
	}
	c := w.browser()
	w.post(c, "/start", "to", "+1 415 555 0134")
	for range maxLog + 5 {
		w.post(c, "/check", "code", "111111")
	}
	page := w.get(c)
	if n := strings.Count(page, `<li id="log-`); n != maxLog {
		t.Errorf("the log has %d lines, want %d", n, maxLog)
	}
	if strings.Contains(page, `id="log-1"`) {
		t.Error("the oldest line is still there")
	}
	s := newSession()
	for range maxWatchers {
		if changed, _ := s.watch(); changed == nil {
			t.Fatal("too few streams")
		}
	}
	if changed, _ := s.watch(); changed != nil {
		t.Error("streams are not bounded")
	}
}

// A session does one thing at a time, whoever asks.
func TestFormsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.browser()
	w.get(c)
	done := make(chan bool)
	const clients = 24
	for i := range clients {
		go func() {
			defer func() { done <- true }()
			path, field := "/start", "to"
			if i%3 == 1 {
				path, field = "/check", "code"
			} else if i%3 == 2 {
				path = "/change"
			}
			resp, err := c.PostForm(w.url+path, map[string][]string{field: {"+14155550134"}})
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}()
	}
	for range clients {
		<-done
	}
	w.get(c)
}
