package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

func TestUnknownIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		p := s.providers[0]
		p.answers(maybe())
		st := s.start()
		if !st.Unknown {
			t.Fatalf("%+v", st)
		}
		p.has(connector.Found{ProviderID: "SM7", Status: connector.StatusSent, Created: time.Now()})
		s.run(4 * time.Second)
		wantSends(t, s.sends(st.Verification.ID), "main sent")
		if send := s.sends(st.Verification.ID)[0]; send.ProviderID != "SM7" || p.count() != 1 || p.looks() != 1 {
			t.Errorf("%d requests, %d looks, %+v", p.count(), p.looks(), send)
		}
		if !s.counts.has("looked main found") {
			t.Errorf("counted: %q", s.counts.lines)
		}
	})
}

// Two lists, 15 s apart, that do not have it: then the same code goes out again.
func TestUnknownIsNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		p := s.providers[0]
		p.answers(maybe(), nil)
		st := s.start()
		code := s.sender.lastCode()
		s.run(16 * time.Second)
		if p.count() != 1 || p.looks() != 1 {
			t.Fatalf("after 16 s: %d requests, %d looks", p.count(), p.looks())
		}
		s.run(8 * time.Second)
		wantSends(t, s.sends(st.Verification.ID), "main failed", "main accepted")
		if p.count() != 2 || p.looks() != 2 || s.sender.lastCode() != code {
			t.Errorf("%d requests, %d looks", p.count(), p.looks())
		}
		if v := s.get(st.Verification.ID); !v.ResendAfter.Equal(st.Verification.ResendAfter) || v.chargedSends() != 1 {
			t.Errorf("the person is charged for what we did twice: %+v", v)
		}
		if !s.check(st.Verification.ID, code).Valid {
			t.Error("the code does not pass")
		}
	})
}

// A list that has a text of another send of the verification does not have this
// one.
func TestFoundIsNotAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		p := s.providers[0]
		p.answers(nil, maybe(), nil)
		st := s.start()
		p.has(connector.Found{ProviderID: "SM1", Status: connector.StatusDelivered, Created: time.Now()})
		time.Sleep(31 * time.Second)
		if again, err := s.resend(st.Verification.ID); err != nil || !again.Unknown {
			t.Fatalf("%+v, %v", again, err)
		}
		s.run(30 * time.Second)
		wantSends(t, s.sends(st.Verification.ID), "main accepted", "main failed", "main accepted")
	})
}

// While a text is looked for, nothing else goes to the number there.
func TestHold(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, []string{"main", "other"}[:1+len(map[bool][]int{true: {1}}[two])])
			p := s.providers[0]
			p.answers(maybe(), nil)
			first := s.start().Verification
			second := s.start(func(r *StartRequest) { r.Usage = "Register" })
			if two {
				wantSends(t, second.Verification.Sends, "other accepted")
				return
			}
			if p.count() != 1 || !second.Unknown {
				t.Fatalf("%d requests, %+v", p.count(), second)
			}
			other := s.start(func(r *StartRequest) { r.To = number(t, "+14155550123") })
			if other.Unknown {
				t.Error("another number waits too")
			}
			p.has(connector.Found{ProviderID: "SM9", Status: connector.StatusAccepted, Created: time.Now()})
			s.run(10 * time.Second)
			wantSends(t, s.sends(first.ID), "main accepted")
			wantSends(t, s.sends(second.Verification.ID), "main accepted")
		})
	}
}

// A process dies while it posts. When its lease is over another one finds out.
func TestCrashedSend(t *testing.T) {
	t.Parallel()
	for name, arrived := range map[string]bool{"the text arrived": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, []string{"main"})
				p := s.providers[0]
				dying := s.store
				var saved *memStore
				dying.after = func(op Op) error {
					if saved == nil && op.ID == "" { // what stood on the disk when the process died
						saved = newMemStore(time.Now)
						saved.subjects, saved.verifications, saved.counters, saved.idems = cloneMaps(dying)
					}
					return nil
				}
				r := request(t)
				r.Idem = idem(s.keys, "start", "key", "")
				id := s.start(func(x *StartRequest) { *x = r }).Verification.ID
				s.store, s.options.Store = saved, saved
				s.restart()
				s.now = time.Now
				if _, err := s.Start(t.Context(), r); !errors.Is(err, ErrInFlight) {
					t.Errorf("the same call while the lease runs: %v", err)
				}
				if arrived {
					p.has(connector.Found{ProviderID: "SM1", Status: connector.StatusDelivered, Created: time.Now()})
				}
				s.run(39 * time.Second)
				if p.looks() != 0 {
					t.Error("somebody looked before the lease was over")
				}
				s.run(30 * time.Second)
				if arrived {
					wantSends(t, s.sends(id), "main delivered")
				} else {
					wantSends(t, s.sends(id), "main failed", "main accepted")
				}
				if again := s.start(func(x *StartRequest) { *x = r }); !again.Replayed || again.Verification.ID != id {
					t.Errorf("the same call afterwards: %+v", again)
				}
			})
		})
	}
}

func cloneMaps(m *memStore) (map[SubjectKey][]byte, map[string]memVerification, map[Place]Counters, map[MAC][]byte) {
	subjects, verifications, counters, idems := map[SubjectKey][]byte{}, map[string]memVerification{}, map[Place]Counters{}, map[MAC][]byte{}
	for k, v := range m.subjects {
		subjects[k] = slices.Clone(v)
	}
	for k, v := range m.verifications {
		verifications[k] = v
	}
	for k, v := range m.counters {
		counters[k] = slices.Clone(v)
	}
	for k, v := range m.idems {
		idems[k] = slices.Clone(v)
	}
	return subjects, verifications, counters, idems
}

