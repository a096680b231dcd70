package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	messageBody = `{"to":"+1 (415) 555-2671","usage_type":"SignIn","payload":{"code":"482913"},"client_ip":"203.0.113.7"}`
	messagePath = "/v1/messages/" + sampleID
)

func optedOut() error {
	return &verify.RefusedError{Cause: &connector.Error{
		Kind: connector.KindOptedOut, Outcome: connector.OutcomeRefused, Advice: connector.AdviceOptedOut, Err: errors.New("the person has opted out"),
	}}
}

// messageRecord is a message as the domain would hand it out: not taken by one
// connector, and sent by another.
func messageRecord(t testing.TB) *verify.Verification {
	v := record(t)
	at := v.CreatedAt
	v.Supplied, v.Checks, v.MaxChecks, v.CodeLength, v.MaxSends = true, 0, 0, 0, 1
	v.Sealed = []byte("sealed")
	first := v.Sends[0]
	first.Connector, first.Status, first.ProviderID = "first", connector.StatusRejected, ""
	first.Error = &verify.SendFault{Kind: connector.KindAuth, ProviderCode: "20003", Advice: connector.AdviceOurFault}
	first.History = []verify.Heard{{Status: connector.StatusSending, At: at}, {Status: connector.StatusRejected, At: at.Add(time.Second)}}
	second := v.Sends[0]
	second.ID, second.CreatedAt = sampleID+".2", at.Add(time.Second)
	second.History = []verify.Heard{{Status: connector.StatusSending, At: at.Add(time.Second)}, {Status: connector.StatusAccepted, At: at.Add(2 * time.Second)}}
	v.Sends = []verify.Send{first, second}
	return v
}

