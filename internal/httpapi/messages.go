package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// Messenger sends codes that callers made; *verify.Service is one.
type Messenger interface {
	SendMessage(ctx context.Context, r verify.MessageRequest) (verify.Started, error)
	GetMessage(ctx context.Context, app, id string) (*verify.Verification, error)
}

var _ Messenger = (*verify.Service)(nil)

// MessageRequest asks for a text with a code that the caller made.
type MessageRequest struct {
	To        string  `json:"to" maxLength:"64" doc:"The phone number in E.164 form, + first. Spaces and - ( ) . / are passed over."`
	UsageType string  `json:"usage_type" enum:"Register,SignIn,Test,ForgotPassword,Generic,OrganizationInvitation,UserPermissionValidation,BindNewIdentifier,MfaVerification,BindMfa" doc:"What the code is for; it chooses the text."`
	Locale    string  `json:"locale,omitempty" maxLength:"64" doc:"The language of the text, a BCP 47 tag."`
	Payload   Payload `json:"payload" doc:"What the text's placeholders stand for, code among it. It is kept sealed until the text is gone, and is in no answer."`
	ClientIP  string  `json:"client_ip,omitempty" maxLength:"64" doc:"The address of the person's device, for the limits. Required unless the app is configured as a back end that has none."`
}

// Payload is what the placeholders of a text stand for.
type Payload map[string]any

// maxPayloadDepth is how many objects may stand within each other, the payload
// itself among them. Placeholders are dotted paths; nobody writes one of six
// parts.
const maxPayloadDepth = 5

// Schema describes a payload. That its other members are text, numbers, true,
// false or objects of these is more than huma can check in words that help;
// payloadFault does.
func (Payload) Schema(huma.Registry) *huma.Schema {
	one, most := 1, 64
	return &huma.Schema{
		Type:     huma.TypeObject,
		Required: []string{"code"},
		Properties: map[string]*huma.Schema{
			"code": {Type: huma.TypeString, MinLength: &one, MaxLength: &most, Description: "The code, at most 64 bytes."},
		},
		AdditionalProperties: true,
	}
}

// Message is a text with a code that the caller made.
type Message struct {
	ID        string        `json:"id" doc:"26 letters and digits."`
	To        string        `json:"to" doc:"The number in E.164 form."`
	UsageType string        `json:"usage_type" doc:"What the code is for."`
	Channel   string        `json:"channel" enum:"sms" doc:"How the code travels."`
	Status    string        `json:"status" enum:"sending,unknown,accepted,sent,delivered,undelivered,failed,rejected" doc:"That of the newest send."`
	CreatedAt time.Time     `json:"created_at" doc:"RFC 3339, UTC."`
	Test      bool          `json:"test,omitempty" doc:"A test number: no text is sent."`
	Sends     []MessageSend `json:"sends" nullable:"false" doc:"Its texts, the oldest first. There is more than one only where one was not taken and another connector was tried."`
}

// MessageSend is one text of a message.
type MessageSend struct {
	Send
	History []HistoryEntry `json:"history" nullable:"false" doc:"The statuses it has had, the oldest first."`
}

// HistoryEntry is a status and when it was heard of.
type HistoryEntry struct {
	Status string    `json:"status" enum:"sending,unknown,accepted,sent,delivered,undelivered,failed,rejected" doc:"As the send's."`
	At     time.Time `json:"at" doc:"RFC 3339, UTC."`
}

// messages enters the operations on messages.
func (a *API) messages() {
	const path, one = "/v1/messages", "/v1/messages/{id}"
	addSend(a, operation{
		id: "sendMessage", method: http.MethodPost, path: path, tag: tagMessages, body: requiredBody,
		scopes:      []access.Scope{access.ScopeMessages},
		summary:     "Send a code of your own",
		description: messageText,
		requests:    messageSamples(),
		answers: []reply{
			{201, "The text is on its way.", acceptedMessage()},
			{202, "It is not known yet whether the provider took the text: " + unknownMessageText, unknownMessage()},
		},
		faults: append(messageFaults(), codeNoTemplate, codeRefused, codeLimit),
	}, a.sendMessage, tellSent)
	add(a, operation{
		id: "getMessage", method: http.MethodGet, path: one, tag: tagMessages,
		scopes:      []access.Scope{access.ScopeMessages, access.ScopeRead},
		summary:     "Read a message",
		description: "How a message's texts stand now, and how they came there.",
		answers:     []reply{{200, "The message.", deliveredMessage()}},
		faults:      []string{codeNotFound},
	}, a.getMessage)
}

func (a *API) sendMessage(ctx context.Context, c *call[MessageRequest]) (verify.Started, error) {
	b := &c.body
	to, client, err := addressed(b.To, b.ClientIP)
	if err != nil {
		return verify.Started{}, err
	}
	if err := payloadFault(b.Payload, 1); err != nil {
		return verify.Started{}, err
	}
	return a.Messenger.SendMessage(ctx, verify.MessageRequest{
		App: c.caller.App, To: to, Usage: sms.UsageType(b.UsageType), Locale: b.Locale, ClientIP: client, Payload: b.Payload, Idem: c.idem, Later: c.later,
	})
}

// tellSent answers a message.
func tellSent(ctx context.Context, st verify.Started, err error) (int, any, error) {
	if st.Verification != nil {
		edge.Note(ctx, slog.String("message", st.Verification.ID))
	}
	if err != nil {
		return 0, nil, err
	}
	status := http.StatusCreated
	if st.Unknown || !taken(st.Verification) {
		status = http.StatusAccepted
	}
	return status, renderMessage(st.Verification), nil
}

func (a *API) getMessage(ctx context.Context, c *call[struct{}]) (int, any, error) {
	v, err := a.Messenger.GetMessage(ctx, c.caller.App, c.id)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, renderMessage(v), nil
}

// payloadFault says what of a payload no placeholder can stand for. It names
// no member: the names are the caller's.
func payloadFault(object map[string]any, depth int) error {
	fault := func(text string) error {
		return &verify.InvalidError{Field: "payload", Code: codePayload, Text: text}
	}
	if depth > maxPayloadDepth {
		return fault("objects stand more than 5 deep")
	}
	for _, value := range object {
		switch v := value.(type) {
		case string, float64, bool:
		case map[string]any:
			if err := payloadFault(v, depth+1); err != nil {
				return err
			}
		default:
			return fault("a list or null is among it; members are strings, numbers, true, false and objects of these")
		}
	}
	return nil
}

// renderMessage makes a message's record into its answer.
func renderMessage(v *verify.Verification) Message {
	m := Message{
		ID: v.ID, To: v.To.E164(), UsageType: string(v.Usage), Channel: string(v.Channel),
		Status: string(connector.StatusSending), CreatedAt: v.CreatedAt.UTC(), Test: v.Test, Sends: make([]MessageSend, len(v.Sends)),
	}
	for i := range v.Sends {
		s := &v.Sends[i]
		history := make([]HistoryEntry, len(s.History))
		for j, h := range s.History {
			history[j] = HistoryEntry{string(h.Status), h.At.UTC()}
		}
		m.Sends[i] = MessageSend{renderSend(s), history}
		m.Status = string(s.Status)
	}
	return m
}
