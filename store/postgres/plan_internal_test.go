package postgres

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// A purge may end between the two looks that a plan takes at one verification. The
// second then drops what the first found, and the plan must not read that any more.
func TestAPurgeBetweenTwoLooks(t *testing.T) {
	now := time.Now()
	ended := now.Add(-48 * time.Hour)
	before := &bite{ended: now.Add(time.Minute)} // a purge that removed nothing of ours
	after := &bite{before: micros(now), owed: micros(now), now: micros(now), ended: now.Add(time.Minute)}
	var purged atomic.Pointer[bite]
	purged.Store(before)
	w := &writer{odds: newOdds(), memory: newMemory(&purged)}
	m := &w.memory.verifications
	*m.put("v", 100) = memo[*verify.Verification]{
		value: &verify.Verification{ID: "v", EndedAt: ended, ExpiresAt: ended}, version: 1, at: now,
	}
	m.over = func(v *verify.Verification, b *bite) bool {
		purged.Store(after)
		return overVerificationIn(v, b)
	}
	var seen *verify.Verification
	alone := func(v *verify.Verification) bool {
		seen = v
		return true
	}
	_, locks := w.guess([]request{{op: &verify.Op{ID: "v", AnyApp: true, Alone: alone}}})
	if seen == nil || seen.ID != "v" {
		t.Fatalf("the operation was asked about %v, not about the verification that was found", seen)
	}
	if m.get("v") != nil {
		t.Fatal("the purge dropped nothing: this test shows nothing")
	}
	if n := len(locks.verifications); n != 1 {
		t.Errorf("%d verifications are fetched, want the one that was dropped", n)
	}
}
