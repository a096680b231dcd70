package twiliosim

import (
	"fmt"
	"sync/atomic"
	"time"
)

// The statuses of a message that the simulator uses. `sending` is
// left out: Twilio's guide lists no callback for it.
const (
	statusAccepted    = "accepted"
	statusScheduled   = "scheduled"
	statusQueued      = "queued"
	statusSent        = "sent"
	statusDelivered   = "delivered"
	statusUndelivered = "undelivered"
	statusFailed      = "failed"
	statusCanceled    = "canceled"
	statusReceived    = "received" // of an inbound one, first and last
)

// Message is one text as the control API shows it.
type Message struct {
	SID                 string    `json:"sid"`
	To                  string    `json:"to"`
	From                string    `json:"from"` // empty until a service has picked a sender
	Body                string    `json:"body"`
	Direction           string    `json:"direction"` // outbound-api, or inbound for a reply
	Status              string    `json:"status"`
	ErrorCode           int       `json:"error_code,omitempty"`
	AccountSID          string    `json:"account_sid"`
	MessagingServiceSID string    `json:"messaging_service_sid,omitempty"`
	NumSegments         int       `json:"num_segments"` // the real number, from the start
	StatusCallback      string    `json:"status_callback,omitempty"`
	Feedback            string    `json:"feedback,omitempty"` // confirmed or unconfirmed
	Created             time.Time `json:"date_created"`
	Updated             time.Time `json:"date_updated"`
	// Statuses is the history, the initial status first.
	Statuses []StatusChange `json:"statuses"`
}

// StatusChange is one step in the life of a message.
type StatusChange struct {
	Status string    `json:"status"`
	Time   time.Time `json:"time"`
}

// fate is what will become of a message; a fault may have changed it.
type fate struct {
	final     string // delivered, undelivered, failed or sent
	code      int    // the error code of undelivered and failed
	callbacks string // normal, none, duplicate or reorder
}

// maxSteps is the longest life: accepted, queued, sent, delivered.
const maxSteps = 4

type step struct {
	status string
	at     int64 // unix nanoseconds
}

// message is a kept text. What stands above the line never changes after the
// create; the rest is guarded by box.mu, the callback queue by dispatcher.mu.
type message struct {
	sid, account, service, to string
	callback                  string
	inbound                   bool
	segments, media           int
	validity                  time.Duration
	wantsFeedback             bool
	sendAt                    time.Time // of a scheduled message
	fate                      fate
	created                   int64
	// ---
	from, body, status string
	errorCode          int
	feedback           string
	feedbackAt         int64
	entry              int64 // number of its ledger entry; -1 for none
	updated, sent      int64
	steps              [maxSteps]step
	nsteps             int
	links              [2]link // in the list of all, and in the list of its To
	gone               atomic.Bool

	target  *target // parsed callback, nil without one
	pending []call
	held    []call // callbacks kept back to be sent in the wrong order
	busy    bool
}

func (m *message) enter(status string, now time.Time) {
	m.status = status
	m.updated = now.UnixNano()
	if m.nsteps < maxSteps {
		m.steps[m.nsteps] = step{status, m.updated}
		m.nsteps++
	}
}

// public copies what the control API shows. The caller holds box.mu.
func (m *message) public() Message {
	p := Message{
		SID: m.sid, To: m.to, From: m.from, Body: m.body, Direction: m.direction(), Status: m.status, ErrorCode: m.errorCode,
		AccountSID: m.account, MessagingServiceSID: m.service, NumSegments: m.segments,
		StatusCallback: m.callback, Feedback: m.feedback,
		Created: unixTime(m.created), Updated: unixTime(m.updated),
		Statuses: make([]StatusChange, m.nsteps),
	}
	for i := range p.Statuses {
		p.Statuses[i] = StatusChange{m.steps[i].status, unixTime(m.steps[i].at)}
	}
	return p
}

func (m *message) direction() string {
	if m.inbound {
		return "inbound"
	}
	return "outbound-api"
}

func unixTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// messageJSON is the Message resource of the v2010 API: every field is always
// there, and those that hold nothing are null.
type messageJSON struct {
	SID                 string      `json:"sid"`
	DateCreated         string      `json:"date_created"`
	DateUpdated         string      `json:"date_updated"`
	DateSent            *string     `json:"date_sent"`
	AccountSID          string      `json:"account_sid"`
	To                  string      `json:"to"`
	From                *string     `json:"from"`
	MessagingServiceSID *string     `json:"messaging_service_sid"`
	Body                string      `json:"body"`
	Status              string      `json:"status"`
	NumSegments         string      `json:"num_segments"`
	NumMedia            string      `json:"num_media"`
	Direction           string      `json:"direction"`
	APIVersion          string      `json:"api_version"`
	Price               *string     `json:"price"`
	PriceUnit           string      `json:"price_unit"`
	ErrorCode           *int        `json:"error_code"`
	ErrorMessage        *string     `json:"error_message"`
	URI                 string      `json:"uri"`
	SubresourceURIs     messageURIs `json:"subresource_uris"`
}

type messageURIs struct {
	Media    string `json:"media"`
	Feedback string `json:"feedback,omitempty"`
}

// segmentPrice is what a text costs here, in US dollars for each segment.
const segmentPrice = 0.0075

// resource renders the message as Twilio does; the answer to a create, fresh,
// lists one subresource less. The caller holds box.mu.
func (m *message) resource(fresh bool) *messageJSON {
	uri := v2010 + m.account + "/Messages/" + m.sid
	j := &messageJSON{
		SID: m.sid, AccountSID: m.account, To: m.to, Body: m.body, Status: m.status,
		DateCreated: rfc2822(m.created), DateUpdated: rfc2822(m.updated),
		From: orNull(m.from), MessagingServiceSID: orNull(m.service),
		NumSegments: "0", NumMedia: itoa(m.media), Direction: m.direction(),
		APIVersion: apiVersion, PriceUnit: "USD", URI: uri + ".json",
		SubresourceURIs: messageURIs{Media: uri + "/Media.json"},
	}
	if !fresh {
		j.SubresourceURIs.Feedback = uri + "/Feedback.json"
	}
	// A service counts the segments once it has picked a sender.
	if m.status != statusAccepted && m.status != statusScheduled && m.status != statusCanceled {
		j.NumSegments = itoa(m.segments)
	}
	if m.sent != 0 {
		sent, price := rfc2822(m.sent), fmt.Sprintf("-%.5f", segmentPrice*float64(m.segments))
		j.DateSent, j.Price = &sent, &price
	}
	if m.errorCode != 0 {
		code := m.errorCode
		j.ErrorCode, j.ErrorMessage = &code, orNull(deliveryTexts[code])
	}
	return j
}
