package verify

import (
	"testing"

	"github.com/sixdigit/sixdigit/secret"
)

// A caller's code is no shorter than the operator's: the checks are counted for those.
func TestCustomCodeLength(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Policy.CodeLength = 8 })
	for code, ok := range map[string]bool{"0815": false, "KAT4711": false, "KATZE471": true, "KATZE47110": true} {
		r := joining(t)
		r.Code = secret.New(code)
		_, err := b.Join(t.Context(), r)
		if ok && err != nil {
			t.Errorf("%d characters: %v", len(code), err)
		}
		if !ok {
			wantInvalid(t, err)
		}
	}
}

// Whoever ends a verification learns whether it was they who did.
func TestEndedChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := Handle{App: testApp, Service: testService, ID: b.join().Verification.ID}
	if c := b.checkAt(h, b.sender.lastCode()); !c.Valid {
		t.Fatal("the right code")
	}
	if e, err := b.CancelAt(t.Context(), h); err != nil || e.Changed || e.Verification.Status != StatusApproved {
		t.Errorf("cancel what was approved: %+v, %v", e, err)
	}
	h.ID = b.join().Verification.ID
	for _, first := range []bool{true, false} {
		if e, err := b.CancelAt(t.Context(), h); err != nil || e.Changed != first || e.Verification.Status != StatusCanceled {
			t.Errorf("cancel: %+v, %v", e, err)
		}
	}
	h.ID = b.join().Verification.ID
	b.clock.advance(b.policy.Life)
	if e, err := b.ApproveAt(t.Context(), h); err != nil || e.Changed || e.Verification.Status != StatusExpired {
		t.Errorf("approve what has expired: %+v, %v", e, err)
	}
}
