package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// A message may have no address where it says so, and nowhere else does that count.
func TestMessageWithoutAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := MessageRequest{App: testApp, To: number(t, testNumber), Usage: "SignIn", Payload: map[string]any{"code": "482913"}}
	_, err := b.SendMessage(t.Context(), r)
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Code != "client_ip_required" {
		t.Errorf("without a word: %v", err)
	}
	r.NoClientIP = true
	if st, err := b.SendMessage(t.Context(), r); err != nil || !st.Sent {
		t.Errorf("with it: %+v, %v", st, err)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		p := s.providers[0]
		p.answers(busy(time.Minute), nil)
		send := func(code string) (Started, error) {
			return s.SendMessage(t.Context(), MessageRequest{
				App: testApp, To: number(t, testNumber), Usage: "SignIn", ClientIP: testIP, Payload: map[string]any{"code": code},
			})
		}
		st, err := send("8305117724")
		if err != nil || !st.Unknown {
			t.Fatalf("%+v, %v", st, err)
		}
		id := st.Verification.ID
		if dump := s.store.dump(); strings.Contains(dump, "8305117724") || !strings.Contains(dump, `"sealed"`) {
			t.Error("the payload is not sealed")
		}
		s.run(70 * time.Second)
		if body := p.messages[1].Body.Reveal(); body != "Your code is 8305117724." {
			t.Errorf("the text is %q", body)
		}
		if strings.Contains(s.store.dump(), `"sealed"`) {
			t.Error("the payload is kept after the text was taken")
		}
		m, err := s.GetMessage(t.Context(), testApp, id)
		if err != nil || len(m.Sends) != 1 || len(m.Sends[0].History) != 2 || m.Sends[0].History[1].Status != connector.StatusAccepted {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := s.GetMessage(t.Context(), "another", id); !errors.Is(err, ErrNotFound) {
			t.Errorf("another app: %v", err)
		}
		// There is nothing to check, and a verification is no message.
		_, err1 := s.Check(t.Context(), CheckRequest{App: testApp, ID: id, Code: secret.New("8305117724")})
		_, err2 := s.resend(id)
		_, _, err3 := s.Cancel(t.Context(), testApp, id)
		_, _, err4 := s.Get(t.Context(), testApp, id)
		_, err5 := s.GetMessage(t.Context(), testApp, s.start().Verification.ID)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("call %d: %v", i+1, err)
			}
		}
		for name, payload := range map[string]map[string]any{
			"none": nil, "no code": {"x": "1"}, "no text": {"code": 123456.0}, "empty": {"code": ""}, "long": {"code": strings.Repeat("1", 65)},
			"too much": {"code": "1", "link": map[string]any{"url": []any{strings.Repeat("x", 4096)}}},
		} {
			var invalid *InvalidError
			_, err := s.SendMessage(t.Context(), MessageRequest{App: testApp, To: number(t, testNumber), Usage: "SignIn", ClientIP: testIP, Payload: payload})
			if !errors.As(err, &invalid) || invalid.Code != "payload_invalid" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if text := s.logs.String(); strings.Contains(text, "8305117724") || strings.Contains(text, testNumber) {
			t.Error("the log has the code or the number")
		}
	})
}

// What was sealed for one message opens in no other, and not without its key.
func TestSeal(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, serverKey("k1", 0), serverKey("k2", 9))
	a := &Verification{ID: "0123456789abcdefghijklmnop", KeyID: "k1", Salt: Salt{1}}
	sealed, err := keys.seal(a, map[string]any{"code": "123456"})
	if err != nil {
		t.Fatal(err)
	}
	a.Sealed = sealed
	if got, err := keys.unseal(a); err != nil || got["code"] != "123456" {
		t.Errorf("%v, %v", got, err)
	}
	for name, spoil := range map[string]func(v *Verification){
		"another id":   func(v *Verification) { v.ID = "1123456789abcdefghijklmnop" },
		"another salt": func(v *Verification) { v.Salt = Salt{2} },
		"another key":  func(v *Verification) { v.KeyID = "k2" },
		"a lost key":   func(v *Verification) { v.KeyID = "k3" },
		"a changed bit": func(v *Verification) {
			v.Sealed = slices.Clone(v.Sealed)
			v.Sealed[0] ^= 1
		},
		"nothing": func(v *Verification) { v.Sealed = nil },
	} {
		v := *a
		spoil(&v)
		if got, err := keys.unseal(&v); err == nil || got != nil || strings.Contains(err.Error(), "123456") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
