package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// maxBody bounds a request body: many times what the fields may hold.
const maxBody = 16 << 10

// maxIdemKey bounds an Idempotency-Key.
const maxIdemKey = 255

// operation is one call of the API: what it needs, and what the OpenAPI
// document says of it.
type operation struct {
	id, method, path     string
	tag                  string // the group that it stands in
	summary, description string
	scopes               []access.Scope // one of them is needed
	body                 bodyKind
	requests             []sample // examples of the body
	answers              []reply
	faults               []string // the codes of problems that are its own
}

type bodyKind int

const (
	noBody bodyKind = iota
	optionalBody
	requiredBody
)

// call is one request on its way to the domain.
type call[B any] struct {
	w http.ResponseWriter
	r *http.Request

	caller access.Caller
	id     string // of the verification or message in the path
	idem   *verify.Idem
	body   B
	later  verify.Later // set by addSend
}

// add enters an operation whose body is a B: its route and its description.
func add[B any](a *API, o operation, handle func(ctx context.Context, c *call[B]) (status int, answer any, err error)) {
	route := o.method + " " + o.path
	var schema *huma.Schema
	if o.body != noBody {
		schema = a.document.Components.Schemas.Schema(reflect.TypeFor[B](), true, "")
	}
	a.document.AddOperation(o.describe(a.document.Components.Schemas, schema))
	read := newReader[B](a.document.Components.Schemas, schema)
	a.routes[route] = func(w http.ResponseWriter, r *http.Request) {
		c := &call[B]{w: w, r: r, id: r.PathValue("id")}
		var err error
		if c.caller, err = a.authenticate(r, o.scopes); err == nil && o.body != noBody {
			var data []byte
			if data, c.idem, err = a.receive(r, o.body, route, c.caller.App); err == nil && !read.quick.read(data, &c.body) {
				c.body, err = read.decode(data)
			}
		}
		var status int
		var answer any
		if err == nil {
			status, answer, err = handle(r.Context(), c)
		}
		write(w, r, status, answer, err)
	}
}

// addSend enters an operation that sends a text: send asks the domain for it, and
// tell makes what that came to into an answer. While a provider takes its time the
// answer is nobody's (see edge.Detach); tell then has another context than send.
func addSend[B any](
	a *API, o operation, send func(ctx context.Context, c *call[B]) (verify.Started, error),
	tell func(ctx context.Context, st verify.Started, err error) (status int, answer any, _ error),
) {
	add(a, o, func(ctx context.Context, c *call[B]) (int, any, error) {
		c.later = func() func(verify.Started, error) {
			d := edge.Detach(c.w, c.r)
			if d == nil {
				return nil
			}
			return func(st verify.Started, err error) {
				d.Answer(func(w http.ResponseWriter, r *http.Request) {
					status, answer, err := tell(r.Context(), st, err)
					write(w, r, status, answer, err)
				})
			}
		}
		st, err := send(ctx, c)
		return tell(ctx, st, err)
	})
}

// write answers with what an operation came to. Where that comes later, somebody
// else does.
func write(w http.ResponseWriter, r *http.Request, status int, answer any, err error) {
	switch {
	case errors.Is(err, verify.ErrLater):
	case err != nil:
		writeError(w, r, err)
	default:
		edge.WriteJSON(w, status, "application/json", answer)
	}
}

// authenticate says who calls, before anything of the body is read.
func (a *API) authenticate(r *http.Request, scopes []access.Scope) (access.Caller, error) {
	headers := r.Header["Authorization"]
	if len(headers) != 1 {
		return access.Caller{}, access.ErrUnknownKey
	}
	caller, err := a.Authenticator.Authenticate(r.Context(), headers[0])
	if err != nil {
		return caller, err
	}
	edge.Note(r.Context(), slog.String("app", caller.App), slog.String("key", caller.KeyID))
	if !caller.May(scopes...) {
		return caller, errForbidden
	}
	return caller, nil
}

// receive reads the headers and the body of a request that brings one.
func (a *API) receive(r *http.Request, kind bodyKind, route, app string) (data []byte, idem *verify.Idem, err error) {
	key, given, err := idemKey(r.Header)
	if err != nil {
		return nil, nil, err
	}
	if r.ContentLength != 0 { // -1 where it is not told
		if err := mediaType(r.Header); err != nil {
			return nil, nil, err
		}
	}
	data, err = readBody(r)
	switch {
	case err != nil:
		return nil, nil, err
	case len(data) == 0 && kind == requiredBody:
		return nil, nil, faultError{code: codeBodyMissing}
	case len(data) == 0:
		data = []byte("{}")
	}
	if given {
		idem = a.Idem(app, route, key, data)
	}
	return data, idem, nil
}

// idemKey reads the Idempotency-Key: visible ASCII, so that two programs never
// differ about what it is.
func idemKey(h http.Header) (key string, given bool, err error) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", false, nil
	}
	key = values[0]
	if len(values) > 1 || key == "" || len(key) > maxIdemKey {
		return "", false, faultError{code: codeIdemKey}
	}
	for i := range len(key) {
		if key[i] < '!' || key[i] > '~' {
			return "", false, faultError{code: codeIdemKey}
		}
	}
	return key, true, nil
}

// mediaType takes JSON alone, as it is. A browser cannot send that to another
// site without asking first.
func mediaType(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return faultError{code: codeMediaType}
	}
	given := h.Get("Content-Type")
	if given == "application/json" {
		return nil
	}
	parsed, params, err := mime.ParseMediaType(given)
	if charset, ok := params["charset"]; err != nil || parsed != "application/json" || ok && !strings.EqualFold(charset, "utf-8") {
		return faultError{code: codeMediaType}
	}
	return nil
}

// readBody reads the body once, whole.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, faultError{code: codeBodyTooLarge}
	}
	var data []byte
	var err error
	if n := r.ContentLength; n >= 0 {
		data = make([]byte, n) // net/http gives no more than was announced
		_, err = io.ReadFull(r.Body, data)
	} else {
		data, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	}
	switch {
	case err != nil:
		return nil, bodyFault(err)
	case len(data) > maxBody:
		return nil, faultError{code: codeBodyTooLarge}
	}
	return data, nil
}

// bodyFault is why a body could not be read.
func bodyFault(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return faultError{code: codeBodyTooLarge}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return faultError{code: codeBodySlow}
	}
	return faultError{code: codeBodyBroken}
}
