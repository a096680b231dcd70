package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// Everything that the service says of a busy hour, at debug level, holds no
// code, no body, no number in full and no session; nor do the rows, but for
// the number's own column. Codes have ten digits, so that none turns up by
// chance.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Policy.Limits = DefaultPolicy().Limits })
	var said strings.Builder
	say := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&said, "%v %+v %#v %s\n", v, v, v, v)
		}
	}
	outcomes := []func(){
		func() { b.sender.answer(nil) },
		func() { b.sender.fail(connector.OutcomeRefused, connector.KindBlocked) },
		func() { b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled) },
		func() {
			b.sender.answer(func(_ context.Context, m connector.Message) (connector.Receipt, error) {
				return connector.Receipt{}, errors.New(m.To.E164() + m.Body.Reveal())
			})
		},
		func() {
			b.sender.answer(func(_ context.Context, m connector.Message) (connector.Receipt, error) { panic(m) })
		},
		func() { b.store.before = func(Op) error { return ErrUnavailable } },
	}
	var codes []string
	for i, outcome := range outcomes {
		outcome()
		r := request(t)
		r.CodeLength, r.Session, r.Idem = 10, "the-browser-s-session", idem(b.keys, "start", fmt.Sprint(i), "")
		st, err := b.Start(t.Context(), r)
		say(st, err)
		b.store.before = nil
		code := b.sender.lastCode()
		codes = append(codes, code)
		if st.Verification == nil {
			continue
		}
		for _, typed := range []string{wrong(code), code, "not a code"} {
			c := CheckRequest{App: testApp, ID: st.Verification.ID, Code: secret.New(typed)}
			got, err := b.Check(t.Context(), c)
			say(c, got, err)
			codes = append(codes, typed)
		}
		b.clock.advance(40 * time.Second)
		again, err := b.resend(st.Verification.ID)
		say(again, err)
		codes = append(codes, b.sender.lastCode())
	}
	_, err := b.Start(t.Context(), StartRequest{App: testApp, To: number(t, "+447400123456"), Usage: "SignIn"})
	say(err)
	say(b.Service.keys.CurrentID(), b.logs.String(), b.store.dump(), strings.Join(b.counts.lines, "\n"))

	if b.logs.Len() == 0 || len(codes) < 10 {
		t.Fatal("nothing was said")
	}
	secrets := slices.Concat(codes, []string{testNumber, testNumber[1:], "4155552671", "+447400123456", "Your code", "the-browser-s-session",
		serverKey("", 0).Secret.Reveal()})
	for _, s := range secrets {
		if s == "" {
			t.Fatal("an empty secret finds itself everywhere")
		}
		for line := range strings.Lines(said.String()) {
			if strings.Contains(line, s) {
				t.Errorf("%q stands in %s", s, line)
			}
		}
	}
}
