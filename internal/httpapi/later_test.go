package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// outcome is what a send comes to, at once or later.
type outcome struct {
	st    verify.Started
	err   error
	later bool
	taken chan func(verify.Started, error) // gets who has taken the answer over
}

func (o *outcome) of(later verify.Later) (verify.Started, error) {
	if !o.later {
		return o.st, o.err
	}
	answer := later()
	if answer == nil {
		return verify.Started{}, errors.New("nobody takes the answer over")
	}
	o.taken <- answer
	return verify.Started{}, verify.ErrLater
}

// TestLater makes each call that sends twice: answered at once, and after the
// handler has returned. Answer and log line are the same.
func TestLater(t *testing.T) {
	t.Parallel()
	o := &outcome{taken: make(chan func(verify.Started, error), 1)}
	ta := newTestAPI(t, &fake{
		start:       func(r verify.StartRequest) (verify.Started, error) { return o.of(r.Later) },
		resend:      func(r verify.ResendRequest) (verify.Started, error) { return o.of(r.Later) },
		sendMessage: func(r verify.MessageRequest) (verify.Started, error) { return o.of(r.Later) },
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- edge.NewServer(ta, edge.Timeouts{}, nil).Serve(ctx, ln) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer func() {
		client.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	st := verify.Started{Verification: record(t), Now: recordTime(), Sent: true}
	unknown := st
	unknown.Verification = record(t)
	unknown.Unknown, unknown.Verification.Sends[0].Status = true, connector.StatusUnknown
	refused := &verify.RefusedError{Verification: st.Verification, Cause: &connector.Error{Kind: connector.KindGeo, ProviderCode: "21408", Advice: connector.AdviceOurFault}}
	for _, call := range []struct{ key, path, body string }{
		{"shop", "/v1/verifications", `{"to":"+14155552671","usage_type":"SignIn","client_ip":"203.0.113.7"}`},
		{"shop", onePath + "/resend", ``},
		{"messages", "/v1/messages", `{"to":"+14155552671","usage_type":"SignIn","payload":{"code":"482913"},"client_ip":"203.0.113.7"}`},
	} {
		for name, result := range map[string]outcome{
			"taken": {st: st}, "unknown": {st: unknown}, "refused": {st: st, err: refused}, "limit": {err: &verify.LimitError{RetryAfter: time.Minute}},
			"broken": {err: errors.New("disk")},
		} {
			o.st, o.err = result.st, result.err
			o.later = false
			now, nowLine := ta.over(t, client, ln.Addr().String(), call.key, call.path, call.body, nil)
			o.later = true
			later, laterLine := ta.over(t, client, ln.Addr().String(), call.key, call.path, call.body, func() { (<-o.taken)(o.st, o.err) })
			if now.Close || !later.Close {
				t.Errorf("%s, %s: close at once %t, later %t", call.path, name, now.Close, later.Close)
			}
			if diff := cmp.Diff(plainOf(t, now), plainOf(t, later)); diff != "" || now.StatusCode < 200 {
				t.Errorf("%s, %s: (-at once +later)\n%s", call.path, name, diff)
			}
			if diff := cmp.Diff(nowLine, laterLine); diff != "" {
				t.Errorf("%s, %s: log (-at once +later)\n%s", call.path, name, diff)
			}
		}
	}
}

// over makes a call through a true connection; meanwhile is called once it is on
// its way. It returns the answer and its log line.
func (ta *testAPI) over(t *testing.T, client *http.Client, addr, key, path, body string, meanwhile func()) (*http.Response, map[string]any) {
	t.Helper()
	before := len(ta.log.String())
	r, err := http.NewRequest("POST", "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ta.keys[key])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if meanwhile != nil {
		go meanwhile()
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	res.Body = io.NopCloser(strings.NewReader(string(data)))
	line := map[string]any{}
	if err := json.Unmarshal([]byte(ta.log.String()[before:]), &line); err != nil { // exactly one
		t.Fatal(err)
	}
	if line["request_id"] != res.Header.Get("X-Request-Id") {
		t.Errorf("the line's id is %v", line["request_id"])
	}
	for _, volatile := range []string{"time", "took", "request_id"} {
		delete(line, volatile)
	}
	return res, line
}

// plainAnswer is an answer without what differs from one to the next.
type plainAnswer struct {
	Status string
	Length int64
	Header http.Header
	Body   map[string]any
}

func plainOf(t *testing.T, res *http.Response) plainAnswer {
	t.Helper()
	a := plainAnswer{res.Status, res.ContentLength, res.Header, map[string]any{}}
	if err := json.NewDecoder(res.Body).Decode(&a.Body); err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"X-Request-Id", "Date", "Connection"} {
		a.Header.Del(h)
	}
	delete(a.Body, "request_id")
	return a
}

// Where the connection cannot be let go, the call waits and answers as ever.
func TestLaterDeclines(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{start: func(r verify.StartRequest) (verify.Started, error) {
		if r.Later() != nil {
			t.Error("a recorder has no connection")
		}
		return started(t, nil)(r)
	}})
	status, _, body := ta.do(t, ta.request("POST", "/v1/verifications", `{"to":"+14155552671","usage_type":"SignIn","client_ip":"203.0.113.7"}`))
	if status != 201 || !strings.Contains(body, sampleID) {
		t.Errorf("%d %s", status, body)
	}
}
