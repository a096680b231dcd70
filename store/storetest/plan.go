package storetest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/verify"
)

// plan is what an operation will do, drawn before it runs: Decide may run again.
type plan struct {
	idem    verify.IdemState
	makes   string // a new verification
	revises bool   // the one at hand
	ends    bool
	owes    time.Duration // from now on, by the verification that is written; 0 is nothing
	fails   int           // added to the subject's failures; -1 writes nothing
	charges []verify.Charge
	refunds []verify.Charge
	clears  []verify.LimitKey
	guard   verify.LimitKey
	closes  time.Time // until then the guard; zero leaves it as it is
	settles *verify.Settlement
	fate    string
}

func (m *machine) plan(t *rapid.T, op *verify.Op) plan {
	keys := []verify.MAC{mac("k1/%d", m.round), mac("k2/%d", m.round)}
	if rapid.IntRange(0, 2).Draw(t, "has a key") == 0 {
		op.Idem = &verify.Idem{Key: rapid.SampledFrom(keys).Draw(t, "key"), Body: mac("%d", rapid.IntRange(1, 2).Draw(t, "body"))}
	}
	pick := rapid.SliceOfN(rapid.SampledFrom(m.charges), 0, 3)
	p := plan{
		guard: m.guard.Key, revises: rapid.Bool().Draw(t, "revises"), ends: rapid.IntRange(0, 3).Draw(t, "ends") == 0,
		fails: rapid.IntRange(-1, 1).Draw(t, "fails"), refunds: pick.Draw(t, "refunds"),
		charges: rapid.SliceOfN(rapid.SampledFrom(m.all), 0, 3).Draw(t, "charges"),
		owes:    rapid.SampledFrom([]time.Duration{0, 0, -time.Minute, time.Second, time.Minute, life, 36 * time.Hour}).Draw(t, "owes"),
		fate:    rapid.SampledFrom([]string{"done", "done", "done", "error", "panic"}).Draw(t, "fate"),
	}
	for i := range p.refunds {
		if ago := rapid.IntRange(0, 300).Draw(t, "seconds ago"); ago > 0 {
			p.refunds[i].At = m.now().Add(-time.Duration(ago) * time.Second)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "clears") == 0 {
		p.clears = []verify.LimitKey{rapid.SampledFrom(m.all).Draw(t, "cleared").Key}
	}
	if rapid.IntRange(0, 5).Draw(t, "closes") == 0 {
		p.closes = m.now().Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 24 * time.Hour}).Draw(t, "closed for"))
	}
	if op.ID == "" && rapid.Bool().Draw(t, "makes") {
		m.made++
		p.makes = fmt.Sprintf("v%d/%d", m.made, m.round)
		m.ids = append(m.ids, p.makes)
	}
	p.idem = m.state(t, op, p)
	// A settlement is for another operation's key.
	settled := rapid.SampledFrom(keys).Draw(t, "settled")
	if (op.Idem == nil || op.Idem.Key != settled) && rapid.IntRange(0, 3).Draw(t, "settles") == 0 {
		p.settles = &verify.Settlement{Key: settled, IdemState: m.state(t, op, p)}
	}
	return p
}

func (m *machine) state(t *rapid.T, op *verify.Op, p plan) verify.IdemState {
	s := verify.IdemState{ID: op.ID, Outcome: rapid.SampledFrom([]string{"", "sent"}).Draw(t, "outcome")}
	if p.makes != "" {
		s.ID = p.makes
	}
	if rapid.Bool().Draw(t, "stays open") {
		s.OpenUntil = m.now().Add(time.Minute)
	}
	return s
}

func (p plan) decide(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
	d := verify.Decision{Result: "done", Charges: p.charges, Refunds: p.refunds, Clear: p.clears, Idem: p.idem, Settle: p.settles}
	if !p.closes.IsZero() {
		d.Set = []verify.LimitRow{{Key: p.guard, Value: p.closes.UnixMicro(), ExpiresAt: p.closes}}
	}
	switch p.fate {
	case "error":
		scribble(s, v)
		d.Verification, d.Subject = v, s
		return d, errDecide
	case "panic":
		scribble(s, v)
		panic(s)
	}
	switch {
	case p.makes != "":
		d.Verification = verification(p.makes, s.Key, now, 0)
		owe(d.Verification, p.due(now))
		s.Pending = append(s.Pending, verify.Pending{ID: p.makes, Session: d.Verification.Session, ExpiresAt: d.Verification.ExpiresAt})
		d.Subject = s
	case p.revises && v != nil:
		d.Verification = verification(v.ID, v.Subject, v.CreatedAt, v.Generation+1)
		owe(d.Verification, p.due(now))
		if p.ends || !v.EndedAt.IsZero() {
			d.Verification.Status, d.Verification.EndedAt = verify.StatusExhausted, now
		}
	}
	if p.fails >= 0 {
		s.Failures += p.fails
		if p.fails > 0 {
			s.FailedAt = now
		}
		d.Subject = s
	}
	return d, nil
}

// due is when the verification is due that is written.
func (p plan) due(now time.Time) time.Time {
	if p.owes == 0 {
		return time.Time{}
	}
	return now.Add(p.owes)
}
