package connectortest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/nettest"
)

// callbacks: a genuine one is read, and nothing else.
func (s *suite) callbacks(t *testing.T) {
	sender, _ := s.sender(t, nettest.Refused(t))
	parser, ok := sender.(connector.StatusParser)
	if !ok {
		t.Log("the connector reads no callbacks")
		return
	}
	if s.h.Callback == nil {
		t.Fatal("the connector is a StatusParser: the harness needs Callback")
	}
	genuine := s.h.Callback(t)
	update, err := parser.ParseStatus(genuine)
	if err != nil {
		t.Fatalf("the genuine callback: %v", err)
	}
	if update.ProviderID == "" || update.Status != connector.StatusDelivered || update.Err != nil {
		t.Errorf("the genuine callback is read as status %q, error %v", update.Status, update.Err)
	}
	s.forgeries(t, s.h.Callback, "delivered", "failed", func(in connector.Inbound) (bool, error) {
		update, err := parser.ParseStatus(in)
		return update == connector.StatusUpdate{}, err
	})
}

// replies: a genuine one is read, and nothing else.
func (s *suite) replies(t *testing.T) {
	sender, _ := s.sender(t, nettest.Refused(t))
	parser, ok := sender.(connector.ReplyParser)
	if !ok {
		t.Log("the connector reads no replies")
		return
	}
	if s.h.Reply == nil {
		t.Fatal("the connector is a ReplyParser: the harness needs Reply")
	}
	reply, err := parser.ParseReply(s.h.Reply(t))
	if err != nil {
		t.Fatalf("the genuine reply: %v", err)
	}
	if reply.From.E164() != "+1"+number || reply.Consent != connector.ConsentStop {
		t.Errorf("the genuine reply is read as consent %q from %v", reply.Consent, reply.From)
	}
	NoSecrets(t, reply, append([]string{number}, s.h.Secrets...)...)
	s.forgeries(t, s.h.Reply, "STOP", "START", func(in connector.Inbound) (bool, error) {
		reply, err := parser.ParseReply(in)
		return reply.From.IsZero() && reply.Consent == connector.ConsentNone, err
	})
}

// forgeries changes one thing at a time of what genuine returns. read has to
// refuse each, and to say nothing (empty) beside the error. word is in the body
// of what genuine returns, and means something else as other.
func (s *suite) forgeries(t *testing.T, genuine func(testing.TB) connector.Inbound, word, other string, read func(connector.Inbound) (empty bool, err error)) {
	for name, change := range map[string]func(*connector.Inbound){
		"no header":     func(in *connector.Inbound) { in.Header = nil },
		"another host":  func(in *connector.Inbound) { in.PublicURL = strings.Replace(in.PublicURL, "://", "://other.", 1) },
		"no URL":        func(in *connector.Inbound) { in.PublicURL = "" },
		"no body":       func(in *connector.Inbound) { in.Body = nil },
		"a longer body": func(in *connector.Inbound) { in.Body = append(bytes.Clone(in.Body), "&x=1"...) },
		"another word": func(in *connector.Inbound) {
			in.Body = bytes.ReplaceAll(in.Body, []byte(word), []byte(other))
		},
		"a body of garbage": func(in *connector.Inbound) { in.Body = []byte(code + "%zz\x00\xff") },
		"a huge body":       func(in *connector.Inbound) { in.Body = bytes.Repeat([]byte("a=b&"), 1<<20) },
		"1,000 fields":      func(in *connector.Inbound) { in.Body = bytes.Repeat([]byte("a=b&"), 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			in := genuine(t)
			before := bytes.Clone(in.Body)
			change(&in)
			if name == "another word" && bytes.Equal(in.Body, before) {
				t.Skipf("the body does not say %s", word)
			}
			empty, err := read(in)
			if !errors.Is(err, connector.ErrSignature) && !errors.Is(err, connector.ErrMalformed) {
				t.Fatalf("error %v, want ErrSignature or ErrMalformed", err)
			}
			if !empty {
				t.Error("what is refused says something")
			}
			NoSecrets(t, err, append([]string{code, number}, s.h.Secrets...)...)
		})
	}
}

// finder: looking has no effect, so its failures leave nothing open.
func (s *suite) finder(t *testing.T) {
	for status, answer := range answers() {
		p := s.provider(t, answer)
		finder, ok := p.sender.(connector.Finder)
		if !ok {
			t.Log("the connector finds nothing")
			return
		}
		t.Run("find, "+status, func(t *testing.T) {
			found, err := finder.Find(t.Context(), message(t), time.Unix(0, 0))
			s.looked(t, len(found) > 0, err)
		})
		t.Run("fetch, "+status, func(t *testing.T) {
			found, err := finder.Fetch(t.Context(), s.h.ProviderID)
			s.looked(t, found.ProviderID != "", err)
		})
		t.Run("canceled, "+status, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := finder.Find(ctx, message(t), time.Unix(0, 0))
			s.looked(t, false, err)
			_, err = finder.Fetch(ctx, s.h.ProviderID)
			s.looked(t, false, err)
		})
		t.Run("a strange id, "+status, func(t *testing.T) {
			_, err := finder.Fetch(t.Context(), "../../"+code)
			s.looked(t, false, err)
		})
	}
}

func (s *suite) looked(t *testing.T, found bool, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if found {
		t.Error("something was found beside an error")
	}
	if e := s.checkError(t, err); e != nil && e.Outcome == connector.OutcomeMaybe {
		t.Error("the outcome is maybe, of a call that has no effect")
	}
}

func (s *suite) feedback(t *testing.T) {
	for status, answer := range answers() {
		p := s.provider(t, answer)
		sender, ok := p.sender.(connector.FeedbackSender)
		if !ok {
			t.Log("the connector sends no feedback")
			return
		}
		t.Run(status, func(t *testing.T) {
			for _, id := range []string{s.h.ProviderID, "../../" + code} {
				err := sender.Feedback(t.Context(), id, true)
				if err == nil {
					t.Fatal("no error")
				}
				_ = s.checkError(t, err)
			}
		})
	}
}

// answers are those to which no ability has a use.
func answers() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	for _, status := range []int{200, 302, 401, 404, 429, 500} {
		all[http.StatusText(status)] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(indiscreet))
		}
	}
	return all
}
