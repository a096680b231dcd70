package verify

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// stateTable reads a table of docs/states.md: row name, column name, cell.
func stateTable(t *testing.T, name string) (columns []string, rows [][]string) {
	t.Helper()
	data, err := os.ReadFile("../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "<!-- table: "+name+" -->\n")
	if !ok {
		t.Fatalf("docs/states.md has no table %q", name)
	}
	table, _, _ := strings.Cut(rest, "\n\n")
	for i, line := range strings.Split(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		switch i {
		case 0:
			columns = cells[1:]
		case 1: // the line of dashes
		default:
			if len(cells) != len(columns)+1 {
				t.Fatalf("table %s: the row %q has %d cells", name, cells[0], len(cells))
			}
			rows = append(rows, cells)
		}
	}
	return columns, rows
}

func parseWord(s string) word {
	status, guess := strings.CutSuffix(s, ", guess")
	return word{connector.Status(status), guess}
}

func TestSendStates(t *testing.T) {
	t.Parallel()
	columns, rows := stateTable(t, "send")
	if len(rows) != 9 || len(columns) != 9 {
		t.Fatalf("the table has %d rows and %d columns, want 8 statuses and the guess", len(rows), len(columns))
	}
	for _, row := range rows {
		for i, heard := range columns {
			has, next, want := parseWord(row[0]), parseWord(heard), parseWord(row[i+1])
			got, changed := has.merge(next)
			if got != want || changed != (got != has) {
				t.Errorf("a send that is %q and hears %q is %v (changed: %t), want %v", row[0], heard, got, changed, want)
			}
			// The same news twice are no news.
			if again, changed := got.merge(next); again != got || changed {
				t.Errorf("a send that is %q and hears %q twice becomes %v", row[0], heard, again)
			}
		}
	}
	if got, changed := (word{status: connector.StatusSending}).merge(word{status: "nonsense"}); changed {
		t.Errorf("an unknown status was believed: %v", got)
	}
}

// held is a verification whose first text is on its way until release.
type held struct {
	*bench
	v       *Verification
	code    string
	release func(error)
}

func hold(t *testing.T) *held {
	t.Helper()
	h := &held{bench: newBench(t)}
	called, answer := make(chan struct{}), make(chan error, 1)
	h.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
		close(called)
		return connector.Receipt{ProviderID: "SM1", Status: connector.StatusAccepted}, <-answer
	})
	ctx, hangUp := context.WithCancel(t.Context())
	got := make(chan Started, 1)
	go func() {
		r := request(t)
		r.Session = "browser"
		st, err := h.Start(ctx, r)
		if err != nil {
			t.Errorf("start: %v", err)
		}
		got <- st
	}()
	<-called
	hangUp()
	st := <-got
	if st.Verification == nil || !st.Unknown {
		t.Fatalf("a caller who hung up got %+v, want a verification whose send is unknown", st)
	}
	h.v, h.code = st.Verification, h.sender.lastCode()
	h.sender.answer(nil)
	released := false
	h.release = func(err error) {
		if !released {
			released = true
			answer <- err
			h.landed()
		}
	}
	t.Cleanup(func() { h.release(nil) })
	return h
}

// bring leads a pending verification into a state.
func (h *held) bring(state string) {
	h.t.Helper()
	switch Status(state) {
	case StatusPending:
	case StatusApproved:
		h.check(h.v.ID, h.code)
	case StatusCanceled:
		if _, _, err := h.Cancel(h.t.Context(), testApp, h.v.ID); err != nil {
			h.t.Fatal(err)
		}
	case StatusExpired:
		h.clock.advance(h.policy.Life)
	case StatusExhausted:
		for range h.policy.MaxChecks {
			h.check(h.v.ID, wrong(h.code))
		}
	default:
		h.t.Fatalf("docs/states.md names the state %q, which the code does not know", state)
	}
	if got := h.get(h.v.ID).StatusAt(h.clock.now()); string(got) != state {
		h.t.Fatalf("the verification is %s, want %s", got, state)
	}
}

func (h *held) tryCode(code string) string {
	h.t.Helper()
	if c := h.check(h.v.ID, code); c.Valid {
		return "valid"
	}
	return "invalid"
}