func messageCases(t *testing.T) []goldenCase {
	sends := func(change func(*verify.Started)) fake {
		return fake{sendMessage: func(verify.MessageRequest) (verify.Started, error) {
			st := verify.Started{Verification: messageRecord(t), Now: recordTime(), Sent: true}
			if change != nil {
				change(&st)
			}
			return st, nil
		}}
	}
	refuse := func(err error) fake {
		return fake{sendMessage: func(verify.MessageRequest) (verify.Started, error) { return verify.Started{}, err }}
	}
	gets := func(v *verify.Verification, err error) fake {
		return fake{getMessage: func(string, string) (*verify.Verification, error) { return v, err }}
	}
	post := func(name, payload string, f fake) goldenCase {
		body := strings.Replace(messageBody, `{"code":"482913"}`, payload, 1)
		return goldenCase{name: name, method: "POST", path: "/v1/messages", body: body, key: "messages", fake: f}
	}
	get := func(name, key string, f fake) goldenCase {
		return goldenCase{name: name, method: "GET", path: messagePath, key: key, fake: f}
	}
	const code = `{"code":"482913"}`
	test := messageRecord(t)
	test.Test, test.Sends, test.Sealed = true, test.Sends[1:], nil
	test.Sends[0].Connector, test.Sends[0].ProviderID, test.Sends[0].Segments = "test", "", 0
	bare := messageRecord(t)
	bare.Sends = bare.Sends[:1]
	bare.Sends[0].History = nil // no row is like it; lists are lists all the same
	return []goldenCase{
		post("message_created", code, sends(nil)),
		post("message_unknown", code, sends(func(st *verify.Started) {
			s := &st.Verification.Sends[1]
			st.Unknown, s.Status, s.ProviderID = true, connector.StatusUnknown, ""
			s.Error = &verify.SendFault{Kind: connector.KindTemporary, Advice: connector.AdviceWait}
			s.History[1].Status = connector.StatusUnknown
		})),
		post("message_waiting", code, sends(func(st *verify.Started) {
			st.Verification.Sends = st.Verification.Sends[:1]
			st.Verification.Sends[0].Status, st.Verification.Sends[0].Error = connector.StatusSending, nil
			st.Verification.Sends[0].History = st.Verification.Sends[0].History[:1]
		})),
		post("message_test_number", code, sends(func(st *verify.Started) { st.Verification = test })),
		post("message_refused", code, refuse(&verify.RefusedError{
			Verification: messageRecord(t), Cause: &connector.Error{
				Kind: connector.KindInvalidRecipient, ProviderCode: "21211", Outcome: connector.OutcomeRefused,
				Advice: connector.AdviceCheckNumber, Err: errors.New("HTTP 400"),
			},
		})),
		post("message_opted_out", code, refuse(optedOut())),
		post("message_limit", code, refuse(&verify.LimitError{Name: "app_number", RetryAfter: time.Minute})),
		post("message_no_template", code, refuse(verify.ErrNoTemplate)),
		post("message_idem_mismatch", code, refuse(verify.ErrIdemMismatch)),
		post("message_in_flight", code, refuse(verify.ErrInFlight)),
		post("message_too_much", code, refuse(&verify.InvalidError{Field: "payload", Code: "payload_invalid", Text: "more than 4096 bytes"})),
		post("message_unavailable", code, refuse(verify.ErrUnavailable)),
		post("message_code_as_number", `{"code":482913}`, fake{}),
		post("message_no_code", `{"Code":"482913"}`, refuse(&verify.InvalidError{Field: "payload", Code: "payload_invalid", Text: "code is missing"})),
		post("message_payload_list", `{"code":"482913","names":["482913"]}`, fake{}),
		post("message_payload_null", `{"code":"482913","name":null}`, fake{}),
		post("message_payload_deep", `{"code":"482913","a":{"b":{"c":{"d":{"e":{"f":"482913"}}}}}}`, fake{}),
		post("message_payload_too_deep", `{"code":"482913","a":`+strings.Repeat(`{"a":`, 30)+`1`+strings.Repeat(`}`, 30)+`}`, fake{}),
		post("message_payload_text", `"482913"`, fake{}),
		post("message_too_large", `{"code":"482913","a":"`+strings.Repeat("x", maxBody)+`"}`, fake{}),
		post("message_unknown_fields", code+`,"session":"s","channel":"sms","code":"482913"`, fake{}),
		{name: "message_missing_fields", method: "POST", path: "/v1/messages", key: "messages", body: `{}`},
		{name: "message_bad_number", method: "POST", path: "/v1/messages", key: "messages", body: strings.Replace(messageBody, "+1 (415)", "(415)", 1)},
		{name: "message_wrong_scope", method: "POST", path: "/v1/messages", body: messageBody},
		{name: "message_wrong_scope_reader", method: "POST", path: "/v1/messages", key: "reader", body: messageBody},
		get("message_get", "messages", gets(messageRecord(t), nil)),
		get("message_get_reader", "reader", gets(bare, nil)),
		get("message_get_not_found", "messages", gets(nil, verify.ErrNotFound)),
		get("message_get_wrong_scope", "", fake{}),
		{name: "message_delete", method: "DELETE", path: messagePath, key: "messages"},
	}
}

// What reaches the domain is what the request said.
func TestMessageReachesTheDomain(t *testing.T) {
	t.Parallel()
	var got verify.MessageRequest
	ta := newTestAPI(t, &fake{sendMessage: func(r verify.MessageRequest) (verify.Started, error) {
		got = r
		return verify.Started{}, verify.ErrNoTemplate
	}})
	body := `{"to":"+44 20 7946 0018","usage_type":"Register","locale":"en-GB","client_ip":"::ffff:203.0.113.7",` +
		`"payload":{"code":"K7-40","n":1.5,"yes":true,"no":false,"a":{"b":{"c":{"d":"deep"}}},"":"","x.y":"z"}}`
	ta.talk(t, "messages", "POST", "/v1/messages", body, "Idempotency-Key", "key-1")
	if got.App != "shop" || got.To.E164() != "+442079460018" || got.Usage != "Register" || got.Locale != "en-GB" || got.ClientIP.String() != "203.0.113.7" {
		t.Errorf("%+v", got)
	}
	want := map[string]any{
		"code": "K7-40", "n": 1.5, "yes": true, "no": false, "": "", "x.y": "z",
		"a": map[string]any{"b": map[string]any{"c": map[string]any{"d": "deep"}}},
	}
	if diff := cmp.Diff(want, got.Payload); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(testKeyring(t).Idem("shop", "POST /v1/messages", "key-1", []byte(body)), got.Idem); diff != "" {
		t.Error(diff)
	}
	ta.talk(t, "messages", "POST", "/v1/messages", messageBody)
	if got.Idem != nil || got.Locale != "" {
		t.Errorf("%+v", got)
	}
}

