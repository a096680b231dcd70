package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// person is the transcript's phone: 555-0100 to 555-0199 belong to fiction.
const person = "+1 415 555 0134"

// deviceIP is where the transcript's person would be: an address that is
// reserved for documentation.
const deviceIP = "203.0.113.7"

// maxDelivery is how long a text may take to arrive.
const maxDelivery = 15 * time.Second

// Transcript makes a whole verification by itself, through the same calls as
// the page, and writes what happened to out. It returns an error when it did
// not come out as it should: the wrong code refused, the right one approved,
// once, and every text delivered.
func (d *Demo) Transcript(ctx context.Context, out io.Writer) error {
	t := &transcript{demo: d, out: out, session: d.sessions.open()}
	err := t.tell(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("demo: interrupted: %w", ctx.Err())
	}
	if t.failed != nil { // a transcript that nobody gets is none
		err = errors.Join(fmt.Errorf("demo: write: %w", t.failed), err)
	}
	return err
}

type transcript struct {
	demo    *Demo
	session *session
	out     io.Writer
	failed  error
	told    int // log lines that are printed
}

func (t *transcript) tell(ctx context.Context) error {
	t.printf(opening, t.demo.api.url)
	t.printf("\n1. A person types %s. The app asks for a verification.\n", person)
	sent, err := t.start(ctx, usageSignIn)
	if err != nil {
		return err
	}
	t.printf("\n2. The text arrives.\n\n")
	if err := t.arrives(ctx, &sent); err != nil {
		return err
	}

	t.printf("\n3. The person mistypes the code.\n")
	if err := t.check(ctx, otherCode(sent.Code()), false); err != nil {
		return err
	}
	t.printf("\n4. The person types the code from the text.\n")
	id := t.session.read().v.ID
	if err := t.check(ctx, sent.Code(), true); err != nil {
		return err
	}
	t.printf("\n   Only \"valid\": true is proof. The app signs the person in.\n")

	t.printf("\n5. Somebody who saw the code tries it again: it works once.\n")
	if err := t.again(ctx, id, sent.Code()); err != nil {
		return err
	}
	t.printf("\n6. The two other texts of the connector's JSON, each with its own code.\n")
	for _, usage := range []string{usageRegister, usageTest} {
		if err := t.other(ctx, usage); err != nil {
			return err
		}
	}
	t.printf(closing)
	return nil
}

const opening = `A whole verification on this machine: no account, nothing leaves it.

  the app       this program; it calls the service with an API key
  the service   %s, as "sixdigit serve" runs it
  Twilio        a simulated one, with a simulated phone
`

const closing = `
Approved, and all three texts delivered. Next:
  sixdigit demo                           the same on a page, with a phone
  sixdigit connector check FILE           checks your own connector JSON, offline
  sixdigit serve --connector FILE --countries US
                                          the service, with your own account
`

// start begins a verification and returns its text as it was taken.
func (t *transcript) start(ctx context.Context, usage string) (text, error) {
	d, s := t.demo, t.session
	s.update(func(st *state) { *st = fresh() })
	d.start(ctx, s, person, usage, deviceIP)
	t.print(usage == usageSignIn)
	st := s.read()
	if st.step != stepCode {
		return text{}, fmt.Errorf("demo: %s: no verification: %s", usage, st.fault)
	}
	for _, e := range s.entries() {
		if e.Text != nil && e.Text.SID == st.v.newestText() {
			return *e.Text, nil
		}
	}
	return text{}, fmt.Errorf("demo: %s: the provider named no text", usage)
}

