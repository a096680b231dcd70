package verify

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// A verification may be begun by its number alone, as others' APIs have it: at
// one service of an app a number has one verification at a time, and whoever asks
// for a text joins it. The service's session is what joins them; so two people who
// type one number share a verification, and only a right code is proof.

// LimitUnsettled is for a text that would say something else than one of the same
// verification whose fate is not known: the two could not be told apart.
const LimitUnsettled = "text_unsettled"

// JoinRequest asks for a text by number.
type JoinRequest struct {
	App      string
	Service  string // must not be empty
	To       phone.Number
	Usage    sms.UsageType
	Locale   string
	Channel  Channel    // "" is ChannelSMS
	ClientIP netip.Addr // nobody asks for one that is missing
	// CodeLength is that of a new code; the policy's where that is longer.
	CodeLength int
	// Code is the caller's own: letters and digits, at least 4, at most 10, and no
	// fewer than the policy's CodeLength. Another text of it needs it again. Empty
	// has one made.
	Code secret.String
	// Name is what the placeholder {{friendly_name}} stands for; AppHash ends the
	// text with a line of its own, by which Android hands it to an app.
	Name, AppHash string
	Counters      []Counter
	Later         Later // nil: the call waits
}

// Counter is a limit beside the policy's: it counts what Of names, for the app
// alone. Its name must be no other limit's.
type Counter struct {
	Limit Limit
	Of    string
}

// Join sends a text for a number: another one of the verification that is pending
// there, with no wait in between, or the first of a new one. It waits as Start
// does.
//
// Errors: those of Start, with LimitResendCount when the sends are used up and
// LimitUnsettled.
func (s *Service) Join(ctx context.Context, r JoinRequest) (Started, error) {
	if !s.flight.enter() {
		return Started{}, errClosed
	}
	defer s.flight.leave()
	o, err := s.admitJoin(&r)
	if err != nil {
		return Started{}, err
	}
	began := time.Now()
	session := s.keys.joined(r.App, r.Service)
	result, err := s.do(ctx, r.App, Op{
		Subject: s.keys.Subject(r.App, r.To), Session: session, App: r.App, Places: places(o.charges),
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			return s.decideByNumber(o, &r, session, now, sub, v)
		},
	})
	if err != nil {
		return Started{}, refusedBefore(err)
	}
	if b, ok := result.(*begun); ok && b.outcome == outcomeStart {
		s.observer.Started(r.App, r.Usage, countryOf(r.To))
	}
	return s.finish(ctx, result, nil, began, r.Later)
}

// joined is the session that a service's verifications of one number share.
func (r *Keyring) joined(app, service string) MAC {
	return r.current.session.mac("by number", app, service, "")
}

// admitJoin applies the policy that needs no store.
func (s *Service) admitJoin(r *JoinRequest) (*order, error) {
	if r.Service == "" {
		return nil, errors.New("verify: to join needs a service")
	}
	code := r.Code.Reveal()
	length := max(r.CodeLength, s.policy.CodeLength)
	shown := zeros(length)
	if code != "" {
		if len(code) < max(minCustomCode, s.policy.CodeLength) || len(code) > MaxCodeLength || !alphanumeric(code) {
			return nil, &InvalidError{"code", "payload_invalid", "not letters and digits, at most 10 and no fewer than the operator's codes have"}
		}
		shown = code
	}
	dressed := &Verification{Name: r.Name, AppHash: r.AppHash}
	return s.admitOrder(&order{
		noClientIP: true, payload: dressed.dress(payloadOf(shown, r.Locale)),
		StartRequest: StartRequest{
			App: r.App, To: r.To, Usage: r.Usage, Locale: r.Locale, Channel: r.Channel, ClientIP: r.ClientIP, CodeLength: length,
		},
	})
}

func (s *Service) decideByNumber(o *order, r *JoinRequest, session MAC, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	if v == nil || v.StatusAt(now) != StatusPending || !s.readable(v) {
		counted := *o
		counted.charges = append(slices.Clip(o.charges), s.counters(r)...)
		d, err := s.decideStart(&counted, session, now, sub, v)
		if err != nil {
			return d, err
		}
		v = d.Verification
		v.Service, v.Name, v.AppHash = r.Service, r.Name, r.AppHash
		return d, s.supply(v, r.Code, o.salt)
	}
	if err := sub.blocked(now, &s.policy); err != nil {
		return Decision{}, err
	}
	if !v.sendsLeft() {
		return Decision{}, &LimitError{Name: LimitResendCount, RetryAfter: v.ExpiresAt.Sub(now)}
	}
	if err := s.reword(v, r, o.salt); err != nil {
		return Decision{}, err
	}
	charges := o.charges
	if !r.ClientIP.IsValid() {
		charges = s.charges(v.App, v.To, v.Network) // who names no address is charged at the first one's
	}
	return s.sendAgain(sub, v, now, outcomeJoin, o.ways, append(slices.Clip(charges), s.counters(r)...))
}

// reword has the verification's further texts say what the request wants them to.
// A text that may be on its way is looked for by what it says: until its fate is
// known nothing of that may change.
func (s *Service) reword(v *Verification, r *JoinRequest, salt Salt) error {
	if v.custom() && r.Code.IsEmpty() {
		return &InvalidError{"code", "payload_invalid", "the verification's code came from the caller, who has to supply it again"}
	}
	sameCode := s.sameCode(v, r.Code)
	same := sameCode && v.Locale == r.Locale && v.Name == r.Name && v.AppHash == r.AppHash
	if slices.ContainsFunc(v.Sends, func(s Send) bool { return s.unresolved() }) {
		if same {
			return nil
		}
		return &LimitError{Name: LimitUnsettled, RetryAfter: holdRest}
	}
	if !sameCode {
		v.Generation++ // the old code dies
	}
	v.Locale, v.Name, v.AppHash = r.Locale, r.Name, r.AppHash
	return s.supply(v, r.Code, salt)
}

// counters are the charges of the limits that the request brings along.
func (s *Service) counters(r *JoinRequest) []Charge {
	keys := s.keys.current
	all := make([]Charge, 0, len(r.Counters))
	for _, c := range r.Counters {
		all = append(all, Charge{Limit: c.Limit, Key: keys.limitKey(c.Limit, r.App, keys.limit.mac("counter", c.Of))})
	}
	return all
}

// keepsNumber reports whether the number leads to the verification although it
// has ended: so that whoever checks by number learns that the checks are used up,
// and whoever reads that it was canceled, until its time is over.
func (v *Verification) keepsNumber() bool {
	return v.Service != "" && (v.Status == StatusExhausted || v.Status == StatusCanceled)
}

// Names by which a text's template and text know what a verification adds.
const (
	payloadName    = "friendly_name"
	payloadAppHash = "app_hash"
)

// appHash is a type of its own: what a caller's payload calls app_hash is not one.
type appHash string

// dress adds to the payload what the verification has for its text.
func (v *Verification) dress(payload map[string]any) map[string]any {
	if v.Name != "" {
		payload[payloadName] = v.Name
	}
	if v.AppHash != "" {
		payload[payloadAppHash] = appHash(v.AppHash)
	}
	return payload
}

// alphanumeric reports whether s has ASCII letters and digits only.
func alphanumeric(s string) bool {
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
