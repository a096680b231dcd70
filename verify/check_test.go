package verify

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	if c := b.check(v.ID, wrong(code)); c.Valid || c.Verification.AttemptsLeft() != 4 || c.Verification.Status != StatusPending {
		t.Errorf("wrong: %+v", c)
	}
	c := b.check(v.ID, "\t"+code+" \n")
	if !c.Valid || c.Verification.Status != StatusApproved || !c.Verification.EndedAt.Equal(b.clock.now()) || c.Verification.Checks != 2 {
		t.Errorf("right: %+v", c)
	}
	if again := b.check(v.ID, code); again.Valid || again.Verification.Checks != 2 {
		t.Errorf("again: %+v", again)
	}
	b.restart()
	if b.check(v.ID, code).Valid {
		t.Error("after a restart the code passes again")
	}
	for _, line := range []string{"checked shop SignIn US false pending", "checked shop SignIn US true approved", "checked shop SignIn US false approved"} {
		if !b.counts.has(line) {
			t.Errorf("not observed: %q in %q", line, b.counts.lines)
		}
	}
	for name, r := range map[string]CheckRequest{
		"no such id":  {App: testApp, ID: "00000000000000000000000000", Code: secret.New(code)},
		"not an id":   {App: testApp, ID: strings.Repeat("x", 1<<20), Code: secret.New(code)},
		"another app": {App: "other", ID: v.ID, Code: secret.New(code)},
	} {
		if _, err := b.Check(t.Context(), r); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
}

func TestMalformedCodesCount(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"", " ", "abcdef", "12345", "1234567", "１２３４５６", "123 456", "+12345", "-1", strings.Repeat("0", 1000), "\x00\xff"} {
		b := newBench(t)
		v := b.start().Verification
		if c := b.check(v.ID, typed); c.Valid || c.Verification.Checks != 1 {
			t.Errorf("%q: %+v", typed, c)
		}
	}
}

// A text that was never sent is free, so its code must not be worth a guess.
func TestNoGuessesAtACodeThatNobodyHas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
	v, code := b.start().Verification, b.sender.lastCode()
	for range 2 * b.policy.MaxChecks {
		for _, typed := range []string{code, wrong(code), ""} {
			if c := b.check(v.ID, typed); c.Valid || c.Verification.Checks != 0 || c.Verification.Status != StatusPending {
				t.Fatalf("%+v", c)
			}
		}
	}
	if s, _ := (memRows{b.store}).Subject(v.Subject); s.Failures != 0 {
		t.Errorf("%d failures", s.Failures)
	}
	// Once a text with it is out, the code counts.
	b.sender.answer(nil)
	if _, err := b.resend(v.ID); err != nil {
		t.Fatal(err)
	}
	if c := b.check(v.ID, wrong(code)); c.Valid || c.Verification.Checks != 1 {
		t.Errorf("wrong: %+v", c)
	}
	// A new code whose text was not sent is again one that nobody has.
	b.clock.advance(9*time.Minute + time.Second)
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
	if _, err := b.resend(v.ID); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{code, b.sender.lastCode()} {
		if c := b.check(v.ID, typed); c.Valid || c.Verification.Checks != 1 || c.Verification.Generation != 2 {
			t.Errorf("new code: %+v", c)
		}
	}
	// The provider's word that it has the text after all beats our guess.
	j := &job{begun: &begun{v: v, now: v.CreatedAt, send: &b.get(v.ID).Sends[2], outcome: outcomeStart}}
	if err := b.outcome(j, report{word: word{status: connector.StatusSent}}); err != nil {
		t.Fatal(err)
	}
	if !b.check(v.ID, b.sender.lastCode()).Valid {
		t.Error("the code of a text that arrived after all does not pass")
	}
}

func TestCodeWithLeadingZeros(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 200 { // the chance that no code begins with 0 is 7 in 10^10
		v, code := b.start().Verification, b.sender.lastCode()
		if code[0] != '0' {
			continue
		}
		if b.check(v.ID, strings.TrimLeft(code, "0")).Valid {
			t.Error("a code without its zeros passes")
		}
		if !b.check(v.ID, code).Valid {
			t.Error("a code with its zeros does not pass")
		}
		return
	}
	t.Error("no code began with 0")
}

