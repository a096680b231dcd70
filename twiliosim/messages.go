package twiliosim

import (
	"net/http"
	"strings"
	"time"
)

// find returns a kept message of the caller's account. The caller holds box.mu.
func (x *exchange) find() *message { return x.s.box.bySID[x.path[1]] }

// getMessage answers GET Messages/{sid}.json.
func (s *Server) getMessage(x *exchange) (int, any, *apiError) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	m := x.find()
	if m == nil {
		return 0, nil, x.missing()
	}
	return http.StatusOK, m.resource(false), nil
}

// updateMessage answers POST Messages/{sid}.json: an empty Body redacts the
// text, Status=canceled cancels a message that is still scheduled.
func (s *Server) updateMessage(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	m := x.find()
	now := time.Now()
	switch {
	case m == nil:
		return 0, nil, x.missing()
	case p.has("Body") && p.get("Body") != "":
		return 0, nil, refuse(20422, "Body")
	case p.has("Status") && p.get("Status") != statusCanceled:
		return 0, nil, refuse(20422, "Status")
	case !p.has("Body") && !p.has("Status"):
		return 0, nil, refuse(20422, "Body")
	case p.has("Status") && m.status != statusScheduled:
		return 0, nil, refuse(30409)
	}
	if p.has("Body") {
		m.body = ""
		m.updated = now.UnixNano()
		s.hub.publishMessage(m)
	}
	if p.has("Status") {
		m.enter(statusCanceled, now)
		s.announce(m, now, true)
	}
	return http.StatusOK, m.resource(false), nil
}

// deleteMessage answers DELETE Messages/{sid}.json. The message is forgotten
// here, and it moves no further.
func (s *Server) deleteMessage(x *exchange) (int, any, *apiError) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	m := x.find()
	if m == nil {
		return 0, nil, x.missing()
	}
	s.box.remove(m)
	s.hub.publish(event{kind: "reset"})
	return http.StatusNoContent, nil, nil
}

// listMedia answers GET Messages/{sid}/Media.json; the simulator keeps no media.
func (s *Server) listMedia(x *exchange) (int, any, *apiError) {
	s.box.mu.Lock()
	m := x.find()
	s.box.mu.Unlock()
	if m == nil {
		return 0, nil, x.missing()
	}
	return listOf[any](x, "media_list", nil)
}

// feedbackJSON is the Feedback resource of a message.
type feedbackJSON struct {
	AccountSID  string `json:"account_sid"`
	MessageSID  string `json:"message_sid"`
	Outcome     string `json:"outcome"`
	DateCreated string `json:"date_created"`
	DateUpdated string `json:"date_updated"`
	URI         string `json:"uri"`
}

// createFeedback answers POST Messages/{sid}/Feedback.json, with 200 as the
// API's description says. A message that was sent without ProvideFeedback has
// no such subresource.
func (s *Server) createFeedback(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e == nil {
		e = p.among("Outcome", "confirmed", "unconfirmed")
	}
	if e != nil {
		return 0, nil, e
	}
	outcome := p.get("Outcome")
	orDefault(&outcome, "confirmed")
	now := time.Now().UnixNano()

	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	m := x.find()
	if m == nil || !m.wantsFeedback {
		return 0, nil, x.missing()
	}
	m.feedback = outcome
	orDefault(&m.feedbackAt, now)
	s.hub.publishMessage(m)
	return http.StatusOK, feedbackJSON{
		AccountSID: x.who.acct.sid, MessageSID: m.sid, Outcome: outcome,
		DateCreated: rfc2822(m.feedbackAt), DateUpdated: rfc2822(now), URI: x.r.URL.Path,
	}, nil
}

// filter is what a list of messages is narrowed to. The range of dates includes
// its beginning and excludes its end; a zero time leaves that side open.
type filter struct {
	to, from             string
	sentFrom, sentBefore time.Time
	createdBefore        time.Time // list_lag_ms: younger messages are not shown
}

