package verify

import (
	"context"
	"time"
)

// canceled is what Cancel's operation comes to.
type canceled struct {
	v   *Verification
	now time.Time
}

// Cancel ends a pending verification; its code dies at once. One that has ended
// stays as it is and is returned without an error. The time is for StatusAt.
func (s *Service) Cancel(ctx context.Context, app, id string) (*Verification, time.Time, error) {
	if !validID(id) {
		return nil, time.Time{}, ErrNotFound
	}
	result, err := s.do(ctx, app, Op{
		ID: id, App: app,
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			if v.Supplied {
				return Decision{}, ErrNotFound
			}
			d := Decision{Result: canceled{v, now}}
			if v.expire(sub, now) || v.end(sub, now, StatusCanceled, ReasonCaller) {
				d.Verification, d.Subject = v, sub
			}
			return d, nil
		},
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	c := result.(canceled)
	return c.v, c.now, nil
}
