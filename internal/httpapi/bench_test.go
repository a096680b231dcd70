//go:build unix

package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// What a check costs above the domain, in three ways on the same kind of mux:
// as it is, by huma's own pipeline, and by hand with encoding/json alone. empty
// reads the body and answers with nothing: the floor.
func benchHandlers(b *testing.B) (map[string]http.Handler, string) {
	v := record(b)
	domain := &fake{check: func(verify.CheckRequest) (verify.Checked, error) {
		return verify.Checked{Valid: true, Verification: v, Now: recordTime()}, nil
	}}
	ta := newTestAPI(b, domain)
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))

	ours := http.NewServeMux()
	ta.Routes(ours)
	wrap := func(h http.Handler) http.Handler { return edge.Wrap(h, edge.Options{Log: log}) }

	empty := http.NewServeMux()
	empty.HandleFunc("POST /v1/verifications/{id}/check", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
	})
	return map[string]http.Handler{
		"empty": empty, "empty in edge": wrap(empty), "ours": wrap(ours),
		"huma.Register": wrap(humaMux(ta, domain)), "by hand": wrap(handMux(ta, domain)),
	}, "Bearer " + ta.keys["shop"]
}

func humaMux(ta *testAPI, domain Verifier) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("bench", "1")
	config.CreateHooks, config.DocsPath, config.SchemasPath, config.OpenAPIPath = nil, "", "", ""
	api := humago.New(mux, config)
	type input struct {
		ID      string `path:"id"`
		RawBody []byte
		Body    CheckRequest
	}
	type output struct{ Body CheckAnswer }
	type callerKey struct{}
	huma.Register(api, huma.Operation{
		OperationID: "check", Method: "POST", Path: "/v1/verifications/{id}/check", MaxBodyBytes: maxBody,
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			caller, err := ta.Authenticator.Authenticate(ctx.Context(), ctx.Header("Authorization"))
			if err != nil || !caller.May(access.ScopeVerify) {
				_ = huma.WriteErr(api, ctx, 401, "no")
				return
			}
			next(huma.WithValue(ctx, callerKey{}, caller))
		}},
	}, func(ctx context.Context, in *input) (*output, error) {
		caller := ctx.Value(callerKey{}).(access.Caller)
		res, err := domain.Check(ctx, verify.CheckRequest{App: caller.App, ID: in.ID, Code: secret.New(in.Body.Code)})
		if err != nil {
			return nil, err
		}
		v := render(res.Verification, res.Now)
		return &output{CheckAnswer{res.Valid, v.Status, v.AttemptsLeft, v}}, nil
	})
	return mux
}

func handMux(ta *testAPI, domain Verifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/verifications/{id}/check", func(w http.ResponseWriter, r *http.Request) {
		caller, err := ta.Authenticator.Authenticate(r.Context(), r.Header.Get("Authorization"))
		if err != nil || !caller.May(access.ScopeVerify) {
			w.WriteHeader(401)
			return
		}
		var body CheckRequest
		dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&body); err != nil {
			w.WriteHeader(400)
			return
		}
		res, err := domain.Check(r.Context(), verify.CheckRequest{App: caller.App, ID: r.PathValue("id"), Code: secret.New(body.Code)})
		if err != nil {
			w.WriteHeader(500)
			return
		}
		v := render(res.Verification, res.Now)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(CheckAnswer{res.Valid, v.Status, v.AttemptsLeft, v})
	})
	return mux
}

// BenchmarkCheckHandler has no network: it shows the handlers apart.
func BenchmarkCheckHandler(b *testing.B) {
	handlers, auth := benchHandlers(b)
	for _, name := range []string{"empty", "empty in edge", "by hand", "ours", "huma.Register"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &discard{header: http.Header{}}
			for b.Loop() {
				r := httptest.NewRequest("POST", onePath+"/check", strings.NewReader(codeBody))
				r.Header["Authorization"] = []string{auth}
				r.Header["Content-Type"] = []string{"application/json"}
				clear(w.header)
				handlers[name].ServeHTTP(w, r)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// cpuTime is what the process has used so far. Unlike the wall's time it says
// the same on a busy machine.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkCheckHTTP goes over loopback with 64 callers.
func BenchmarkCheckHTTP(b *testing.B) {
	handlers, auth := benchHandlers(b)
	for _, name := range []string{"empty", "empty in edge", "by hand", "ours", "huma.Register"} {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(handlers[name])
			defer srv.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			body := []byte(codeBody)
			b.SetParallelism(32)
			before := cpuTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := http.NewRequest("POST", srv.URL+onePath+"/check", bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					r.Header["Authorization"] = []string{auth}
					r.Header["Content-Type"] = []string{"application/json"}
					res, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					if res.StatusCode != 200 {
						b.Errorf("status %d", res.StatusCode)
						return
					}
				}
			})
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") // of client and server
		})
	}
}
