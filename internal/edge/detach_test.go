package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slow is a server whose handler lets go of every request, for the test to answer.
type slow struct {
	addr     string
	stop     func() error
	detached chan *Detached
	returned chan struct{} // one for each request that Wrap has returned from
	observed chan string
	took     chan time.Duration

	mu  sync.Mutex
	log bytes.Buffer
}

func (s *slow) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// lines are those of the log so far.
func (s *slow) lines(t *testing.T) []map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	dec := json.NewDecoder(bytes.NewReader(s.log.Bytes()))
	for dec.More() {
		line := map[string]any{}
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// newSlow starts one. then, which may be nil, is what the handler does after it
// has let go.
func newSlow(t *testing.T, timeouts Timeouts, then func()) *slow {
	t.Helper()
	s := &slow{
		detached: make(chan *Detached, 10), returned: make(chan struct{}, 10),
		observed: make(chan string, 10), took: make(chan time.Duration, 10),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		Note(r.Context(), slog.String("app", "shop"))
		d := Detach(w, r)
		s.detached <- d
		if d == nil {
			_, _ = io.WriteString(w, "waited")
		} else if then != nil {
			then()
		}
	})
	h := Wrap(mux, Options{Log: slog.New(slog.NewJSONHandler(s, nil)), Observe: func(method, route string, status int, took time.Duration) {
		s.observed <- method + " " + route + " " + http.StatusText(status)
		s.took <- took
	}})
	s.addr, s.stop = start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.returned <- struct{}{} }()
		h.ServeHTTP(w, r)
	}), timeouts)
	return s
}

const post = "POST /things/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"

// ask sends a request and returns its connection, once the handler has let go.
func (s *slow) ask(t *testing.T, request string) (net.Conn, *Detached) {
	t.Helper()
	c := dial(t, s.addr)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	d := <-s.detached
	if d == nil {
		t.Fatal("declined")
	}
	<-s.returned
	return c, d
}

func created(w http.ResponseWriter, r *http.Request) {
	Note(r.Context(), slog.String("verification", "v1"))
	WriteJSON(w, http.StatusCreated, "application/json", map[string]string{"id": RequestID(r.Context()), "method": r.Method, "pattern": r.Pattern})
}

// hear reads one answer and the connection's end.
func hear(t *testing.T, c net.Conn) (*http.Response, string) {
	t.Helper()
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("behind the answer: %q, %v", rest, err)
	}
	return res, string(body)
}

func TestDetach(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{Write: 50 * time.Millisecond, Read: 50 * time.Millisecond}, nil)
	c, d := s.ask(t, post)
	began := time.Now()
	// No deadline of net/http's is left behind.
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Fatalf("before the answer: %d bytes, %v", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if lines := s.lines(t); len(lines) > 0 || len(s.observed) > 0 {
		t.Errorf("it counts as over: %v", lines)
	}
	waited := time.Since(began)
	d.Answer(created)
	d.Answer(func(http.ResponseWriter, *http.Request) { t.Error("a second answer") })
	res, body := hear(t, c)
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	id := res.Header.Get("X-Request-Id")
	if diff := cmp.Diff(map[string]string{"id": id, "method": "POST", "pattern": "POST /things/{id}"}, got); diff != "" || id == "" {
		t.Error(diff)
	}
	if res.Status != "201 Created" || !res.Close || res.ContentLength != int64(len(body)) || res.Proto != "HTTP/1.1" {
		t.Errorf("%s, close %t, length %d of %d", res.Status, res.Close, res.ContentLength, len(body))
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err != nil || time.Since(at) > time.Minute {
		t.Errorf("date: %v", res.Header["Date"])
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := res.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	lines := s.lines(t)
	if len(lines) != 1 || lines[0]["request_id"] != id || lines[0]["app"] != "shop" || lines[0]["verification"] != "v1" ||
		lines[0]["status"] != 201.0 || lines[0]["route"] != "POST /things/{id}" || lines[0]["took"].(float64) < float64(100*time.Millisecond) {
		t.Errorf("log: %v", lines)
	}
	if took := <-s.took; took < waited || len(s.observed) != 1 || <-s.observed != "POST POST /things/{id} Created" {
		t.Errorf("observed once more, or took %s", took)
	}
}

// A client that keeps connections goes on with a new one.
func TestDetachedClientGoesOn(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{}, nil)
	go func() {
		for d := range s.detached {
			d.Answer(func(w http.ResponseWriter, r *http.Request) {
				Problem{Status: 429, Code: "rate_limited", RetryAfter: 3}.Write(w, r)
			})
		}
	}()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 3 {
		res, err := client.Post("http://"+s.addr+"/things/1", "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		if p := readProblem(t, res); p.RetryAfter != 3 || res.Header.Get("Retry-After") != "3" {
			t.Errorf("%+v", p)
		}
		_ = res.Body.Close()
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	close(s.detached)
}

func TestDetachDeclines(t *testing.T) {
	t.Parallel()
	serverOf := func(srv *httptest.Server) { // as Serve would
		srv.Config.BaseContext = func(net.Listener) context.Context {
			return context.WithValue(context.Background(), serverKey{}, NewServer(http.NotFoundHandler(), Timeouts{}, nil))
		}
	}
	for _, tt := range []struct {
		name, request string
		begin         func(*httptest.Server)
		before        func(w http.ResponseWriter) http.ResponseWriter
		want          string
	}{
		{name: "no Server", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", begin: func(srv *httptest.Server) { srv.Start() }, want: "waited"},
		{name: "HTTP/1.0", request: "GET / HTTP/1.0\r\nHost: x\r\n\r\n", want: "waited"},
		{name: "HEAD", request: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{name: "begun", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: "begun, waited", before: func(w http.ResponseWriter) http.ResponseWriter {
			_, _ = io.WriteString(w, "begun, ")
			return w
		}},
		{name: "a writer around Wrap's", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: "waited", before: func(w http.ResponseWriter) http.ResponseWriter {
			return struct{ http.ResponseWriter }{w}
		}},
		{name: "TLS", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: "waited", begin: func(srv *httptest.Server) {
			serverOf(srv)
			srv.StartTLS()
		}},
		{name: "HTTP/2", want: "waited", begin: func(srv *httptest.Server) {
			serverOf(srv)
			srv.EnableHTTP2 = true
			srv.StartTLS()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			observed := make(chan int, 2)
			srv := httptest.NewUnstartedServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.before != nil {
					w = tt.before(w)
				}
				if Detach(w, r) != nil {
					t.Error("it let go")
				}
				_, _ = io.WriteString(w, "waited")
			}), Options{Observe: func(_, _ string, status int, _ time.Duration) { observed <- status }}))
			if tt.begin == nil {
				serverOf(srv)
				srv.Start()
			} else {
				tt.begin(srv)
			}
			defer srv.Close()
			client := srv.Client()
			method, _, _ := strings.Cut(tt.request, " ")
			var res *http.Response
			var err error
			if strings.Contains(tt.request, "HTTP/1.0") {
				c := dial(t, srv.Listener.Addr().String())
				_, _ = io.WriteString(c, tt.request)
				res, err = http.ReadResponse(bufio.NewReader(c), nil)
			} else {
				req, _ := http.NewRequest(method, srv.URL, nil)
				res, err = client.Do(req)
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || string(body) != tt.want || res.StatusCode != 200 {
				t.Errorf("%d %q, %v", res.StatusCode, body, err)
			}
			if status := <-observed; status != 200 || len(observed) > 0 {
				t.Errorf("observed %d", status)
			}
		})
	}
}

// What a client sends behind its request is not looked at, and does not break the
// answer: to close on unread bytes would reset the connection.
func TestDetachedPipeline(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{}, nil)
	c, d := s.ask(t, post+post+post)
	if _, err := io.WriteString(c, strings.Repeat(post, 500)); err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20 // part of it is not sent yet when all is written
	go d.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	if res, body := hear(t, c); len(body) != size || !res.Close {
		t.Errorf("%d bytes of %d, close %t", len(body), size, res.Close)
	}
	_ = c.Close()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if lines := s.lines(t); len(lines) != 1 {
		t.Errorf("%d requests were served", len(lines))
	}
}

