package verify

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

// maxPayload bounds what a message's text is made of, in bytes of all names and
// values.
const maxPayload = 4096

const outcomeMessage = "message"

// MessageRequest asks for a text whose code the caller made. It is sent with
// the same guarantees as a verification's, and the same limits; there is
// nothing to check afterwards.
type MessageRequest struct {
	App      string
	To       phone.Number
	Usage    sms.UsageType
	Locale   string
	ClientIP netip.Addr
	// NoClientIP lets this message have no ClientIP, also where the app's policy
	// asks for one: whoever is behind it cannot tell.
	NoClientIP bool
	// Payload is what the template's placeholders stand for; "code" must be
	// among it, a string. It is kept sealed until the text is gone.
	Payload map[string]any
	Idem    *Idem
	Later   Later // nil: the call waits
}

// SendMessage sends a message. The Verification in what it returns is the
// message's record.
//
// Errors are those of Start.
func (s *Service) SendMessage(ctx context.Context, r MessageRequest) (Started, error) {
	if !s.flight.enter() {
		return Started{}, errClosed
	}
	defer s.flight.leave()
	o, err := s.admitMessage(r)
	if err != nil {
		return Started{}, err
	}
	began := time.Now()
	v := &Verification{
		ID: o.id, App: o.App, Subject: s.keys.Subject(o.App, o.To), To: o.To, Usage: o.Usage, Locale: o.Locale, Channel: o.Channel,
		Status: StatusPending, Test: o.test, Network: o.network, Salt: o.salt, KeyID: s.keys.CurrentID(),
		Generation: 1, MaxSends: 1, Supplied: true,
	}
	if v.Sealed, err = s.keys.seal(v, o.payload); err != nil {
		return Started{}, err
	}
	result, err := s.do(ctx, o.App, Op{
		Idem: o.Idem, Subject: v.Subject, App: o.App, Places: places(o.charges),
		Decide: func(now time.Time, sub *Subject, _ *Verification) (Decision, error) {
			v := v.Clone() // it may run again
			v.CreatedAt, v.ExpiresAt = now, now.Add(s.policy.Life)
			send := s.addSend(v, now, choose(o.ways, sub, v, now))
			if !v.Test && !send.parked() {
				sub.hold(send, now)
			}
			sub.add(v)
			return s.decided(sub, v, begun{v, now, send, outcomeMessage}, o.charges), nil
		},
	})
	if err != nil {
		return Started{}, refusedBefore(err)
	}
	return s.finish(ctx, result, o.Idem, began, r.Later)
}

// admitMessage applies the policy that needs no store.
func (s *Service) admitMessage(r MessageRequest) (*order, error) {
	if code, ok := r.Payload["code"].(string); !ok || code == "" || len(code) > maxTyped {
		return nil, &InvalidError{"payload", "payload_invalid", "code is missing, no text, or longer than 64 bytes"}
	}
	if payloadSize(r.Payload) > maxPayload {
		return nil, &InvalidError{"payload", "payload_invalid", fmt.Sprintf("more than %d bytes", maxPayload)}
	}
	payload := maps.Clone(r.Payload)
	if _, given := payload["locale"]; !given {
		payload["locale"] = r.Locale
	}
	return s.admitOrder(&order{payload: payload, noClientIP: r.NoClientIP, StartRequest: StartRequest{
		App: r.App, To: r.To, Usage: r.Usage, Locale: r.Locale, ClientIP: r.ClientIP, Idem: r.Idem,
	}})
}

// payloadSize is about how many bytes the values have.
func payloadSize(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case map[string]any:
		n := 0
		for name, value := range v {
			n += len(name) + payloadSize(value)
		}
		return n
	case []any:
		n := 0
		for _, value := range v {
			n += payloadSize(value)
		}
		return n
	default:
		return 8
	}
}

// GetMessage returns the record of an app's message. Another app's is
// ErrNotFound, as one that does not exist.
func (s *Service) GetMessage(ctx context.Context, app, id string) (*Verification, error) {
	if !validID(id) {
		return nil, ErrNotFound
	}
	v, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if v.App != app || !v.Supplied {
		return nil, ErrNotFound
	}
	return v, nil
}
