package twiliosim_test

import (
	"net/http"
	"strings"
	"testing"

	api "github.com/twilio/twilio-go/rest/api/v2010"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// TestSDKReply: what a person texts is handed on, signed as Twilio's validator
// wants it, and stands in the lists as an inbound message.
func TestSDKReply(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t)
	r := newRig(t, twiliosim.Options{InboundRequestURL: rc.url + "/in%2Fbound?app=a+b#rc=2&rp=5xx"})
	v := ok[*messaging.MessagingV1Service](t)(r.messaging.FetchService(simService))
	if val(v.InboundRequestUrl) != rc.url+"/in%2Fbound?app=a+b#rc=2&rp=5xx" {
		t.Errorf("inbound_request_url is %q", val(v.InboundRequestUrl))
	}
	rc.answers(answer(http.StatusInternalServerError), answer(http.StatusBadGateway))
	m, err := r.sim.Reply(person, simNumber, "¡Hola! 1+1 & =")
	if err != nil {
		t.Fatal(err)
	}
	first := rc.receive(t)
	for range 2 {
		if again := rc.receive(t); again.token != first.token || again.form.Encode() != first.form.Encode() {
			t.Error("a retry differs from the first try")
		}
	}
	if first.path != "/in%2Fbound?app=a+b" || first.form.Get("Body") != "¡Hola! 1+1 & =" || first.form.Get("SmsStatus") != "received" || first.form.Has("OptOutType") || first.form.Has("MessageStatus") {
		t.Errorf("%s: %v", first.path, first.form)
	}
	for name, p := range map[string]*api.ListMessageParams{
		"to the number":   (&api.ListMessageParams{}).SetTo(simNumber),
		"from the person": (&api.ListMessageParams{}).SetFrom(person),
		"between them":    (&api.ListMessageParams{}).SetTo(simNumber).SetFrom(person),
	} {
		all := ok[[]api.ApiV2010Message](t)(r.api.ListMessage(p))
		if len(all) != 1 || val(all[0].Sid) != m.SID || val(all[0].Direction) != "inbound" || val(all[0].Status) != "received" || val(all[0].DateSent) == "" || val(all[0].MessagingServiceSid) != simService {
			t.Errorf("%s: %+v", name, all)
		}
	}
	// A text to that person is no reply.
	sid := r.send(t, text(person, "Your code is 123456."))
	if d := val(r.reaches(t, sid, "delivered").Direction); d != "outbound-api" {
		t.Errorf("direction %q", d)
	}
}

// TestSDKReplyByGet: a service may ask for GET, where the URL alone is signed.
func TestSDKReplyByGet(t *testing.T) {
	t.Parallel()
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	for _, u := range []string{"/in", "/in?app=1"} {
		p := (&messaging.UpdateServiceParams{}).SetInboundRequestUrl(rc.url + u).SetInboundMethod("GET")
		if _, err := r.messaging.UpdateService(simService, p); err != nil {
			t.Fatal(err)
		}
		if _, err := r.sim.Reply(person, simNumber, "STOP & more"); err != nil {
			t.Fatal(err)
		}
		got := rc.receive(t)
		if !strings.HasPrefix(got.path, u) || got.form.Get("Body") != "STOP & more" || got.form.Get("From") != person {
			t.Errorf("%s: %s, %v", u, got.path, got.form)
		}
	}
}

// TestSDKOptOut: STOP holds for a service and all its numbers, START ends it.
func TestSDKOptOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	other := ok[*messaging.MessagingV1Service](t)(r.messaging.CreateService((&messaging.CreateServiceParams{}).SetFriendlyName("Other")))
	lone := ok[*api.ApiV2010IncomingPhoneNumber](t)(r.api.CreateIncomingPhoneNumber((&api.CreateIncomingPhoneNumberParams{}).SetAreaCode("415")))
	create := func(service, from, to string) error {
		p := (&api.CreateMessageParams{}).SetTo(to).SetBody("Your code is 123456.")
		if service != "" {
			p.SetMessagingServiceSid(service)
		}
		if from != "" {
			p.SetFrom(from)
		}
		_, err := r.api.CreateMessage(p)
		return err
	}
	reply := func(to, body string) {
		t.Helper()
		if _, err := r.sim.Reply(person, to, body); err != nil {
			t.Fatal(err)
		}
	}
	open := func(service, from, to string, want bool) {
		t.Helper()
		err := create(service, from, to)
		if want && err != nil {
			t.Errorf("service %q, from %q: %v", service, from, err)
		} else if !want {
			wantCode(t, err, 21610, http.StatusBadRequest)
		}
	}
	for _, body := range []string{"hello", "HELP", "STOP it", "START"} {
		reply(simNumber, body)
		open(simService, "", person, true)
	}
	for _, stop := range []string{"STOP", " stopall\n", "Unsubscribe", "cancel", "END", "quit", "REVOKE", "OptOut"} {
		reply(simNumber, stop)
		open(simService, "", person, false)
		open(simService, simNumber, person, false)
		open("", simNumber, person, false)
		open(simService, "", otherPerson, true)
		open(val(other.Sid), "", person, true)
		open("", val(lone.PhoneNumber), person, true)
		reply(simNumber, map[bool]string{true: "start", false: "UNSTOP"}[stop == "STOP"])
		open(simService, "", person, true)
		open("", simNumber, person, true)
	}
	reply(val(lone.PhoneNumber), "stop")
	open("", val(lone.PhoneNumber), person, false)
	open(simService, "", person, true)
	reply(val(lone.PhoneNumber), "Yes")
	open("", val(lone.PhoneNumber), person, true)
}
