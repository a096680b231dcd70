package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// talk is a process that is spoken with as the real ones are, and its simulator.
func talk(t *testing.T) (p *process, sim *httptest.Server) {
	t.Helper()
	asked, in := io.Pipe()
	out, said := io.Pipe()
	texts := twiliosim.New(twiliosim.Options{Step: time.Hour})
	tp := &tap{next: texts, out: said}
	go func() {
		attend(asked, said, tp)
		_ = said.Close()
	}()
	p = &process{in: in, answers: make(chan string), codes: newCodeBook()}
	heard := make(chan struct{})
	go func() {
		p.hear(bufio.NewReader(out))
		close(heard)
	}()
	sim = httptest.NewServer(tp)
	t.Cleanup(func() {
		_ = texts.Close()
		sim.Close()
		_ = in.Close()
		<-heard
	})
	return p, sim
}

func post(t *testing.T, sim *httptest.Server, to, text string) {
	t.Helper()
	form := url.Values{"To": {to}, "MessagingServiceSid": {simService}, "Body": {text}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.URL+simMessages, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(simAccount, simToken)
	req.Header.Set("Content-Type", formType)
	resp, err := sim.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("the simulator answers %s", resp.Status)
	}
}

// While it is asked to, the simulator tells each text's code before it answers; so
// the code is there as soon as the answer is, or very soon.
func TestCodes(t *testing.T) {
	t.Parallel()
	p, sim := talk(t)
	const to = "+14155550134"
	quiet := p.codes.expect(to)
	post(t, sim, to, "Your code is 111111.")
	if _, err := p.ask(askCodes); err != nil {
		t.Fatal(err)
	}
	codes := p.codes.expect(to)
	post(t, sim, "+14155550135", "Your code is 222222.") // nobody waits for this one
	post(t, sim, to, "Your code is 333333.")
	if code, err := await(t.Context(), codes); err != nil || code != "333333" {
		t.Errorf("the code is %q, %v", code, err)
	}
	if _, err := p.ask(askSilence); err != nil {
		t.Fatal(err)
	}
	after := p.codes.expect(to)
	post(t, sim, to, "Your code is 444444.")
	if _, err := p.ask(askCounters); err != nil { // what was told before is heard by now
		t.Fatal(err)
	}
	if len(quiet)+len(after) != 0 {
		t.Error("a code is told that nobody asked for")
	}
	p.codes.forget(to)
	if len(p.codes.waiting) != 0 {
		t.Errorf("%d are still waited for", len(p.codes.waiting))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := await(ctx, after); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits no longer is told %v", err)
	}
}

// The counters grow by what is allocated.
func TestCounters(t *testing.T) {
	t.Parallel()
	p, _ := talk(t)
	before, err := p.counters()
	if err != nil {
		t.Fatal(err)
	}
	const n, size = 1000, 64 << 10
	var kept [][]byte
	for range n {
		kept = append(kept, make([]byte, size))
	}
	after, err := p.counters()
	if err != nil {
		t.Fatal(err)
	}
	if got := after.since(before); got.Objects < n || got.Bytes < n*size {
		t.Errorf("%d objects of %d bytes are counted as %+v", len(kept), size, got)
	}
	if got := before.plus(counters{1, 2}).since(before); got != (counters{1, 2}) {
		t.Errorf("1 and 2 more are %+v", got)
	}
	if _, err := p.ask("what is this?"); err != nil {
		t.Errorf("a question without an answer: %v", err)
	}
	_ = p.in.Close()
	if _, err := p.counters(); err == nil {
		t.Error("a process that has ended answers")
	}
}

func TestWrong(t *testing.T) {
	t.Parallel()
	for right, want := range map[string]string{"123456": "123457", "000009": "000000", "1234567890": "1234567891"} {
		if got := wrong(right); got != want {
			t.Errorf("the wrong one of %s is %s, want %s", right, got, want)
		}
	}
	if got := codeIn("Your code is 012340."); got != "012340" {
		t.Errorf("the code is %q", got)
	}
}
