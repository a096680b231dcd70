package demo

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// The paths of the service's API.
const verifications = "/v1/verifications"

func pathOf(id string) string { return verifications + "/" + url.PathEscape(id) }

// The usage types of the demo's templates.
const (
	usageSignIn   = "SignIn"
	usageRegister = "Register"
	usageTest     = "Test"
)

// call makes a call of the API, which stands in the session's log from the
// moment it is made.
func (d *Demo) call(ctx context.Context, s *session, method, path string, body any) exchange {
	asked, err := newExchange(method, path, body)
	if err != nil { // strings always encode
		asked.Failed = true
		return asked
	}
	n := s.add(entry{Call: &asked})
	x := d.api.send(ctx, asked)
	s.answered(n, x)
	return x
}

// start asks for a verification: what an app does when a person has typed a
// number. What is wrong with the number, the service says.
func (d *Demo) start(ctx context.Context, s *session, to, usage, ip string) {
	to = strings.TrimSpace(to)
	if usage != usageRegister && usage != usageTest {
		usage = usageSignIn
	}
	if to == "" {
		s.update(func(st *state) { st.step, st.fault, st.field = stepNumber, "Type a phone number.", fieldTo })
		return
	}
	before := s.read()
	if before.step == stepDone || before.step == stepEnded { // the form of an old page
		before = fresh()
	}
	var v verification
	x := d.call(ctx, s, http.MethodPost, verifications, startRequest{To: to, UsageType: usage, ClientIP: ip, Session: before.flow})
	if p := x.read(&v); p != nil {
		s.update(func(st *state) {
			*st = state{step: stepNumber, flow: before.flow, typed: to, usage: usage, fault: p.words(), field: fieldTo}
		})
		return
	}
	if before.v.ID != v.ID {
		d.cancel(ctx, s, before)
	}
	s.update(func(st *state) {
		*st = state{step: stepCode, flow: before.flow, typed: to, usage: usage, v: v, notice: sentWords(x, v)}
	})
	d.follow(ctx, s, v)
}

// check asks whether the code is right. Only "valid" in the answer is proof;
// everything else says what to show.
func (d *Demo) check(ctx context.Context, s *session, code string) {
	st := s.read()
	if st.step != stepCode {
		return
	}
	// People copy codes with spaces in them.
	code = strings.Join(strings.FieldsFunc(code, func(r rune) bool { return r == ' ' || r == '-' || r == '\t' }), "")
	if code == "" {
		s.update(func(st *state) { st.fault, st.field = "Type the code from the text.", fieldCode })
		return
	}
	var a checkAnswer
	x := d.call(ctx, s, http.MethodPost, pathOf(st.v.ID)+"/check", checkRequest{Code: code})
	if p := x.read(&a); p != nil {
		s.update(func(st *state) { st.fault, st.field = p.words(), fieldCode })
		return
	}
	s.update(func(st *state) {
		st.v = a.Verification
		switch {
		case a.Valid:
			st.step = stepDone
		case st.v.Status != "pending":
			st.step, st.fault = stepEnded, endWords(st.v.Status)
		default:
			st.fault, st.field = wrongWords(st.v.AttemptsLeft), fieldCode
		}
	})
}

// resend asks for another text of the same verification.
func (d *Demo) resend(ctx context.Context, s *session, ip string) {
	st := s.read()
	if st.step != stepCode {
		return
	}
	var v verification
	x := d.call(ctx, s, http.MethodPost, pathOf(st.v.ID)+"/resend", resendRequest{ClientIP: ip})
	if p := x.read(&v); p != nil {
		s.update(func(st *state) {
			st.fault = p.words()
			if p.Code == "verification_ended" {
				st.step = stepEnded
			}
		})
		return
	}
	s.update(func(st *state) { st.v, st.notice = v, sentWords(x, v) })
	d.follow(ctx, s, v)
}

// change goes back to the number. The verification ends: its code must not
// sign anybody in later.
func (d *Demo) change(ctx context.Context, s *session) {
	st := s.read()
	d.cancel(ctx, s, st)
	s.update(func(now *state) {
		*now = fresh()
		now.typed, now.usage = st.typed, st.usage
	})
}

// restart forgets everything.
func (d *Demo) restart(ctx context.Context, s *session) {
	d.cancel(ctx, s, s.read())
	s.change(func() { s.log = nil })
	s.update(func(st *state) { *st = fresh() })
}

// cancel ends the verification of a sign-in that is under way. That it may
// fail changes nothing: an old code is worthless in ten minutes.
func (d *Demo) cancel(ctx context.Context, s *session, st state) {
	if st.step == stepCode && st.v.ID != "" {
		d.call(ctx, s, http.MethodDelete, pathOf(st.v.ID), nil)
	}
}

// follow has the log tell what becomes of a verification's newest text.
func (d *Demo) follow(ctx context.Context, s *session, v verification) {
	sid := v.newestText()
	if sid == "" || s.follows(sid) {
		return
	}
	s.add(entry{Text: &text{SID: sid, To: v.To}})
	d.refresh(ctx, s, v.To) // what came before the line was there
}

// refresh reads the texts to a number anew.
func (d *Demo) refresh(ctx context.Context, s *session, to string) {
	texts, err := d.phone.texts(ctx, to)
	if err != nil {
		return // the simulator was closed: nothing arrives any more
	}
	for _, t := range texts {
		s.arrived(t)
	}
}

// resync reads all texts anew, after news were lost or the phone was emptied.
func (d *Demo) resync(ctx context.Context) {
	for _, s := range d.sessions.each() {
		d.refresh(ctx, s, s.read().v.To)
		s.change(func() {})
	}
}
