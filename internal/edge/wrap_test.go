package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs one request through Wrap and returns the answer and the log line.
func serve(t *testing.T, h http.Handler, r *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	var log bytes.Buffer
	rec := httptest.NewRecorder()
	Wrap(h, Options{Log: slog.New(slog.NewJSONHandler(&log, nil)), MaxBody: 8}).ServeHTTP(rec, r)
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Fatalf("%d log lines, want 1:\n%s", n, &log)
	}
	line := map[string]any{}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	return rec.Result(), line
}

func readProblem(t *testing.T, r *http.Response) Problem {
	t.Helper()
	if ct := r.Header.Get("Content-Type"); ct != ProblemType {
		t.Fatalf("Content-Type %q, want %q", ct, ProblemType)
	}
	var p Problem
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.Status != r.StatusCode || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-ID") || p.Type != typePrefix+p.Code || p.Title == "" {
		t.Errorf("the problem does not fit its answer: %+v", p)
	}
	return p
}

func testMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		Note(r.Context(), slog.String("app", "shop"))
		_, _ = io.WriteString(w, RequestID(r.Context()))
	})
	mux.HandleFunc("POST /things", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			TooLarge(big.Limit).Write(w, r)
		}
	})
	mux.HandleFunc("GET /own404", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "its own words", http.StatusNotFound)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("code 482913") })
	return mux
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, target, body string
		chunked                    bool
		status                     int
		code                       string // of the problem, "" for none
		route                      string
		allow                      string
	}{
		{name: "a route", method: "GET", target: "/things/secret-id?q=secret", status: 200, route: "GET /things/{id}"},
		{name: "HEAD of a GET route", method: "HEAD", target: "/things/1", status: 200, route: "GET /things/{id}"},
		{name: "no route", method: "GET", target: "/nothing/secret", status: 404, code: "no_such_path", route: Unmatched},
		{name: "another method", method: "PUT", target: "/things/1", status: 405, code: "method_not_allowed", route: Unmatched, allow: "GET, HEAD"},
		{name: "OPTIONS", method: "OPTIONS", target: "/things", status: 405, code: "method_not_allowed", route: Unmatched, allow: "POST"},
		{name: "an invented method", method: "SECRET", target: "/things", status: 405, code: "method_not_allowed", route: Unmatched, allow: "POST"},
		{name: "an empty segment", method: "GET", target: "/things//1", status: 404, code: "no_such_path", route: Unmatched},
		{name: "a dot segment", method: "GET", target: "/x/../things/1", status: 404, code: "no_such_path", route: Unmatched},
		{name: "a dot segment at the end", method: "GET", target: "/things/..", status: 404, code: "no_such_path", route: Unmatched},
		{name: "the handler's own 404", method: "GET", target: "/own404", status: 404, route: "GET /own404"},
		{name: "a body that fits", method: "POST", target: "/things", body: "12345678", status: 200, route: "POST /things"},
		{name: "a body that is too large", method: "POST", target: "/things", body: "123456789", status: 413, code: "body_too_large", route: Unmatched},
		{name: "too large, not announced", method: "POST", target: "/things", body: "123456789", chunked: true, status: 413, code: "body_too_large", route: "POST /things"},
		{name: "a panic", method: "GET", target: "/panic", status: 500, code: "internal", route: "GET /panic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
			if tt.chunked {
				r.ContentLength = -1
			}
			r.Header.Set("X-Request-ID", "from-a-stranger")
			res, line := serve(t, testMux(), r)
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if tt.code != "" {
				if p := readProblem(t, res); p.Code != tt.code {
					t.Errorf("code %q, want %q", p.Code, tt.code)
				}
			}
			if got := res.Header.Get("Allow"); got != tt.allow {
				t.Errorf("Allow %q, want %q", got, tt.allow)
			}
			if line["route"] != tt.route || line["status"] != float64(tt.status) || line["request_id"] != res.Header.Get("X-Request-ID") {
				t.Errorf("log line %v", line)
			}
			all, _ := json.Marshal(line)
			for _, leak := range []string{"secret", "482913", "stranger", "SECRET"} {
				if strings.Contains(string(all), leak) {
					t.Errorf("the log line holds %q: %s", leak, all)
				}
			}
			for _, h := range []string{"X-Content-Type-Options", "Cache-Control", "Content-Security-Policy", "Referrer-Policy"} {
				if res.Header.Get(h) == "" {
					t.Errorf("the answer has no %s", h)
				}
			}
		})
	}
}

func TestLogLine(t *testing.T) {
	t.Parallel()
	_, line := serve(t, testMux(), httptest.NewRequest("GET", "/things/1", nil))
	for _, volatile := range []string{"time", "request_id", "took"} {
		if line[volatile] == nil {
			t.Errorf("no %s", volatile)
		}
		delete(line, volatile)
	}
	want := map[string]any{"level": "INFO", "msg": "request", "method": "GET", "route": "GET /things/{id}", "status": 200.0, "app": "shop"}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
	_, line = serve(t, testMux(), httptest.NewRequest("GET", "/panic", nil))
	if line["level"] != "ERROR" || line["panic"] != "string" || !strings.Contains(line["stack"].(string), "testMux") {
		t.Errorf("a panic's line: %v", line)
	}
}

func TestRequestIDsAreOurs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		r := httptest.NewRequest("GET", "/things/1", nil)
		r.Header.Set("X-Request-ID", "mine")
		res, _ := serve(t, testMux(), r)
		id := res.Header.Get("X-Request-ID")
		body, _ := io.ReadAll(res.Body)
		if len(id) != 26 || seen[id] || string(body) != id {
			t.Fatalf("id %q, in the context %q", id, body)
		}
		seen[id] = true
	}
	if got := RequestID(t.Context()); got != "" {
		t.Errorf("outside of a request the id is %q", got)
	}
	Note(t.Context(), slog.Int("nobody", 1)) // must not panic
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var got []string
	h := Wrap(testMux(), Options{Observe: func(method, route string, status int, took time.Duration) {
		if took < 0 {
			t.Error("negative time")
		}
		got = append(got, method+" "+route+" "+http.StatusText(status))
	}})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/things/1", nil), httptest.NewRequest("BREW", "/x", nil), httptest.NewRequest("GET", "/panic", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := []string{"GET GET /things/{id} OK", "other unmatched Not Found", "GET GET /panic Internal Server Error"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(errors.New("later"))
	})
	srv := httptest.NewServer(Wrap(h, Options{}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

func TestAbortGoesThrough(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p != any(http.ErrAbortHandler) {
			t.Errorf("recovered %v", p)
		}
	}()
	Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Options{}).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	res, line := serve(t, Unavailable("The service is starting.", 1500*time.Millisecond), httptest.NewRequest("POST", "/v1/x", nil))
	p := readProblem(t, res)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" || p.RetryAfter != 2 || p.Code != "unavailable" {
		t.Errorf("%d, Retry-After %q, %+v", res.StatusCode, res.Header.Get("Retry-After"), p)
	}
	if line["level"] != "ERROR" {
		t.Errorf("level %v", line["level"])
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60} {
		if got := Seconds(d); got != want {
			t.Errorf("Seconds(%s) = %d, want %d", d, got, want)
		}
	}
}

func TestResponseControllerReachesTheConnection(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 2)
	srv := httptest.NewServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		failed <- c.SetReadDeadline(time.Now().Add(time.Minute))
		failed <- c.Flush()
	}), Options{}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err := errors.Join(<-failed, <-failed); err != nil {
		t.Error(err)
	}
}