// arrives waits until the text is on the phone for good, and tells of it.
func (t *transcript) arrives(ctx context.Context, sent *text) error {
	ctx, cancel := context.WithTimeout(ctx, maxDelivery)
	defer cancel()
	changed, stop := t.session.watch()
	defer stop()
	for !sent.final() {
		for _, e := range t.session.entries() {
			if e.Text != nil && e.Text.SID == sent.SID {
				*sent = *e.Text
			}
		}
		if sent.final() {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("demo: the text is still %q: %w", sent.status(), ctx.Err())
		}
	}
	steps := make([]string, len(sent.Statuses))
	for i, s := range sent.Statuses {
		steps[i] = fmt.Sprintf("%s %s", s.Status, sent.After(s))
	}
	t.printf("   posted           accepted as %s\n", sent.SID)
	t.printf("   Twilio reports   %s\n", strings.Join(steps, ", "))
	// What stands on the phone is this demo's whole point, and the phone is a
	// simulated one. Nothing else in this program prints a body.
	t.printf("   on the phone     %s\n", sent.Body)
	switch {
	case sent.status() != "delivered":
		return fmt.Errorf("demo: the text ended as %s", sent.status())
	case sent.Code() == "":
		return errors.New("demo: the text has no code in it")
	}
	return t.known(ctx)
}

// knownPoll is the pause between two looks at the service: Twilio's callback is
// on its way.
const knownPoll = 10 * time.Millisecond

// known waits until the service knows that the newest text arrived, and tells
// of it.
func (t *transcript) known(ctx context.Context) error {
	asked, err := newExchange("GET", pathOf(t.session.read().v.ID), nil)
	if err != nil {
		return err
	}
	poll := time.NewTicker(knownPoll)
	defer poll.Stop()
	for {
		var v verification
		if p := t.demo.api.send(ctx, asked).read(&v); p != nil {
			return fmt.Errorf("demo: read the verification: %s", p.Code)
		}
		status := v.newestStatus()
		if status == "delivered" {
			t.printf("   the service says %s, because Twilio called back\n", status)
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("demo: the service says that the text is %q: %w", status, ctx.Err())
		}
	}
}

// check types a code.
func (t *transcript) check(ctx context.Context, code string, right bool) error {
	t.demo.check(ctx, t.session, code)
	t.print(true)
	st := t.session.read()
	if approved := st.step == stepDone; approved != right || !right && st.field != fieldCode {
		return fmt.Errorf("demo: the check came out wrong: the form is at %q", st.step)
	}
	return nil
}

// again checks a code that was used. The form would not let anybody.
func (t *transcript) again(ctx context.Context, id, code string) error {
	var a checkAnswer
	x := t.demo.call(ctx, t.session, "POST", pathOf(id)+"/check", checkRequest{Code: code})
	t.print(true)
	if p := x.read(&a); p != nil || a.Valid {
		return errors.New("demo: a used code was not refused")
	}
	return nil
}

// other tells of another usage in short.
func (t *transcript) other(ctx context.Context, usage string) error {
	sent, err := t.start(ctx, usage)
	if err != nil {
		return err
	}
	t.printf("\n   %s\n", usage)
	if err := t.arrives(ctx, &sent); err != nil {
		return err
	}
	t.demo.check(ctx, t.session, sent.Code())
	t.print(false)
	st := t.session.read()
	t.printf("   the right code   %s\n", st.v.Status)
	if st.step != stepDone {
		return fmt.Errorf("demo: %s: the right code was not accepted", usage)
	}
	return nil
}

// print writes the calls that were made since it was last called, or passes
// over them.
func (t *transcript) print(show bool) {
	for _, e := range t.session.entries() {
		if e.N <= t.told {
			continue
		}
		t.told = e.N
		if e.Call == nil || !show {
			continue
		}
		x := e.Call
		t.printf("\n   -> %s %s\n", x.Method, x.Path)
		if x.Request != "" {
			t.printf("      %s\n", x.Request)
		}
		if x.Failed {
			t.printf("   <- no answer\n")
			continue
		}
		t.printf("   <- %d %s, after %s\n      %s\n", x.Status, x.StatusText(), x.Took.Round(time.Millisecond),
			strings.ReplaceAll(x.Brief(), "\n", "\n      "))
	}
}

// otherCode is a code of the same length that is not the right one.
func otherCode(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

func (t *transcript) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format, args...); err != nil && t.failed == nil {
		t.failed = err
	}
}
