package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/sixdigit/sixdigit/internal/edge"
)

// A generic server posts JSON or a form whose fields the operator names. Its
// answers are those of the JSON API: 200, or a problem with advice.

// readGeneric reads an order by the names of its fields.
func readGeneric(h *Hook, body []byte, form bool) (order, error) {
	get, err := jsonFields(body)
	if form {
		get, err = formFields(body)
	}
	if err != nil {
		return order{}, err
	}
	f := &h.Fields
	return order{
		to: get(f.To), code: get(f.Code), usage: get(f.Usage), locale: get(f.Locale), clientIP: get(f.ClientIP), id: get(f.ID), channel: get(f.Channel),
	}, nil
}

// formFields gives the fields of a form; one that stands twice is none.
func formFields(body []byte) (func(name string) string, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformedError{"the body is not a form"}
	}
	return func(name string) string {
		if values := form[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}, nil
}

// jsonFields gives the members of an object by dotted paths: texts and numbers,
// these as they are written.
func jsonFields(body []byte) (func(path string) string, error) {
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		return nil, malformedError{"the body is not a JSON object"}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformedError{"something follows the JSON object"}
	}
	return func(path string) string {
		value := any(object)
		for name := range strings.SplitSeq(path, ".") {
			members, ok := value.(map[string]any)
			if !ok {
				return ""
			}
			value = members[name]
		}
		switch v := value.(type) {
		case string:
			return v
		case json.Number:
			return v.String()
		}
		return ""
	}, nil
}

// genericAnswer is the answer to an order that is carried out.
type genericAnswer struct {
	Status Result `json:"status"`
	ID     string `json:"id,omitempty"`
}

func replyGeneric(o outcome) reply {
	if o.result.done() {
		return reply{status: 200, body: genericAnswer{o.result, o.id}}
	}
	p := edge.Problem{Status: o.result.status(), Code: "order_" + string(o.result), Detail: o.words()}
	if o.wait > 0 {
		p.RetryAfter = edge.Seconds(o.wait)
	}
	return reply{status: p.Status, body: p}
}
