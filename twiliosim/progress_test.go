package twiliosim

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// history renders the life of a message: status and time since its creation.
func history(m Message) string {
	var b strings.Builder
	for _, s := range m.Statuses {
		fmt.Fprintf(&b, "%s@%v ", s.Status, s.Time.Sub(m.Created))
	}
	return strings.TrimSpace(b.String())
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		faults Faults
		more   []string
		want   string
		code   int
	}{
		{"service", Faults{}, nil, "accepted@0s queued@1s sent@2s delivered@3s", 0},
		{"service and number", Faults{}, []string{"From", "+12025550100"}, "queued@0s sent@1s delivered@2s", 0},
		{"undelivered", Faults{Outcome: "undelivered", ErrorCode: 30005}, nil, "accepted@0s queued@1s sent@2s undelivered@3s", 30005},
		{"undelivered, no code", Faults{Outcome: "undelivered"}, nil, "accepted@0s queued@1s sent@2s undelivered@3s", 30008},
		{"failed", Faults{Outcome: "failed", ErrorCode: 30007}, nil, "accepted@0s queued@1s failed@2s", 30007},
		{"no report", Faults{Outcome: "sent"}, nil, "accepted@0s queued@1s sent@2s", 0},
		{"validity over", Faults{}, []string{"ValidityPeriod", "1"}, "accepted@0s queued@1s failed@2s", 30036},
		{"validity enough", Faults{}, []string{"ValidityPeriod", "2"}, "accepted@0s queued@1s sent@2s delivered@3s", 0},
		{"scheduled", Faults{}, []string{"ScheduleType", "fixed", "SendAt", "2000-01-01T01:00:00Z"}, "scheduled@0s queued@1h0m0s sent@1h0m1s delivered@1h0m2s", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, Options{Step: time.Second})
				if err := s.SetFaults(tt.faults); err != nil {
					t.Fatal(err)
				}
				sid := s.text(t, tt.more...)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				m := s.state(t, sid)
				if got := history(m); got != tt.want || m.ErrorCode != tt.code {
					t.Errorf("%s, code %d; want %s, %d", got, m.ErrorCode, tt.want, tt.code)
				}
				if m.From != "+12025550100" {
					t.Errorf("from %q", m.From)
				}
				r := s.ask("GET", v2010+s.o.AccountSID+"/Messages/"+sid+".json", "").json(t)
				sent := strings.Contains(tt.want, "sent")
				if (r["date_sent"] != nil) != sent || (r["price"] != nil) != sent || (r["error_code"] != nil) != (tt.code != 0) || r["num_segments"] != "1" {
					t.Errorf("resource %v", r)
				}
			})
		})
	}
}

func TestPoolWithoutSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Second})
		s.reg.numbers[0].sms = false
		voice := s.text(t)
		time.Sleep(time.Second)
		synctest.Wait()
		s.reg.mu.Lock()
		s.reg.numbers = nil
		s.reg.mu.Unlock()
		empty := s.text(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		for sid, code := range map[string]int{voice: 21703, empty: 21704} {
			if m := s.state(t, sid); history(m) != "accepted@0s failed@1s" || m.ErrorCode != code || m.From != "" {
				t.Errorf("%s with code %d, want failed with %d", history(m), m.ErrorCode, code)
			}
		}
	})
}

func TestCancelAndDeleteStopTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Second})
		path := func(sid string) string { return v2010 + s.o.AccountSID + "/Messages/" + sid + ".json" }
		later := s.text(t, "ScheduleType", "fixed", "SendAt", "2000-01-01T01:00:00Z")
		if r := s.ask("POST", path(later), "Status=canceled"); r.code != 200 || r.json(t)["status"] != "canceled" {
			t.Error(r)
		}
		if got := s.ask("POST", path(later), "Status=canceled").errorCode(t); got != 30409 {
			t.Errorf("canceled twice: %d", got)
		}
		for _, body := range []string{"", "Status=sent", "Body=other"} {
			if got := s.ask("POST", path(later), body).errorCode(t); got != 20422 {
				t.Errorf("update with %q: %d", body, got)
			}
		}
		deleted := s.text(t)
		if r := s.ask("DELETE", path(deleted), ""); r.code != http.StatusNoContent || len(r.body) != 0 {
			t.Error(r)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if m := s.state(t, later); history(m) != "scheduled@0s canceled@0s" {
			t.Errorf("the canceled message: %s", history(m))
		}
		if n := len(s.Messages("")); n != 1 {
			t.Errorf("%d messages, want the canceled one", n)
		}
		if got := s.ask("GET", path(deleted), "").errorCode(t); got != 20404 {
			t.Errorf("the deleted message: %d", got)
		}
		if n := len(s.Ledger()); n != 2 {
			t.Errorf("%d ledger entries; deleting a message is no reason to forget that it was taken", n)
		}
	})
}

