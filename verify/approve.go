package verify

import (
	"context"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// Handle names a verification: by its ID or, where that is empty, by the number
// that it has at a service (join.go). Either way it must be of that service, which
// is empty for one that was not begun by number.
type Handle struct {
	App, Service string
	ID           string
	To           phone.Number
}

// at is the operation on what the handle names.
func (s *Service) at(h Handle, decide func(now time.Time, sub *Subject, v *Verification) (Decision, error)) (Op, error) {
	op := Op{Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		if v == nil || v.Supplied || v.Service != h.Service {
			return Decision{}, ErrNotFound
		}
		return decide(now, sub, v)
	}}
	switch {
	case h.ID != "" && validID(h.ID):
		op.ID, op.App = h.ID, h.App
	case h.ID == "" && h.Service != "" && !h.To.IsZero():
		op.Subject, op.Session = s.keys.Subject(h.App, h.To), s.keys.joined(h.App, h.Service)
	default:
		return Op{}, ErrNotFound
	}
	return op, nil
}

// FindAt returns what the handle names, and the time for its StatusAt. By number
// it finds one that is pending, or whose checks were used up or that was canceled
// before its time was over. Errors: ErrNotFound and the store's.
func (s *Service) FindAt(ctx context.Context, h Handle) (*Verification, time.Time, error) {
	if h.ID != "" {
		v, now, err := s.Get(ctx, h.App, h.ID)
		if err == nil && v.Service != h.Service {
			return nil, time.Time{}, ErrNotFound
		}
		return v, now, err
	}
	e, err := s.endAt(ctx, h, func(time.Time, *Subject, *Verification) bool { return false })
	return e.Verification, e.Now, err
}

// CheckAt is Check for what the handle names.
func (s *Service) CheckAt(ctx context.Context, h Handle, code secret.String) (Checked, error) {
	typed := typedCode(code)
	op, err := s.at(h, func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		return s.decideCheck(typed, now, sub, v)
	})
	if err != nil {
		return Checked{}, err
	}
	result, err := s.do(ctx, h.App, op)
	if err != nil {
		return Checked{}, err
	}
	return s.tellChecked(ctx, h.App, result)
}

// Ended is what CancelAt and ApproveAt leave. Changed says that it was this call that
// ended the verification; else it had ended before, perhaps in another way. Now is
// for its StatusAt. The verification must not be changed.
type Ended struct {
	Verification *Verification
	Now          time.Time
	Changed      bool
}

// CancelAt is Cancel for what the handle names.
func (s *Service) CancelAt(ctx context.Context, h Handle) (Ended, error) {
	return s.endAt(ctx, h, func(now time.Time, sub *Subject, v *Verification) bool {
		return v.end(sub, now, StatusCanceled, ReasonCaller)
	})
}

// ApproveAt ends a pending verification as approved on the caller's word, who has
// checked the code, or found another proof: the code dies, and the number's
// failures are forgiven. One that has ended stays as it is and is returned without
// an error.
func (s *Service) ApproveAt(ctx context.Context, h Handle) (Ended, error) {
	return s.endAt(ctx, h, func(now time.Time, sub *Subject, v *Verification) bool {
		if !v.end(sub, now, StatusApproved, ReasonCaller) {
			return false
		}
		v.oweFeedback(now)
		sub.forgive()
		return true
	})
}

func (s *Service) endAt(ctx context.Context, h Handle, end func(now time.Time, sub *Subject, v *Verification) bool) (Ended, error) {
	op, err := s.at(h, func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		expired := v.expire(sub, now)
		ended := !expired && end(now, sub, v)
		d := Decision{Result: Ended{v, now, ended}}
		if expired || ended {
			d.Verification, d.Subject = v, sub
		}
		return d, nil
	})
	if err != nil {
		return Ended{}, err
	}
	result, err := s.do(ctx, h.App, op)
	if err != nil {
		return Ended{}, err
	}
	return result.(Ended), nil
}