// FuzzPayload looks for a payload that passes and holds what no placeholder
// stands for.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{`{"code":"1"}`, `{"code":"1","a":{"b":1e9,"c":true}}`, `{"code":"1","a":[]}`, `{"code":null}`, `{"Code":"1"}`, `[]`, `{"code":"1","a":{"":{"":{"":{"":""}}}}}`} {
		f.Add([]byte(s))
	}
	rd := messageReader(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		body, err := rd.decode([]byte(`{"to":"+1","usage_type":"Test","payload":` + string(payload) + `}`))
		if err != nil || payloadFault(body.Payload, 1) != nil {
			return
		}
		var check func(v any, depth int)
		check = func(v any, depth int) {
			switch v := v.(type) {
			case string, float64, bool:
			case map[string]any:
				if depth > maxPayloadDepth {
					t.Errorf("%s is %d deep", payload, depth)
				}
				for _, member := range v {
					check(member, depth+1)
				}
			default:
				t.Errorf("%s holds a %T", payload, v)
			}
		}
		check(map[string]any(body.Payload), 1)
	})
}

// TestMessagesWithTheService is a message, and what may go wrong with one, over
// the real domain.
func TestMessagesWithTheService(t *testing.T) {
	t.Parallel()
	box, log := &phoneBox{}, &lockedBuffer{}
	ta := newTestAPI(t, newService(t, box, log))
	var answers strings.Builder
	talk := func(key, method, path, body string, header ...string) (int, map[string]any) {
		status, a := ta.talk(t, key, method, path, body, header...)
		text, _ := json.Marshal(a)
		answers.Write(text)
		return status, a
	}
	expect := func(what string, status, want int, a map[string]any, field string, value any) {
		t.Helper()
		if status != want || a[field] != value {
			t.Errorf("%s: %d %v; want %d with %s %v", what, status, a, want, field, value)
		}
	}
	send := `{"to":"+1 415 555 2671","usage_type":"SignIn","payload":{"code":"7418529630","who":{"name":"Rumpelstiltskin"}},"client_ip":"203.0.113.7"}`
	status, m := talk("messages", "POST", "/v1/messages", send, "Idempotency-Key", "one")
	expect("send", status, 201, m, "status", "accepted")
	if code, texts := box.last(); texts != 1 || code != "7418529630" {
		t.Fatalf("%d texts, the last with %q", texts, code)
	}
	one := "/v1/messages/" + m["id"].(string)
	var history []string
	for _, h := range m["sends"].([]any)[0].(map[string]any)["history"].([]any) {
		history = append(history, h.(map[string]any)["status"].(string))
	}
	if diff := cmp.Diff([]string{"sending", "accepted"}, history); diff != "" {
		t.Error(diff)
	}
	status, a := talk("messages", "POST", "/v1/messages", send, "Idempotency-Key", "one")
	expect("a repetition", status, 201, a, "id", m["id"])
	status, a = talk("messages", "POST", "/v1/messages", strings.Replace(send, "7418529630", "7418529631", 1), "Idempotency-Key", "one")
	expect("another code with the same key", status, 422, a, "code", codeIdemMismatch)
	if _, texts := box.last(); texts != 1 {
		t.Errorf("%d texts after two repetitions", texts)
	}
	status, a = talk("reader", "GET", one, "")
	expect("read", status, 200, a, "status", "accepted")
	status, a = talk("other", "GET", one, "")
	expect("another app's", status, 404, a, "code", codeNotFound)
	status, a = talk("other", "POST", "/v1/messages", send, "Idempotency-Key", "one")
	expect("another app with the same key", status, 201, a, "status", "accepted")
	if a["id"] == m["id"] {
		t.Error("two apps share a message")
	}

	// A message is no verification, and the reverse.
	asVerification := "/v1/verifications/" + m["id"].(string)
	for _, call := range [][3]string{
		{"GET", asVerification, ""}, {"DELETE", asVerification, ""},
		{"POST", asVerification + "/check", `{"code":"7418529630"}`}, {"POST", asVerification + "/resend", ""},
	} {
		status, a = talk("shop", call[0], call[1], call[2])
		expect(call[0]+" a message as a verification", status, 404, a, "code", codeNotFound)
	}
	status, a = talk("messages", "GET", one, "")
	expect("read again", status, 200, a, "status", "accepted")
	_, v := talk("shop", "POST", "/v1/verifications", `{"to":"+14155552673","usage_type":"SignIn","client_ip":"203.0.113.7"}`)
	for _, id := range []string{v["id"].(string), sampleID, "x", v["id"].(string) + ".1"} {
		status, a = talk("messages", "GET", "/v1/messages/"+id, "")
		expect("no message", status, 404, a, "code", codeNotFound)
	}

	for payload, field := range map[string]string{
		`{"code":"7418529630","a":"` + strings.Repeat("x", 4096) + `"}`: "payload",
		`{"code":"` + strings.Repeat("é", 40) + `"}`:                    "payload",
		`{"Code":"7418529630"}`:                                         "payload",
	} {
		status, a = talk("messages", "POST", "/v1/messages", `{"to":"+14155552674","usage_type":"SignIn","client_ip":"203.0.113.7","payload":`+payload+`}`)
		expect("a payload that will not do", status, 422, a, "code", codePayload)
		if e := a["errors"].([]any)[0].(map[string]any); e["field"] != field {
			t.Errorf("%v", e)
		}
	}

	box.fail = &connector.Error{Kind: connector.KindOptedOut, ProviderCode: "21610", Outcome: connector.OutcomeRefused, Advice: connector.AdviceOptedOut}
	stopped := strings.Replace(send, "2671", "2675", 1)
	status, a = talk("messages", "POST", "/v1/messages", stopped, "Idempotency-Key", "two")
	expect("refused", status, 422, a, "provider_code", "21610")
	refused, _ := a["id"].(string)
	status, again := talk("messages", "POST", "/v1/messages", stopped, "Idempotency-Key", "two")
	expect("refused, repeated", status, 422, again, "id", refused)
	status, got := talk("messages", "GET", "/v1/messages/"+refused, "")
	expect("the refused one", status, 200, got, "status", "rejected")
	box.fail = nil
	status, a = talk("messages", "POST", "/v1/messages", stopped)
	expect("known to have opted out", status, 422, a, "kind", "opted_out")
	status, b := talk("shop", "POST", "/v1/verifications", `{"to":"+14155552675","usage_type":"SignIn","client_ip":"203.0.113.7"}`)
	expect("and for a verification", status, 422, b, "kind", "opted_out")
	if a["id"] != nil || b["id"] != nil {
		t.Errorf("ids of nothing: %v, %v", a["id"], b["id"])
	}
	if _, texts := box.last(); texts != 3 {
		t.Errorf("%d texts", texts)
	}

	for name, text := range map[string]string{"an answer": answers.String(), "the request log": ta.log.String(), "the service's log": log.String()} {
		for _, leak := range []string{"7418529630", "Rumpel", "Your code is", ta.keys["messages"]} {
			if strings.Contains(text, leak) {
				t.Errorf("%s holds %q", name, leak)
			}
		}
	}
}

// What a payload holds stays out of answers and logs also when the request is
// refused.
func TestRefusedMessagesKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, newService(t, &phoneBox{}, io.Discard))
	to := `{"to":"+14155552671","usage_type":"SignIn","client_ip":"203.0.113.7","payload":`
	for _, body := range []string{
		to + `{"code":4829130057}}`, to + `{"4829130057":1}}`, to + `{"code":"1","4829130057":null}}`, to + `{"code":"1","4829130057":{"4829130057":[]}}}`,
		to + `"4829130057"}`, to + `["4829130057"]}`, to + `{"code":"4829130057"`, to + `{"code":"4829130057"},"4829130057":1}`,
		to + `{"code":"4829130057","code":"4829130057"}}`, to + `{"code":"4829130057` + strings.Repeat("0", 80) + `"}}`,
	} {
		r := ta.request("POST", "/v1/messages?code=4829130057", body)
		r.Header.Set("Authorization", "Bearer "+ta.keys["messages"])
		status, _, text := ta.do(t, r)
		if status < 400 || strings.Contains(text, "4829130057") {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if strings.Contains(ta.log.String(), "4829130057") {
		t.Error("the log holds the code")
	}
}
