package hooks

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-jsonnet"
)

// kratosMessage is what Kratos' courier hands to the Jsonnet: a message of a
// type, with the data of its template.
func kratosMessage(templateType string, data map[string]any) map[string]any {
	return map[string]any{
		"recipient": "+14155552671", "subject": "", "body": "Your code is: 482913", "template_type": templateType, "template_data": data, "message_type": "sms",
	}
}

// TestKratosJsonnet runs the Jsonnet that docs/integrations ships as Kratos does,
// with the context as the argument ctx, and sends what comes out of it.
func TestKratosJsonnet(t *testing.T) {
	t.Parallel()
	identity := map[string]any{"id": "x", "traits": map[string]any{"phone": "+14155552671", "locale": "de"}}
	for name, c := range map[string]struct {
		ctx  map[string]any
		want string // "" is an order that is refused
		is   string
	}{
		"login": {
			kratosMessage("login_code_valid", map[string]any{
				"to": "+14155552671", "login_code": "482913", "identity": identity, "request_url": "https://example.com", "transient_payload": map[string]any{}, "expires_in_minutes": 15,
			}), `{"code":"482913","locale":"de","message_type":"sms","template_type":"login_code_valid","to":"+14155552671"}`, "SignIn",
		},
		"registration": {
			kratosMessage("registration_code_valid", map[string]any{
				"to": "+14155552671", "registration_code": "482913", "traits": identity["traits"], "transient_payload": map[string]any{"locale": "fr"}, "expires_in_minutes": 15,
			}), `{"code":"482913","locale":"fr","message_type":"sms","template_type":"registration_code_valid","to":"+14155552671"}`, "Register",
		},
		"verification": {
			kratosMessage("verification_code_valid", map[string]any{"to": "+14155552671", "verification_code": "482913", "identity": nil, "transient_payload": nil}),
			`{"code":"482913","locale":null,"message_type":"sms","template_type":"verification_code_valid","to":"+14155552671"}`, "BindNewIdentifier",
		},
		"recovery": {
			kratosMessage("recovery_code_valid", map[string]any{"to": "+14155552671", "recovery_code": "482913", "identity": identity}),
			`{"code":"482913","locale":"de","message_type":"sms","template_type":"recovery_code_valid","to":"+14155552671"}`, "ForgotPassword",
		},
		"a long locale": {
			kratosMessage("login_code_valid", map[string]any{
				"to": "+14155552671", "login_code": "482913", "identity": identity, "transient_payload": map[string]any{"locale": strings.Repeat("x", 65)},
			}), `{"code":"482913","locale":"de","message_type":"sms","template_type":"login_code_valid","to":"+14155552671"}`, "SignIn",
		},
		"stub": {
			kratosMessage("stub", map[string]any{"To": "+14155552671", "Body": "test"}),
			`{"code":null,"locale":null,"message_type":"sms","template_type":"stub","to":"+14155552671"}`, "",
		},
		"no data": {
			map[string]any{"recipient": "+14155552671", "template_type": "login_code_valid", "template_data": nil},
			`{"code":null,"locale":null,"message_type":null,"template_type":"login_code_valid","to":"+14155552671"}`, "",
		},
	} {
		ctx, err := json.Marshal(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		vm := jsonnet.MakeVM()
		vm.TLACode("ctx", string(ctx))
		body, err := vm.EvaluateFile("../../docs/integrations/kratos.jsonnet")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got, want any
		if json.Unmarshal([]byte(body), &got) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
			t.Fatalf("%s: not JSON: %s", name, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		d := &domain{says: "taken"}
		b := newBoard(t, d, nil, goldenHooks()...)
		r := httptest.NewRequest("POST", "/hooks/kratos", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth("kratos", headerSecret)
		rec := httptest.NewRecorder()
		b.ServeHTTP(rec, r)
		switch {
		case c.is == "" && (rec.Code != 200 || !strings.Contains(rec.Body.String(), `"dropped":"malformed"`)), c.is != "" && rec.Code != 204:
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		case c.is != "" && (string(d.asked[0].Usage) != c.is || d.asked[0].Payload["code"] != "482913"):
			t.Errorf("%s: %+v", name, d.asked[0])
		}
	}
}