// lags reports whether the message is still too young for a list.
func (f *filter) lags(m *message) bool {
	return !f.createdBefore.IsZero() && unixTime(m.created).After(f.createdBefore)
}

// passes leaves lags out of account.
func (f *filter) passes(m *message) bool {
	if f.from != "" && m.from != f.from {
		return false
	}
	if f.sentFrom.IsZero() && f.sentBefore.IsZero() {
		return true
	}
	// A message that was not sent yet has no sent date and matches none.
	sent := unixTime(m.sent)
	return m.sent != 0 && !sent.Before(f.sentFrom) && (f.sentBefore.IsZero() || sent.Before(f.sentBefore))
}

// parseFilter reads To, From, DateSent, DateSent< and DateSent>. A plain date
// means that whole day in UTC, and the inequalities include it; a time, as the
// SDKs send one, means that second. DateSent alone always means a day.
func parseFilter(q params, now time.Time, lag time.Duration) (*filter, *apiError) {
	f := &filter{to: q.get("To"), from: q.get("From")}
	if lag > 0 {
		f.createdBefore = now.Add(-lag)
	}
	for _, name := range []string{"DateSent", "DateSent<", "DateSent>"} {
		raw := q.get(name)
		if raw == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, raw)
		width := 24 * time.Hour
		if err != nil {
			if at, err = time.Parse(time.RFC3339, raw); err != nil {
				return nil, refuse(20422, "DateSent")
			}
			width = time.Second
			if name == "DateSent" {
				at, width = at.UTC().Truncate(24*time.Hour), 24*time.Hour
			}
		}
		if end := at.Add(width); name != "DateSent>" && (f.sentBefore.IsZero() || end.Before(f.sentBefore)) {
			f.sentBefore = end
		}
		if name != "DateSent<" && at.After(f.sentFrom) {
			f.sentFrom = at
		}
	}
	return f, nil
}

// listMessages answers GET Messages.json, newest first. A page token names the
// last message of the page before it, so that messages which arrive meanwhile
// move nothing from one page to the next.
func (s *Server) listMessages(x *exchange) (int, any, *apiError) {
	q := x.query()
	pg, e := parsePage(q)
	if e != nil {
		return 0, nil, e
	}
	now := time.Now()
	f, e := parseFilter(q, now, s.faults.listLag())
	if e != nil {
		return 0, nil, e
	}
	items, pg := s.box.page(f, pg, now)
	return http.StatusOK, x.page("messages", items, pg), nil
}

// page collects one page of messages. It notes which ones it leaves out that
// the page would show, were it not for list_lag_ms.
func (b *box) page(f *filter, pg pageOf, now time.Time) ([]any, pageOf) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists++
	items := []any{}
	unlagged := 0 // messages so far that an unlagged list would have
	var last string
	skip := pg.number * pg.size
	first := skip // of the page, in an unlagged list
	after := b.bySID[strings.TrimPrefix(pg.token, "PA")]
	if after != nil && f.to != "" && after.to != f.to {
		after = nil // a token of another list
	}
	if after != nil {
		skip, first = 0, 0
	}
	b.eachAfter(after, f.to, func(m *message) bool {
		if !f.passes(m) {
			return true
		}
		place := unlagged
		unlagged++
		switch {
		case f.lags(m):
			if f.to != "" && place >= first && place < first+pg.size {
				b.hide(m, now)
			}
			return true
		case skip > 0:
			skip--
			return true
		case len(items) == pg.size:
			pg.next = "PA" + last
			return false
		}
		items = append(items, m.resource(false))
		last = m.sid
		return true
	})
	return items, pg
}

// eachAfter is each, beginning behind the message after unless that is nil.
func (b *box) eachAfter(after *message, to string, f func(*message) bool) {
	if after == nil {
		b.each(to, f)
		return
	}
	list := inAll
	if to != "" {
		list = inTo
	}
	for m := after.links[list].older; m != nil && f(m); m = m.links[list].older {
	}
}
