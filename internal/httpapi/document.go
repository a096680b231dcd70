package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
)

const (
	securityScheme   = "key"
	tagVerifications = "verifications"
	tagMessages      = "messages"
)

const documentText = `Phone numbers, verified by a code sent as a text.

Every request carries an API key: ` + "`Authorization: Bearer sd_…`" + `. A key belongs to an app and sees that app's verifications and messages only; another's are 404.

Errors are RFC 9457 problems (` + "`application/problem+json`" + `) with a stable ` + "`code`" + `. 400 is a request that cannot be read; 422 one that says something impossible. ` + "`Retry-After`" + ` is on every 429 and 503. ` + "`request_id`" + `, also in ` + "`X-Request-ID`" + `, finds the request in the service's log.

Bodies are one JSON object of at most 16384 bytes; unknown fields and names that stand twice are errors. Times are RFC 3339 in UTC.`

func newDocument(version string) *huma.OpenAPI {
	if version == "" {
		version = "0.0.0"
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "sixdigit", Version: version, Description: documentText,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Tags: []*huma.Tag{
			{Name: tagVerifications, Description: "Start, check, resend, read and cancel."},
			{Name: tagMessages, Description: "Send a code that you made yourself, and see it arrive."},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{securityScheme: {
				Type: "http", Scheme: "bearer", BearerFormat: "sd_<id>_<secret>",
				Description: "An API key, made with `sixdigit keys create`. Its scopes here are verify, messages and read.",
			}},
		},
	}
}

// describe makes the operation's part of the document.
func (o operation) describe(registry huma.Registry, body *huma.Schema) *huma.Operation {
	op := &huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag},
		Summary: o.summary, Description: o.description + "\n\nScope: " + scopeNames(o.scopes) + ".",
		Security:  []map[string][]string{{securityScheme: {}}},
		Responses: map[string]*huma.Response{},
	}
	if strings.Contains(o.path, "{id}") {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "id", In: "path", Required: true, Description: "The " + strings.TrimSuffix(o.tag, "s") + "'s id.",
			Schema: &huma.Schema{Type: huma.TypeString}, Example: sampleID,
		})
	}
	if o.body != noBody {
		one, most := 1, maxIdemKey
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Example: "7f1b0e9c-signup-1",
			Description: "Makes a repetition of the request harmless for 24 hours: it answers with the record as it stands then. Another body with the same key is 422; a first request still under way is 409. Refusals by a limit are not remembered.",
			Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &one, MaxLength: &most, Pattern: "^[!-~]+$"},
		})
		media := &huma.MediaType{Schema: body, Examples: map[string]*huma.Example{}}
		for _, s := range o.requests {
			media.Examples[s.name] = &huma.Example{Summary: s.summary, Value: s.value}
		}
		op.RequestBody = &huma.RequestBody{
			Required: o.body == requiredBody, Description: "At most 16384 bytes.",
			Content: map[string]*huma.MediaType{"application/json": media},
		}
	}
	for _, a := range o.answers {
		op.Responses[strconv.Itoa(a.status)] = &huma.Response{
			Description: a.text, Headers: commonHeaders(false),
			Content: map[string]*huma.MediaType{"application/json": {
				Schema:   registry.Schema(reflect.TypeOf(a.sample), true, ""),
				Examples: map[string]*huma.Example{"answer": {Value: a.sample}},
			}},
		}
	}
	o.describeProblems(op, registry.Schema(reflect.TypeFor[Problem](), true, ""))
	return op
}

// describeProblems lists the codes of each status, with an example of each.
func (o operation) describeProblems(op *huma.Operation, schema *huma.Schema) {
	codes := append(o.sharedFaults(), o.faults...)
	for _, f := range faultTable() {
		if !slices.Contains(codes, f.code) {
			continue
		}
		status := strconv.Itoa(f.status)
		r := op.Responses[status]
		if r == nil {
			r = &huma.Response{
				Headers: commonHeaders(problemSample(f.code).RetryAfter > 0),
				Content: map[string]*huma.MediaType{edge.ProblemType: {Schema: schema, Examples: map[string]*huma.Example{}}},
			}
			op.Responses[status] = r
		}
		if r.Description != "" {
			r.Description += "\n"
		}
		r.Description += "- `" + f.code + "`: " + f.detail
		r.Content[edge.ProblemType].Examples[f.code] = &huma.Example{Value: problemSample(f.code)}
	}
}

// sharedFaults are the problems that any operation of its kind can have.
func (o operation) sharedFaults() []string {
	codes := []string{codeUnauthorized, codeForbidden, codeInternal, codeUnavailable}
	if o.body != noBody {
		codes = append(codes, codeMalformed, codeBodyBroken, codeBodySlow, codeBodyTooLarge, codeMediaType, codeInvalid,
			codeIdemKey, codeInFlight, codeIdemMismatch)
	}
	if o.body == requiredBody {
		codes = append(codes, codeBodyMissing)
	}
	return codes
}

// policyFaults are the refusals of a start that policy makes before anything is
// written, and messageFaults those of a message.
func policyFaults() []string {
	return []string{
		codeNumber, "country_not_allowed", "number_kind", "use_call", "usage_type_unknown", "channel_unsupported",
		"domain_not_allowed", "client_ip_required", codeClientIP, "session_invalid", "metadata_invalid", "code_length", "locale_invalid",
	}
}

func messageFaults() []string {
	return []string{
		codeNumber, "country_not_allowed", "number_kind", "use_call", "usage_type_unknown", "client_ip_required", codeClientIP, "locale_invalid", codePayload,
	}
}

func commonHeaders(retry bool) map[string]*huma.Param {
	h := map[string]*huma.Param{
		"X-Request-ID": {Description: "Finds the request in the service's log.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	if retry {
		h["Retry-After"] = &huma.Param{Description: "In how many seconds to try again.", Schema: &huma.Schema{Type: huma.TypeInteger}}
	}
	return h
}

func scopeNames(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = "`" + string(s) + "`"
	}
	return strings.Join(names, " or ")
}

func titleOf(status int) string { return http.StatusText(status) }
