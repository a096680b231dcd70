package httpapi

import (
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// The words and examples of the OpenAPI document.

const unknownText = "it took longer than the service waits, or the answer was lost. The person may have the text; read the verification to learn more."

const unknownMessageText = "it took longer than the service waits, or the answer was lost. The person may have the text; read the message to learn more."

const startText = `Makes a code and sends it as a text. The code is in no answer.

Repeat a request that got no answer with the same ` + "`Idempotency-Key`" + `: it never makes a second text. Keys are remembered for 24 hours.

With ` + "`session`" + `, a start joins a pending verification of the same app, number, usage and session: it gets another text if its time has come, else none.

Limits count by number, number prefix, country and client address, each for the app and over all; their defaults are in the operator's configuration. A refusal is 429 and says when to come back, not which limit it was.

A text that the provider refuses for good is 422 ` + "`send_rejected`" + ` with the verification's id; the verification is canceled, and the number's own limits are not charged. A number that is known to have opted out gets the same answer without an id: nothing was made.`

const messageText = `Sends a code that the caller made, in the text of its usage type. There is nothing to check afterwards.

A message has the guarantees and the limits of a verification's text: it is written down before it is sent, is repeated only when that is known to be safe, and a stale one is never sent.

` + "`payload`" + ` is what the text's placeholders stand for: ` + "`{{code}}`" + ` is its code, ` + "`{{user.name}}`" + ` the name in its user. Members are strings, numbers, true, false and objects of these, at most 5 deep and 4096 bytes together.

Repeat a request that got no answer with the same ` + "`Idempotency-Key`" + `: it never makes a second text. Keys are remembered for 24 hours.

A text that the provider refuses for good is 422 ` + "`send_rejected`" + ` with the message's id. A number that is known to have opted out gets the same answer without an id: nothing was made.`

const checkText = `Compares what a person typed with the verification's code. Every check counts before it compares; the right code approves the verification once.

The answer is 200 for every verification of the app, whatever its status: a wrong, late or used code is ` + "`valid: false`" + `. By default a verification has 5 checks, all its texts together. After many failures in a row the number's checks are delayed: 429.`

const resendText = `Sends another text of a pending verification, with the same code while a minute of its life is left and else with a new one that lives anew; the old one then dies. The checks that are used up stay so.

By default the waits are 30, 40, 60 and 90 seconds, and 5 texts are the most; ` + "`resend_after`" + ` says when the next may go. Sooner is 429. The body may be empty.`

const (
	sampleID   = "9dk2c0m3v7q1tbh5rg8e4anujs"
	sampleNote = "SM00112233445566778899aabbccddeeff"
)

// sample is an example of a request's body.
type sample struct {
	name, summary string
	value         any
}

// reply is one successful answer.
type reply struct {
	status int
	text   string
	sample any
}

func sampleTime() time.Time { return time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC) }

func startSamples() []sample {
	return []sample{
		{"sign-in", "The least that is needed.", StartRequest{To: "+14155552671", UsageType: "SignIn", ClientIP: "203.0.113.7"}},
		{"sign-up with everything", "Every field.", StartRequest{
			To: "+44 20 7946 0018", UsageType: "Register", Locale: "en-GB", Channel: "sms", Domain: "example.com",
			ClientIP: "2001:db8::17", Session: "flow-7d1f0c", CodeLength: 8, Metadata: map[string]string{"plan": "trial"},
		}},
	}
}

func pendingSample() Verification {
	at := sampleTime()
	return Verification{
		ID: sampleID, To: "+14155552671", UsageType: "SignIn", Channel: "sms", Status: "pending", AttemptsLeft: 5,
		CreatedAt: at, ExpiresAt: at.Add(10 * time.Minute), ResendAfter: at.Add(30 * time.Second),
		Sends: []Send{{
			ID: sampleID + ".1", Channel: "sms", Connector: "twilio", Status: "accepted",
			ProviderID: sampleNote, Segments: 1, CreatedAt: at,
		}},
	}
}

func unknownSample() Verification {
	v := pendingSample()
	v.Sends[0].Status, v.Sends[0].ProviderID = "unknown", ""
	v.Sends[0].Error = &SendError{
		Kind: "temporary", Advice: connector.AdviceWait.Text(0), AdviceKey: string(connector.AdviceWait),
	}
	return v
}

func joinedSample() Verification {
	v := pendingSample()
	v.Joined = true
	return v
}

func endedSample() Verification {
	v := pendingSample()
	v.Status, v.AttemptsLeft, v.Sends[0].Status = "approved", 4, "delivered"
	v.Metadata = map[string]string{"plan": "trial"}
	return v
}

func canceledSample() Verification {
	v := pendingSample()
	v.Status, v.Reason = "canceled", "caller"
	return v
}

func checkSample() CheckAnswer {
	v := endedSample()
	return CheckAnswer{Valid: true, Status: v.Status, AttemptsLeft: v.AttemptsLeft, Verification: v}
}

func messageSamples() []sample {
	return []sample{
		{"code", "The least that is needed.", MessageRequest{
			To: "+14155552671", UsageType: "SignIn", Payload: Payload{"code": "482913"}, ClientIP: "203.0.113.7",
		}},
		{"more placeholders", "Every field.", MessageRequest{
			To: "+44 20 7946 0018", UsageType: "OrganizationInvitation", Locale: "en-GB", ClientIP: "2001:db8::17",
			Payload: Payload{"code": "K7-40-QX", "organization": map[string]any{"name": "Shop", "members": 12, "open": true}},
		}},
	}
}

func acceptedMessage() Message {
	v, at := pendingSample(), sampleTime()
	return Message{
		ID: sampleID, To: v.To, UsageType: v.UsageType, Channel: v.Channel, Status: "accepted", CreatedAt: at,
		Sends: []MessageSend{{Send: v.Sends[0], History: []HistoryEntry{
			{"sending", at}, {"accepted", at.Add(212 * time.Millisecond)},
		}}},
	}
}

func unknownMessage() Message {
	m := acceptedMessage()
	m.Status, m.Sends[0].Send = "unknown", unknownSample().Sends[0]
	m.Sends[0].History[1] = HistoryEntry{"unknown", sampleTime().Add(10 * time.Second)}
	return m
}

func deliveredMessage() Message {
	m := acceptedMessage()
	m.Status, m.Sends[0].Status = "delivered", "delivered"
	m.Sends[0].History = append(m.Sends[0].History,
		HistoryEntry{"sent", sampleTime().Add(1300 * time.Millisecond)}, HistoryEntry{"delivered", sampleTime().Add(4 * time.Second)})
	return m
}

// problemSample is a problem as a client would see it.
func problemSample(code string) Problem {
	var wait time.Duration
	switch code {
	case codeLimit:
		wait = 30 * time.Second
	case codeInFlight, codeUnavailable:
		wait = time.Second
	}
	p := problem(code, wait)
	p.Type, p.Title, p.RequestID = "urn:sixdigit:problem:"+code, titleOf(p.Status), "QK5TLYG4V2D3XZ7NHB6MWRJSEA"
	if code == codeRefused {
		p.ID, p.Kind, p.ProviderCode = sampleID, string(connector.KindInvalidRecipient), "21211"
		p.Advice, p.AdviceKey = connector.AdviceCheckNumber.Text(0), string(connector.AdviceCheckNumber)
	}
	return p
}
