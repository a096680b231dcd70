package interop

import (
	"encoding/json"
	"testing"

	"github.com/sixdigit/sixdigit/internal/httpapi"
)

// The document that the service publishes is valid OpenAPI 3.1.
func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	data, err := httpapi.OpenAPI("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	r := startReferee(t)
	var v struct {
		Valid           bool
		Version, Errors string
	}
	r.ask("openapi.validate", map[string]any{"document": document}, &v)
	if !v.Valid || v.Version != "3.1" {
		t.Errorf("version %s, valid %v: %s", v.Version, v.Valid, v.Errors)
	}
	// The referee must be able to say no.
	delete(document, "info")
	if r.ask("openapi.validate", map[string]any{"document": document}, &v); v.Valid {
		t.Error("a document without info is valid too")
	}
}