// A client that hangs up hurts nobody, whichever way it does.
func TestDetachedClientHangsUp(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{}, nil)
	for _, linger := range []int{-1, 0} {
		c, d := s.ask(t, post)
		_ = c.(*net.TCPConn).SetLinger(linger) // 0 resets the connection
		_ = c.Close()
		d.Answer(created)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if lines := s.lines(t); len(lines) != 2 {
		t.Errorf("log: %v", lines)
	}
}

func TestDetachedPanics(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		status int // 0 for none
	}{
		"at once":            {func(http.ResponseWriter, *http.Request) { panic("code 482913") }, 500},
		"half-way":           {func(w http.ResponseWriter, r *http.Request) { created(w, r); panic("code 482913") }, 500},
		"an abort":           {func(w http.ResponseWriter, r *http.Request) { created(w, r); panic(http.ErrAbortHandler) }, 0},
		"nothing is written": {func(http.ResponseWriter, *http.Request) {}, 200},
		"interim": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(204)
			w.WriteHeader(500)
		}, 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlow(t, Timeouts{}, nil)
			c, d := s.ask(t, post)
			d.Answer(tt.answer)
			if tt.status == 0 {
				if all, err := io.ReadAll(c); len(all) > 0 || err != nil {
					t.Errorf("got %q, %v", all, err)
				}
			} else if res, body := hear(t, c); res.StatusCode != tt.status || strings.Contains(body, "482913") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			_ = c.Close()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			lines := s.lines(t)
			if len(lines) != 1 || (tt.status == 500) != (lines[0]["panic"] == "string") || strings.Contains(s.log.String(), "482913") {
				t.Errorf("log: %v", lines)
			}
		})
	}
}

// The handler panics after it has let go: somebody must answer.
func TestHandlerPanicsDetached(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Timeouts{}, func() { panic("code 482913") })
	c, d := s.ask(t, post)
	if res, _ := hear(t, c); res.StatusCode != 500 {
		t.Errorf("got %d", res.StatusCode)
	}
	d.Answer(func(http.ResponseWriter, *http.Request) { t.Error("a second answer") })
	if lines := s.lines(t); len(lines) != 1 || lines[0]["panic"] != "string" || !strings.Contains(lines[0]["stack"].(string), "newSlow") {
		t.Errorf("log: %v", lines)
	}
}

// Not even what counts requests can end the process or keep the connection.
func TestDetachedObserverPanics(t *testing.T) {
	t.Parallel()
	detached := make(chan *Detached, 1)
	addr, stop := start(t, Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { detached <- Detach(w, r) }),
		Options{Observe: func(string, string, int, time.Duration) { panic("observer") }}), Timeouts{})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	(<-detached).Answer(created)
	if all, err := io.ReadAll(c); len(all) > 0 || err != nil {
		t.Errorf("got %q, %v", all, err)
	}
	_ = c.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}
