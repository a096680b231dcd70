package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sixdigit/sixdigit/internal/callback"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	// publicURL is where Twilio is told to call back. Nobody listens there, and
	// the simulator's texts stay where they are: the load calls instead, signing
	// for this URL.
	publicURL = "http://127.0.0.1:9"
	// connectorName is what a config's single connector is called.
	connectorName = "twilio"
)

// notice is a status callback, signed.
type notice struct {
	path, signature string
	body            []byte
}

// letter is the notice on its way to a service or a floor.
func (n notice) letter(base string, want int) letter {
	return letter{method: http.MethodPost, url: base + n.path, kind: formType, signature: n.signature, body: n.body, want: want}
}

// noticeOf is what Twilio posts when a send has come to a status.
func noticeOf(sendID, sid, to, status string) notice {
	at := callback.URL(publicURL, connectorName, sendID)
	params := [][2]string{
		{"SmsSid", sid}, {"SmsStatus", status}, {"MessageStatus", status}, {"To", to}, {"MessageSid", sid},
		{"AccountSid", simAccount}, {"From", "+12025550100"}, {"ApiVersion", "2010-04-01"}, {"MessagingServiceSid", simService},
	}
	form := url.Values{}
	for _, p := range params {
		form.Set(p[0], p[1])
	}
	return notice{strings.TrimPrefix(at, publicURL), twiliosim.Sign(simToken, at, params), []byte(form.Encode())}
}

// tellings is how often Twilio tells of a send.
const tellings = 2

// statuses are those that a send goes through, each further than the one before:
// each is a change, made durable.
func statuses() [tellings]string { return [tellings]string{"sent", "delivered"} }

// news is what is to be told of one send.
type news struct {
	id      string // of the verification
	notices [tellings]notice
	told    int
	done    string // the last one of which all was told
}

// newsroom has the sends that callers take and tell of.
type newsroom struct {
	pending chan news
	held    []news // by caller
	// perSecond is what the last turn came to: the next one needs about as many.
	perSecond float64
}

// callbackSide calls the first n replicas back about texts that they sent just
// before the turn.
func (s *site) callbackSide(n, callers int, p plan) *side {
	room := &newsroom{held: make([]news, callers), perSecond: 15_000}
	if callers == 1 {
		room.perSecond = 4_000
	}
	one := s.side(n)
	one.before = func(ctx context.Context) error {
		const spare = 1.3
		want := int(p.slice.Seconds()*room.perSecond*spare)/tellings + 2*callers
		return s.prepareNews(ctx, room, want)
	}
	one.call = func(ctx context.Context, caller int) error { return s.callBack(ctx, n, room, &room.held[caller]) }
	one.after = func(ctx context.Context, result sample) error {
		room.perSecond = result.PerSecond
		return s.confirmNews(ctx, n, room)
	}
	return one
}

// prepareNews starts verifications and signs what is to be told of their texts: it
// is no work of the turn's.
func (s *site) prepareNews(ctx context.Context, room *newsroom, want int) error {
	room.pending = make(chan news, want)
	clear(room.held)
	err := s.startMany(ctx, want, func(v started) error {
		if len(v.Sends) != 1 || v.Sends[0].ProviderID == "" {
			return fmt.Errorf("a start was answered with %d sends, or one that Twilio did not take", len(v.Sends))
		}
		one := news{id: v.ID}
		for i, status := range statuses() {
			one.notices[i] = noticeOf(v.Sends[0].ID, v.Sends[0].ProviderID, v.To, status)
		}
		room.pending <- one
		return nil
	})
	close(room.pending)
	return err
}

// callBack tells the next of a send.
func (s *site) callBack(ctx context.Context, n int, room *newsroom, h *news) error {
	if h.id == "" {
		next, ok := <-room.pending
		if !ok {
			return errDry
		}
		next.done = h.done
		*h = next
	}
	err := s.world.send(ctx, h.notices[h.told].letter(s.url(n), http.StatusNoContent), nil)
	if h.told++; h.told == len(h.notices) {
		h.done, h.id = h.id, ""
	}
	return err
}

// confirmNews fails where callbacks were answered and nothing is known of them.
func (s *site) confirmNews(ctx context.Context, n int, room *newsroom) error {
	for _, h := range room.held {
		if h.done == "" {
			continue
		}
		var v started
		if err := s.read(ctx, n, h.done, &v); err != nil {
			return err
		}
		if last := statuses()[tellings-1]; len(v.Sends) != 1 || v.Sends[0].Status != last {
			return fmt.Errorf("a text that was told to be %s is %+v", last, v.Sends)
		}
	}
	return nil
}

// callbackFloor posts the same to the handler that answers at once.
func (w *world) callbackFloor() *side {
	one := w.floor(w.empty)
	l := noticeOf(strings.Repeat("0", 26)+".1", "SM"+strings.Repeat("0", 32), "+14155550134", statuses()[0]).letter(w.empty.url, http.StatusOK)
	one.call = func(ctx context.Context, _ int) error { return w.send(ctx, l, nil) }
	return one
}
