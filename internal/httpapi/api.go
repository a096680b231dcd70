package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// Verifier is the domain; *verify.Service is one.
type Verifier interface {
	Start(ctx context.Context, r verify.StartRequest) (verify.Started, error)
	Resend(ctx context.Context, r verify.ResendRequest) (verify.Started, error)
	Check(ctx context.Context, r verify.CheckRequest) (verify.Checked, error)
	Cancel(ctx context.Context, app, id string) (*verify.Verification, time.Time, error)
	Get(ctx context.Context, app, id string) (*verify.Verification, time.Time, error)
}

var _ Verifier = (*verify.Service)(nil)

// Authenticator says who calls; *access.Authenticator is one.
type Authenticator interface {
	Authenticate(ctx context.Context, header string) (access.Caller, error)
}

var _ Authenticator = (*access.Authenticator)(nil)

// Options are the parts of an API.
type Options struct {
	Verifier      Verifier
	Messenger     Messenger
	Authenticator Authenticator
	// Idem hides an Idempotency-Key and a body; it is verify.Keyring.Idem.
	Idem func(app, route, key string, body []byte) *verify.Idem
	// Version of the program, for the OpenAPI document.
	Version string
}

// API is the JSON API. It has the routes of Routes and is meant for
// edge.Wrap, which answers what no route matches.
type API struct {
	Options
	routes   map[string]http.HandlerFunc
	document *huma.OpenAPI
	served   []byte // the document as JSON
}

// New makes the API.
func New(o Options) (*API, error) {
	if o.Verifier == nil || o.Messenger == nil || o.Authenticator == nil || o.Idem == nil {
		return nil, errors.New("httpapi: a verifier, a messenger, an authenticator and idem are needed")
	}
	return build(o)
}

// OpenAPI returns the OpenAPI 3.1 document of the API, as indented JSON.
func OpenAPI(version string) ([]byte, error) {
	a, err := build(Options{Version: version})
	if err != nil {
		return nil, err
	}
	return a.served, nil
}

func build(o Options) (*API, error) {
	a := &API{Options: o, routes: map[string]http.HandlerFunc{}, document: newDocument(o.Version)}
	a.verifications()
	a.messages()
	for name, schema := range a.document.Components.Schemas.Map() {
		if !strings.HasSuffix(name, "Request") {
			// Answers may gain fields; clients must not break on them.
			schema.AdditionalProperties = nil
		}
	}
	var err error
	if a.served, err = json.MarshalIndent(a.document, "", "  "); err != nil {
		return nil, fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
	}
	return a, nil
}

// Mux is what routes are mounted on; *http.ServeMux is one.
type Mux interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Routes mounts every route.
func (a *API) Routes(mux Mux) {
	for route, handler := range a.routes {
		mux.HandleFunc(route, handler)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(a.served)
	})
}

// Handler returns the API on a mux of its own, wrapped.
func (a *API) Handler(o edge.Options) http.Handler {
	mux := http.NewServeMux()
	a.Routes(mux)
	return edge.Wrap(mux, o)
}