// Without callbacks the provider is asked, less and less often.
func TestPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"}, func(o *Options) { o.Policy.PollAfter = 2 * time.Minute })
		p := s.providers[0]
		p.answers(nil)
		id := s.start().Verification.ID
		p.has(connector.Found{ProviderID: "SM1", Status: connector.StatusAccepted})
		for _, step := range []struct {
			after   time.Duration
			fetched int
		}{{119 * time.Second, 0}, {3 * time.Second, 1}, {9 * time.Minute, 1}, {time.Minute + 3*time.Second, 2}, {50*time.Minute + 3*time.Second, 3}, {24 * time.Hour, 3}} {
			s.run(step.after)
			if p.fetched != step.fetched {
				t.Errorf("after %s more: asked %d times, want %d", step.after, p.fetched, step.fetched)
			}
		}
		wantSends(t, s.sends(id), "main accepted")

		id = s.start(func(r *StartRequest) { r.To = number(t, "+14155550123") }).Verification.ID
		p.has(connector.Found{ProviderID: "SM2", Status: connector.StatusUndelivered, Err: &connector.Error{Kind: connector.KindUnreachable, ProviderCode: "30003", Advice: connector.AdviceOtherMethod}})
		s.run(time.Hour)
		wantSends(t, s.sends(id), "main undelivered")
		if f := s.sends(id)[0].Error; p.fetched != 4 || f == nil || f.ProviderCode != "30003" {
			t.Errorf("asked %d times, %+v", p.fetched, f)
		}
	})
}

func TestFeedbackOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		p := s.providers[0]
		p.answers(nil)
		st := s.start()
		if !p.messages[0].WantFeedback {
			t.Error("no feedback was promised")
		}
		s.check(st.Verification.ID, wrong(s.sender.lastCode()))
		s.run(3 * time.Second)
		if len(p.feedback) != 0 {
			t.Error("feedback for a wrong code")
		}
		s.check(st.Verification.ID, s.sender.lastCode())
		s.run(3 * time.Second)
		s.restart()
		s.now = time.Now
		s.run(3 * time.Second)
		if !slices.Equal(p.feedback, []string{"SM1"}) {
			t.Errorf("feedback for %q", p.feedback)
		}
		quiet := newStation(t, []string{"main"}, func(o *Options) { o.Policy.Feedback = false })
		quiet.start()
		if quiet.providers[0].messages[0].WantFeedback {
			t.Error("feedback was promised that nobody wants")
		}
	})
}

func TestOptOuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main", "other"})
		p := s.providers[0]
		p.answers(&connector.Error{Kind: connector.KindOptedOut, ProviderCode: "21610", Outcome: connector.OutcomeRefused, Advice: connector.AdviceOptedOut}, nil)
		refused := func(who string, requests int) {
			t.Helper()
			_, err := s.Start(t.Context(), request(t))
			var r *RefusedError
			if !errors.As(err, &r) || r.Cause.Kind != connector.KindOptedOut || r.Cause.Advice != connector.AdviceOptedOut || p.count() != requests {
				t.Errorf("%s: %v, %d requests, want %d", who, err, p.count(), requests)
			}
		}
		refused("the provider", 1)
		refused("remembered", 1)
		if n := len(s.store.verifications); n != 1 {
			t.Errorf("%d verifications", n)
		}
		time.Sleep(24*time.Hour - time.Second)
		refused("a day minus a second later", 1)
		time.Sleep(2 * time.Second)
		s.start()
		from := number(t, testNumber)
		reply := func(name string, c connector.Consent) {
			t.Helper()
			if err := s.RecordReply(t.Context(), name, connector.Reply{From: from, Consent: c}); err != nil {
				t.Error(err)
			}
		}
		reply("main", connector.ConsentNone)
		s.start()
		reply("other", connector.ConsentStop) // of another sender
		s.start()
		reply("main", connector.ConsentStop)
		refused("after STOP", 4)
		reply("main", connector.ConsentStart)
		s.start()
		if strings.Contains(s.logs.String(), testNumber) {
			t.Error("the log has the number")
		}
	})
}

func TestRecordDelivery(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.start().Verification
	id := v.Sends[0].ID
	record := func(name, send, sid string, status connector.Status) error {
		return b.RecordDelivery(t.Context(), name, send, connector.StatusUpdate{ProviderID: sid, Status: status})
	}
	for name, err := range map[string]error{
		"another connector": record("other", id, "SM1", connector.StatusSent),
		"no send":           record("main", v.ID+".2", "SM1", connector.StatusSent),
		"no record":         record("main", "0123456789abcdefghijklmnop.1", "SM1", connector.StatusSent),
		"no id":             record("main", "x", "SM1", connector.StatusSent),
		"a path":            record("main", "../"+id, "SM1", connector.StatusSent),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, step := range []struct {
		sid          string
		status, want connector.Status
	}{
		{"SM2", connector.StatusDelivered, connector.StatusAccepted}, // another text
		{"SM1", connector.StatusSent, connector.StatusSent},
		{"SM1", connector.StatusAccepted, connector.StatusSent},
		{"SM1", connector.StatusDelivered, connector.StatusDelivered},
		{"SM1", connector.StatusSent, connector.StatusDelivered},
		{"SM1", connector.StatusUndelivered, connector.StatusDelivered},
	} {
		if err := record("main", id, step.sid, step.status); err != nil {
			t.Fatal(err)
		}
		if got := b.get(v.ID).Sends[0].Status; got != step.want {
			t.Errorf("%s says %s: %s, want %s", step.sid, step.status, got, step.want)
		}
	}
	if !b.counts.has("status main US delivered ") || !strings.Contains(b.logs.String(), "delivery of another text") {
		t.Errorf("counted %q", b.counts.lines)
	}
}
