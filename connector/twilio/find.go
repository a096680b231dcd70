package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

const (
	// pageSize is how many messages one answer lists. The one that is looked
	// for is seconds old, so the first page has it as a rule.
	pageSize = 20
	maxPages = 25
	// trialPrefix is what Twilio puts before every body of a trial account.
	trialPrefix = "Sent from your Twilio trial account - "
)

// Find lists the texts to m.To, newest first, and returns those with m's body
// that Twilio took at or after since, a time that is cut to the second as
// Twilio's times are. The body also counts with the prefix of a trial account,
// and as Smart Encoding rewrites it: a Messaging Service may do that without
// being asked, and how is not documented in full (see sameBody).
//
// It does not ask for a range of DateSent: a text that still waits has none.
// An empty result is complete: where Find cannot look back to since it fails.
func (c *Client) Find(ctx context.Context, m connector.Message, since time.Time) ([]connector.Found, error) {
	if e := check(&m); e != nil {
		return nil, e
	}
	since = since.Truncate(time.Second)
	body := canonical(m.Body.Reveal())
	query := "To=" + escape(m.To.E164()) + "&PageSize=" + strconv.Itoa(pageSize)
	var found []connector.Found
	seen := map[string]bool{}
	for range maxPages {
		page, e := c.list(ctx, query)
		if e != nil {
			return nil, e
		}
		older := false
		for _, l := range page.messages {
			switch {
			case l.created.Before(since):
				older = true
			// A page is cut anew for each request, so a text that was taken
			// between two of them moves another onto both.
			case l.To == m.To.E164() && !l.inbound() && sameBody(l.Body, body) && !seen[l.SID]:
				seen[l.SID] = true
				found = append(found, l.found())
			}
		}
		if older || page.next == "" {
			slices.SortStableFunc(found, func(a, b connector.Found) int { return b.Created.Compare(a.Created) })
			return found, nil
		}
		query = page.next
	}
	return nil, temporary(connector.OutcomeNotProcessed, errors.New("twilio: too many texts to this number since then to look through"))
}

// Fetch asks for one text.
func (c *Client) Fetch(ctx context.Context, providerID string) (connector.Found, error) {
	if !isMessageSID(providerID) {
		return connector.Found{}, unfit(kindSender, actPage, sayFault, "that is no message of Twilio's")
	}
	a, e := c.get(ctx, c.resource("Messages/"+providerID+".json", ""), maxAnswer)
	if e != nil {
		return connector.Found{}, e
	}
	var l listed
	if a.err != nil || json.Unmarshal(a.body, &l) != nil || !l.parse(c.account) || l.SID != providerID {
		return connector.Found{}, repeatable(unusable(a, errNotMessage))
	}
	return l.found(), nil
}

// get makes a call that has no effect.
func (c *Client) get(ctx context.Context, u url.URL, limit int) (answer, *connector.Error) {
	a, e := c.exchange(ctx, &call{url: u, limit: limit})
	if e == nil && (a.status < 200 || a.status > 299) {
		e = repeatable(c.refusal(a))
	}
	return a, e
}

// sameBody compares a body as Twilio holds it with one in canonical form.
func sameBody(stored, body string) bool {
	return canonical(stored) == body || canonical(strings.TrimPrefix(stored, trialPrefix)) == body
}

// canonical is a body with everything replaced that Smart Encoding may replace,
// and with each white space as one blank: sources differ on how many an
// unbreakable one becomes. What is left of a code's text tells it from any
// other.
func canonical(body string) string {
	return strings.Join(strings.Fields(sms.SmartEncode(body)), " ")
}

// listed is what is read of a message in a list.
type listed struct {
	message
	To        string `json:"to"`
	Body      string `json:"body"`
	Direction string `json:"direction"`
	Created   string `json:"date_created"`

	created time.Time
}

// parse checks the message and reads its date, which is RFC 2822's.
func (l *listed) parse(account string) bool {
	var err error
	l.created, err = time.Parse(time.RFC1123Z, l.Created)
	return err == nil && isMessageSID(l.SID) && l.AccountSID == account
}

// inbound is for a text to one of our own numbers, which the other side of the
// account lists once more as received.
func (l *listed) inbound() bool { return l.Direction == "inbound" }

// found takes a status that we do not know as accepted: that the text is there
// is the news.
func (l *listed) found() connector.Found {
	status, ok := statusOf(l.Status)
	if !ok {
		status = connector.StatusAccepted
	}
	f := connector.Found{ProviderID: l.SID, Status: status, Created: l.created.UTC()}
	if failed(status) {
		f.Err = failure(l.Status, l.code())
	}
	return f
}

// listPage is one answer to a list. next is the query of the page that
// follows, or "".
type listPage struct {
	messages []listed
	next     string
}

func (c *Client) list(ctx context.Context, query string) (listPage, *connector.Error) {
	a, e := c.get(ctx, c.resource("Messages.json", query), maxList)
	if e != nil {
		return listPage{}, e
	}
	p, ok := c.parseList(a)
	if !ok {
		return listPage{}, repeatable(unusable(a, errNotList))
	}
	return p, nil
}

func (c *Client) parseList(a answer) (listPage, bool) {
	var body struct {
		Messages *[]listed `json:"messages"`
		Next     string    `json:"next_page_uri"`
	}
	if a.err != nil || json.Unmarshal(a.body, &body) != nil || body.Messages == nil {
		return listPage{}, false
	}
	for i := range *body.Messages {
		if l := &(*body.Messages)[i]; !l.parse(c.account) {
			return listPage{}, false
		}
	}
	next, ok := c.nextQuery(body.Next)
	return listPage{messages: *body.Messages, next: next}, ok
}

// nextQuery takes the query out of a list's link to its next page, and nothing
// else: the credentials go where the config says. ok is false when the link
// leads elsewhere.
func (c *Client) nextQuery(link string) (query string, ok bool) {
	if link == "" {
		return "", true
	}
	u, err := url.Parse(link)
	if err != nil || u.Path != c.messages.Path || u.User != nil || u.RawQuery == "" || strings.ContainsAny(u.RawQuery, " \t\r\n") {
		return "", false
	}
	elsewhere := u.Host != "" && (u.Host != c.base.Host || u.Scheme != c.base.Scheme)
	return u.RawQuery, !elsewhere
}
