package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// absence is how far apart two lists without a text must be to show that it is
// not there; the program may then make a second one.
const absence = 15 * time.Second

// ledger is what the simulator took, whoever heard of it.
type ledger struct {
	ofSend map[string][]twiliosim.Create // by the send that the callback URL names
	to     map[string][]twiliosim.Create
}

func (s *site) ledger() ledger {
	l := ledger{map[string][]twiliosim.Create{}, map[string][]twiliosim.Create{}}
	for _, c := range s.sim.Ledger() {
		send := sendOf(c)
		if send == "" {
			s.t.Errorf("the text %s asks for callbacks to no send of ours", c.SID)
		}
		l.ofSend[send] = append(l.ofSend[send], c)
		l.to[c.To] = append(l.to[c.To], c)
	}
	return l
}

func sendOf(c twiliosim.Create) string {
	u, err := url.Parse(c.StatusCallback)
	if err != nil || !strings.Contains(u.Path, "/callbacks/") {
		return ""
	}
	return path.Base(u.Path)
}

// parentOf is the record that a send belongs to.
func parentOf(send string) string {
	id, _, _ := strings.Cut(send, ".")
	return id
}

// proof says that the text was absent from two lists, or nothing.
func proof(c twiliosim.Create) string {
	h := c.HiddenAt
	if len(h) < 2 || h[len(h)-1].Sub(h[0]) < absence {
		return ""
	}
	return fmt.Sprintf("%s, taken %s, was absent from the lists of %s and %s, %.1f s apart", c.SID,
		c.Time.Format(clock), h[0].Format(clock), h[len(h)-1].Format(clock), h[len(h)-1].Sub(h[0]).Seconds())
}

const clock = "15:04:05.000"

// tally compares what the program says of its texts with what the simulator took.
type tally struct {
	records, texts, failures, open int
	second, lost                   int // faults
	excused                        []string
	failed                         []string // tells of the first failures
	silent                         []answer // records without any text, and none to come
}

// toldFailures is how many failures a tally tells of.
const toldFailures = 20

// accepted are the statuses of a send that say that there is a text.
func accepted(status string) bool {
	return slices.Contains([]string{"accepted", "sent", "delivered", "undelivered"}, status)
}

// undecided are the statuses of a send of which something is still owed.
func undecided(status string) bool { return status == "sending" || status == "unknown" }

// add compares one record. Its callers asked for no more than so many texts;
// where they were answered for some and not for others it may have fewer.
func (y *tally) add(t *testing.T, got answer, asked int, l ledger) {
	t.Helper()
	y.records++
	texts, proofs := 0, []string{}
	for _, s := range got.Sends {
		entries := l.ofSend[s.ID]
		texts += len(entries)
		for _, e := range entries {
			if p := proof(e); p != "" {
				proofs = append(proofs, p)
			}
		}
		switch {
		case undecided(s.Status):
			y.open++
		case accepted(s.Status) && len(entries) == 0:
			y.lost++
			t.Errorf("lost: %s is reported as %s, and no such text was taken", s.ID, s.Status)
		case accepted(s.Status) && s.ProviderID != entries[0].SID:
			t.Errorf("%s is reported as the text %q, and is %q", s.ID, s.ProviderID, entries[0].SID)
		case !accepted(s.Status) && len(entries) == 0:
			if y.failures++; y.failures <= toldFailures {
				y.failed = append(y.failed, fmt.Sprintf("%s is %s, %v; it is %v", s.ID, s.Status, s.Error, got.Status))
			}
		case !accepted(s.Status) && proof(entries[0]) == "":
			y.second++
			t.Errorf("%s is reported as %s, and its text was taken: %+v", s.ID, s.Status, entries[0])
		}
		if len(entries) > 1 {
			t.Errorf("%s was posted %d times: %+v", s.ID, len(entries), entries)
		}
	}
	y.texts += texts
	if texts == 0 && len(got.Sends) > 0 && !owedAny("", got) {
		y.silent = append(y.silent, got)
	}
	switch more := texts - asked; {
	case more > len(proofs):
		y.second += more - len(proofs)
		t.Errorf("%s has %d texts, and %d were asked for, with %d proofs: %+v", got.ID, texts, asked, len(proofs), got.Sends)
	case more > 0:
		y.excused = append(y.excused, got.ID+" has a second text because "+strings.Join(proofs[:more], "; and "))
	}
}

// settle asks for records until nothing is owed of any, and returns them all. It
// fails the test when that takes longer than the bound.
func (c *client) settle(paths []string, bound time.Duration, owed func(path string, got answer) bool) map[string]answer {
	c.t.Helper()
	var mu sync.Mutex
	all := make(map[string]answer, len(paths))
	for deadline := time.Now().Add(bound); ; {
		var rest []string
		each(len(paths), func(i int) {
			got, err := c.call(http.MethodGet, paths[i], "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil || got.status != http.StatusOK {
				c.t.Errorf("%s cannot be found: %d %s %v", paths[i], got.status, got.Code, err)
				return
			}
			all[paths[i]] = got
			if owed(paths[i], got) {
				rest = append(rest, paths[i])
			}
		})
		if len(rest) == 0 {
			return all
		}
		if time.Now().After(deadline) {
			slices.SortFunc(rest, cmp.Compare[string])
			c.t.Errorf("after %s something is still owed of %d records, such as %+v", bound, len(rest), all[rest[0]])
			return all
		}
		paths = rest
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
}

// owedAny is that any send of the record is undecided.
func owedAny(_ string, got answer) bool {
	return slices.ContainsFunc(got.Sends, func(s sent) bool { return undecided(s.Status) })
}