// Wrong guesses are carried from one verification to the next; they delay, and
// never ban; the right code clears them.
func TestFailuresDelay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	wrongOnce := func() {
		t.Helper()
		v, code := b.start().Verification, b.sender.lastCode()
		b.check(v.ID, wrong(code))
	}
	for range b.policy.FailuresFree {
		wrongOnce()
	}
	waits := slices.Concat(b.policy.FailureWaits, []time.Duration{time.Hour, time.Hour})
	for i, wait := range waits {
		open, code := b.start().Verification, b.sender.lastCode()
		b.check(open.ID, wrong(code))
		_, err := b.Start(t.Context(), request(t))
		wantLimit(t, err, LimitFailures, wait)
		_, err = b.resend(open.ID)
		wantLimit(t, err, LimitFailures, wait)
		_, err = b.Check(t.Context(), CheckRequest{App: testApp, ID: open.ID, Code: secret.New(code)})
		wantLimit(t, err, LimitFailures, wait)
		if got := b.get(open.ID).Checks; got != 1 {
			t.Errorf("a check that had to wait was counted: %d", got)
		}
		b.clock.advance(wait - time.Microsecond)
		_, err = b.Start(t.Context(), request(t))
		wantLimit(t, err, LimitFailures, time.Microsecond)
		b.clock.advance(time.Microsecond)
		if i == len(waits)-1 {
			break
		}
	}
	// Another number, usage or app does not wait.
	v, code := b.start().Verification, b.sender.lastCode()
	if !b.check(v.ID, code).Valid {
		t.Fatal("the right code does not check")
	}
	for range b.policy.FailuresFree {
		wrongOnce()
	}
	b.start() // nothing waits: the count began anew
}

func TestManyGuessesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	var counted, limited atomic.Int32
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			c, err := b.Check(t.Context(), CheckRequest{App: testApp, ID: v.ID, Code: secret.New(wrong(code))})
			switch {
			case err != nil || c.Valid:
				limited.Add(1)
			case c.Verification.Status == StatusPending, c.Verification.Checks == c.Verification.MaxChecks && c.Verification.EndedAt.Equal(c.Now):
				counted.Add(1)
			}
		})
	}
	wg.Wait()
	got := b.get(v.ID)
	s, _ := memRows{b.store}.Subject(v.Subject)
	if got.Checks != 5 || got.Status != StatusExhausted || s.Failures != 5 || limited.Load() != 0 {
		t.Errorf("%d guesses counted, %d failures, %s, %d errors", got.Checks, s.Failures, got.Status, limited.Load())
	}
	if b.check(v.ID, code).Valid {
		t.Error("the code passes after the last guess")
	}
}

func TestRightGuessesAtOnceApproveOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 50 {
		v, code := b.start().Verification, b.sender.lastCode()
		var valid atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if c, err := b.Check(t.Context(), CheckRequest{App: testApp, ID: v.ID, Code: secret.New(code)}); err == nil && c.Valid {
					valid.Add(1)
				}
			})
		}
		wg.Wait()
		if valid.Load() != 1 {
			t.Fatalf("%d were told that the code is right, want 1", valid.Load())
		}
	}
}

func TestCancelAndGet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	for _, id := range []string{"00000000000000000000000000", "x"} {
		if _, _, err := b.Get(t.Context(), testApp, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %s: %v", id, err)
		}
		if _, _, err := b.Cancel(t.Context(), testApp, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("cancel %s: %v", id, err)
		}
	}
	if _, _, err := b.Get(t.Context(), "other", v.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another app's get: %v", err)
	}
	if _, _, err := b.Cancel(t.Context(), "other", v.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another app's cancel: %v", err)
	}
	got, now, err := b.Cancel(t.Context(), testApp, v.ID)
	if err != nil || got.Status != StatusCanceled || got.Reason != ReasonCaller || !now.Equal(b.clock.now()) {
		t.Errorf("cancel: %+v, %v", got, err)
	}
	b.clock.advance(time.Hour)
	if again, _, err := b.Cancel(t.Context(), testApp, v.ID); err != nil || !again.EndedAt.Equal(got.EndedAt) {
		t.Errorf("cancel again: %+v, %v", again, err)
	}
	if b.check(v.ID, code).Valid {
		t.Error("a canceled code passes")
	}
	if n, err := b.Purge(t.Context(), b.clock.now(), 10); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// FuzzCheck shows that nothing but the code itself is the code.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"", "123456", " 123456 ", "１２３４５６", "0x1e240", strings.Repeat("9", 99), "12345\x006", "-12345", "1e5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		b := newBench(t)
		v, code := b.start().Verification, b.sender.lastCode()
		c, err := b.Check(t.Context(), CheckRequest{App: testApp, ID: v.ID, Code: secret.New(typed)})
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace(typed) == code && len(typed) <= maxTyped; c.Valid != want {
			t.Errorf("%q is valid: %t", typed, c.Valid)
		}
		if c.Verification.Checks != 1 {
			t.Errorf("%q counted %d times", typed, c.Verification.Checks)
		}
		if !c.Valid && !b.check(v.ID, code).Valid {
			t.Errorf("after %q the code itself does not pass", typed)
		}
	})
}

// People type a code as they read it.
func TestCodeWithSpacesInside(t *testing.T) {
	t.Parallel()
	for _, spell := range []func(string) string{
		func(c string) string { return c[:3] + " " + c[3:] },
		func(c string) string { return " " + c[:3] + "-" + c[3:] + "\n" },
		func(c string) string { return c[:2] + "\u00a0" + c[2:4] + "  " + c[4:] },
	} {
		b := newBench(t)
		v, code := b.start().Verification, b.sender.lastCode()
		if !b.check(v.ID, spell(code)).Valid {
			t.Errorf("%q does not pass", spell("123456"))
		}
	}
}