// TestBoundedMemory: neither messages, nor the ledger, nor the queue of steps
// grow beyond their bounds, however slow the steps are.
func TestBoundedMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 50
		s := newSim(t, Options{Step: time.Hour, MaxMessages: most})
		var sids []string
		for i := range 40 * most {
			sids = append(sids, s.text(t, "StatusCallback", "http://127.0.0.1:1/"))
			if i%7 == 0 { // leave gaps in the lists
				s.ask("DELETE", v2010+s.o.AccountSID+"/Messages/"+sids[len(sids)-1]+".json", "")
				sids = sids[:len(sids)-1]
			}
		}
		messages, steps, creates, dropped := s.box.size()
		if messages != most || creates != most || dropped != 39*most || steps > 2*most+1024 {
			t.Errorf("%d messages, %d steps, %d ledger entries, %d dropped", messages, steps, creates, dropped)
		}
		slices.Reverse(sids)
		var got []string
		for _, m := range s.Messages(person) {
			got = append(got, m.SID)
		}
		if !slices.Equal(got, sids[:most]) {
			t.Error("what is left is not the newest messages, newest first")
		}
		ledger := s.Ledger()
		if !slices.IsSortedFunc(ledger, func(a, b Create) int { return a.Time.Compare(b.Time) }) {
			t.Error("the ledger is out of order")
		}
	})
}

// TestBoxLists compares the lists with a plain model under random adds and
// removes.
func TestBoxLists(t *testing.T) {
	t.Parallel()
	const seed = 42
	rng := rand.New(rand.NewPCG(seed, 0))
	b := newBox(20)
	var model []*message
	for i := range 5000 {
		if rng.IntN(3) > 0 || len(model) == 0 {
			m := &message{sid: fmt.Sprint(i), to: fmt.Sprint(rng.IntN(4))}
			b.keep(m)
			if model = append(model, m); len(model) > 20 {
				model = model[1:]
			}
		} else {
			k := rng.IntN(len(model))
			b.remove(model[k])
			model = slices.Delete(model, k, k+1)
		}
		for _, to := range []string{"", "0", "1", "2", "3"} {
			want, got := "", ""
			for _, m := range slices.Backward(model) {
				if to == "" || m.to == to {
					want += m.sid + " "
				}
			}
			b.each(to, func(m *message) bool { got += m.sid + " "; return true })
			if got != want {
				t.Fatalf("seed %d, step %d, to %q: %s, want %s", seed, i, to, got, want)
			}
		}
	}
}

// TestDueHeap: steps come out in the order of their time, and a sweep drops
// those of messages that are gone.
func TestDueHeap(t *testing.T) {
	t.Parallel()
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	var h dueHeap
	alive := 0
	for range 1000 {
		m := &message{}
		m.gone.Store(rng.IntN(2) == 0)
		if !m.gone.Load() {
			alive++
		}
		h.push(due{rng.Int64N(100), m})
	}
	h.sweep()
	if len(h) != alive {
		t.Fatalf("seed %d: %d steps after the sweep, want %d", seed, len(h), alive)
	}
	last := int64(0)
	for len(h) > 0 {
		d := h.pop()
		if d.at < last || d.m.gone.Load() {
			t.Fatalf("seed %d: %d after %d, gone %v", seed, d.at, last, d.m.gone.Load())
		}
		last = d.at
	}
}

// TestPickFromIsSticky: one recipient, one sender; many recipients, all of them.
func TestPickFromIsSticky(t *testing.T) {
	t.Parallel()
	pool := []string{"a", "b", "c"}
	seen := map[string]bool{}
	for i := range 100 {
		to := fmt.Sprintf("+1415555%04d", i)
		first := pickFrom(pool, to)
		seen[first] = true
		if pickFrom(pool, to) != first {
			t.Fatal("two senders for one recipient")
		}
	}
	if len(seen) != len(pool) {
		t.Errorf("%d of %d senders are used", len(seen), len(pool))
	}
}
