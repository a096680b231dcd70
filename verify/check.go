package verify

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/sixdigit/sixdigit/secret"
)

// maxTyped bounds what Check reads: a code, and the spaces around it.
const maxTyped = 64

const (
	outcomeValid   = "valid"
	outcomeInvalid = "invalid"
)

// Check says whether the code is the verification's. Every try counts before it
// is compared; the right one approves the verification, once. A wrong, late or
// used code is no error: Valid is false. An input that can be no code counts as
// a wrong one. While no text with the present code has gone out, a check is
// neither compared nor counted.
//
// Errors: ErrNotFound, *LimitError after too many failures, ErrInFlight,
// ErrIdemMismatch, and the store's.
func (s *Service) Check(ctx context.Context, r CheckRequest) (Checked, error) {
	if !validID(r.ID) {
		return Checked{}, ErrNotFound
	}
	typed := typedCode(r.Code)
	result, err := s.do(ctx, r.App, Op{
		Idem: r.Idem, ID: r.ID, App: r.App,
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			return s.decideCheck(typed, now, sub, v)
		},
	})
	if err != nil {
		return Checked{}, err
	}
	return s.tellChecked(ctx, r.App, result)
}

// tellChecked makes the answer of a check's operation.
func (s *Service) tellChecked(ctx context.Context, app string, result any) (Checked, error) {
	if p, ok := result.(*Replayed); ok {
		if p.Verification == nil {
			return Checked{}, ErrNotFound
		}
		return Checked{Valid: p.Outcome == outcomeValid, Verification: p.Verification, Now: p.Now}, nil
	}
	c := result.(Checked)
	if v := c.Verification; v.Reason == ReasonKeyLost && v.EndedAt.Equal(c.Now) { // by this check, so once
		s.log.LogAttrs(ctx, slog.LevelWarn, "key lost: a code was canceled, since the server key that made it is not here",
			slog.String("key", v.KeyID), slog.String("verification", v.ID))
	}
	s.observer.Checked(app, c.Verification.Usage, countryOf(c.Verification.To), c.Valid, c.Verification.StatusAt(c.Now))
	return c, nil
}

// typedCode returns the digits and letters that a person typed, or the empty
// secret, which is nobody's code. Only a code that the caller made has letters.
func typedCode(in secret.String) secret.String {
	typed := in.Reveal()
	if len(typed) > maxTyped {
		return secret.String{}
	}
	typed = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' { // people type as they read: 482 913
			return -1
		}
		return r
	}, typed)
	if len(typed) > MaxCodeLength || !alphanumeric(typed) {
		return secret.String{}
	}
	return secret.New(typed)
}

func (s *Service) decideCheck(typed secret.String, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	if v.Supplied {
		return Decision{}, ErrNotFound
	}
	if v.expire(sub, now) {
		return checked(now, sub, v, false), nil
	}
	if v.Status != StatusPending {
		return checked(now, nil, v, false), nil
	}
	if !s.readable(v) {
		v.end(sub, now, StatusCanceled, ReasonKeyLost)
		return checked(now, sub, v, false), nil
	}
	if err := sub.blocked(now, &s.policy); err != nil {
		return Decision{}, err
	}
	if !v.codeOut() {
		// Nobody can have the code, so every try is a guess. Since the text came
		// free, a guess at it must not be one more than the limits allow; nor is
		// it held against a person who waits for the text.
		return checked(now, nil, v, false), nil
	}
	valid, err := s.matches(v, typed)
	if err != nil {
		return Decision{}, err
	}
	v.Checks++
	switch {
	case valid:
		v.end(sub, now, StatusApproved, "")
		v.oweFeedback(now)
		sub.forgive()
	default:
		sub.fail(now, &s.policy)
		if v.Checks >= v.MaxChecks {
			v.end(sub, now, StatusExhausted, "")
		}
	}
	d := checked(now, sub, v, valid)
	d.Result = Checked{Valid: valid, Counted: true, Verification: v, Now: now}
	return d, nil
}

// checked is a check's decision; without a subject nothing is written.
func checked(now time.Time, sub *Subject, v *Verification, valid bool) Decision {
	d := Decision{Result: Checked{Valid: valid, Verification: v, Now: now}, Idem: IdemState{ID: v.ID, Outcome: outcomeInvalid}}
	if valid {
		d.Idem.Outcome = outcomeValid
	}
	if sub != nil {
		d.Verification, d.Subject = v, sub
	}
	return d
}

// codeOf tells the code of a verification that is readable.
func (s *Service) codeOf(v *Verification) (secret.String, error) {
	if v.Test {
		return secret.New(s.policy.testNumber(v.App, v.To).Code), nil
	}
	return s.keys.code(v)
}