// events are the columns of the table; each returns the caller's answer.
func events() map[string]func(h *held) string {
	return map[string]func(h *held) string{
		"right code": func(h *held) string { return h.tryCode(h.code) },
		"wrong code": func(h *held) string { return h.tryCode(wrong(h.code)) },
		"last wrong code": func(h *held) string {
			for range h.policy.MaxChecks - 1 {
				h.check(h.v.ID, wrong(h.code))
			}
			return h.tryCode(wrong(h.code))
		},
		"resend": func(h *held) string {
			h.clock.advance(h.policy.ResendWaits[0])
			switch _, err := h.resend(h.v.ID); {
			case errors.Is(err, ErrEnded):
				return "ended"
			case err != nil:
				h.t.Fatal(err)
			}
			return ""
		},
		"start, same session": func(h *held) string {
			st := h.start(session("browser"))
			if joined := st.Verification.ID == h.v.ID; joined != st.Joined {
				h.t.Fatalf("joined is %t, same id %t", st.Joined, joined)
			}
			if st.Joined {
				return "joined"
			}
			return "new"
		},
		"cancel": func(h *held) string {
			if _, _, err := h.Cancel(h.t.Context(), testApp, h.v.ID); err != nil {
				h.t.Fatal(err)
			}
			return ""
		},
		"approve": func(h *held) string {
			if _, err := h.ApproveAt(h.t.Context(), Handle{App: testApp, ID: h.v.ID}); err != nil {
				h.t.Fatal(err)
			}
			return ""
		},
		"key lost, check": func(h *held) string {
			h.keys = newKeys(h.t, serverKey("k2", 50))
			return h.tryCode(h.code)
		},
		"text refused": func(h *held) string { h.release(refusal()); return "" },
		"refused, another on its way": func(h *held) string {
			// The second text goes out first, where it still may.
			h.clock.advance(h.policy.ResendWaits[0])
			_, err := h.resend(h.v.ID)
			if err != nil && !errors.Is(err, ErrEnded) {
				h.t.Fatal(err)
			}
			h.release(refusal())
			return ""
		},
		"delivered": func(h *held) string {
			h.release(nil)
			h.hear(word{status: connector.StatusDelivered})
			return ""
		},
		"time over": func(h *held) string { h.clock.advance(h.policy.Life); return "" },
	}
}

func refusal() error {
	return &connector.Error{Kind: connector.KindInvalidRecipient, ProviderCode: "21211", Outcome: connector.OutcomeRefused}
}

// hear writes down what a provider says of the first send.
func (h *held) hear(w word) {
	h.t.Helper()
	v := h.get(h.v.ID)
	j := &job{begun: &begun{v: v, now: v.CreatedAt, send: &v.Sends[0], outcome: outcomeStart}}
	if err := h.outcome(j, report{word: w}); err != nil {
		h.t.Fatal(err)
	}
	if got := h.get(h.v.ID).Sends[0].Status; got != w.status {
		h.t.Fatalf("the send is %s, want %s", got, w.status)
	}
}

func TestVerificationStates(t *testing.T) {
	t.Parallel()
	columns, rows := stateTable(t, "verification")
	all := events()
	if len(rows) != 5 || len(columns) != len(all) {
		t.Fatalf("the table has %d states and %d events, want 5 and %d", len(rows), len(columns), len(all))
	}
	for _, row := range rows {
		for i, event := range columns {
			t.Run(row[0]+"/"+event, func(t *testing.T) {
				t.Parallel()
				fire := all[event]
				if fire == nil {
					t.Fatalf("docs/states.md names the event %q, which no test knows", event)
				}
				h := hold(t)
				h.bring(row[0])
				answer := fire(h)
				got := string(h.get(h.v.ID).StatusAt(h.clock.now()))
				if answer != "" {
					got += ": " + answer
				}
				if got != row[i+1] {
					t.Errorf("got %q, want %q", got, row[i+1])
				}
				h.wantConsistent()
			})
		}
	}
}

// wantConsistent holds what must be true in every state.
func (h *held) wantConsistent() {
	h.t.Helper()
	v := h.get(h.v.ID)
	if (v.Status == StatusPending) != v.EndedAt.IsZero() {
		h.t.Errorf("status %s, ended at %s", v.Status, v.EndedAt)
	}
	if approved := v.Status == StatusApproved && v.Checks == 0; (v.Status == StatusCanceled || approved) != (v.Reason != "") {
		h.t.Errorf("status %s for the reason %q", v.Status, v.Reason)
	}
	s, err := memRows{h.store}.Subject(v.Subject)
	if err != nil || s == nil {
		h.t.Fatalf("subject: %v, %v", s, err)
	}
	pending := slices.ContainsFunc(s.Pending, func(p Pending) bool { return p.ID == v.ID })
	if pending && v.Status != StatusPending {
		h.t.Errorf("a verification that is %s is among the pending ones", v.Status)
	}
	if !pending && v.StatusAt(h.clock.now()) == StatusPending {
		h.t.Error("a pending verification is missing among the pending ones")
	}
	if v.Checks > v.MaxChecks {
		h.t.Errorf("%d checks of %d", v.Checks, v.MaxChecks)
	}
	c, err := h.Check(h.t.Context(), CheckRequest{App: testApp, ID: v.ID, Code: secret.New(h.code)})
	if err == nil && c.Valid && v.StatusAt(h.clock.now()) != StatusPending {
		h.t.Errorf("a verification that was %s was approved", v.Status)
	}
}
