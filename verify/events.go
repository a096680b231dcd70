package verify

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// EventType says what an event tells.
type EventType string

// The events. The first two are of a verification, the next two of one text, of
// a verification or of a message.
const (
	EventApproved    EventType = "verification.approved"
	EventExhausted   EventType = "verification.exhausted"
	EventDelivered   EventType = "message.delivered"
	EventUndelivered EventType = "message.undelivered"
	EventLimit       EventType = "limit.reached"
)

// EventTypes returns all of them.
func EventTypes() []EventType {
	return []EventType{EventApproved, EventExhausted, EventDelivered, EventUndelivered, EventLimit}
}

// Event is a row of the outbox: what an app is to be told. It is saved in the
// transaction of what it tells, and deleted when it was delivered or given up. It
// names no phone number, no code and no text.
type Event struct {
	// Seq is the store's: it rises with the order in which the events of one key
	// were committed.
	Seq int64
	// ID follows from what happened, so that the same thing, told twice, has the
	// same id. It has no dot, as Standard Webhooks asks for.
	ID   string
	App  string
	Type EventType
	// Key is what the event is about. Of one key's events only the oldest is ever
	// claimed.
	Key       string
	CreatedAt time.Time
	Payload   []byte // the JSON that is sent

	Tries int // how often it was claimed
	Epoch int // of the claim
}

// EventResult ends a claim. Only Seq, Key and Epoch of the event count.
type EventResult struct {
	Event
	// Done deletes the event; the next one of its key is then due. Otherwise it is
	// due again after a time, and Tries is written.
	Done  bool
	After time.Duration
	Tries int
}

// EventWait is the longest that an event is ever put off. One that is due later
// than that was put off by a clock that was wrong, and is due now.
const EventWait = 30 * time.Hour

// Outbox is the other side of a store: it hands events to whoever delivers them.
// Any number may do so on one store.
type Outbox interface {
	// ClaimEvents takes on at most limit events of an app that are due, those that
	// have been for longest, and none whose key has an older one. A claim lasts for
	// lease: then the event is due again. It returns them in any order.
	ClaimEvents(ctx context.Context, app string, limit int, lease time.Duration) ([]Event, error)
	// SettleEvent ends a claim. It reports false, and changes nothing, when the
	// event is gone or was claimed again.
	SettleEvent(ctx context.Context, r EventResult) (bool, error)
	// OldestEvents returns the oldest events, of all apps, claimed or not, without
	// their payloads.
	OldestEvents(ctx context.Context, limit int) ([]Event, error)
}

// EventHooks are told of events beside the store. Each may be nil, must be quick
// and is called by many goroutines.
type EventHooks struct {
	// Added is told that an app has an event that may be due.
	Added func(app string)
	// Dropped is told of a limit.reached that was not written down: too many came
	// at once. No other event is ever dropped.
	Dropped func(app string)
}

// outbox adds events to what a service's operations decide. It looks at what an
// operation has changed, so that none can forget to tell.
type outbox struct {
	Store
	wanted map[string]map[EventType]bool // by app
	hooks  EventHooks
	limits limitEvents
}

var _ Store = (*outbox)(nil)

// newOutbox returns nil where no app wants events.
func newOutbox(store Store, keys *Keyring, apps map[string]AppPolicy, hooks EventHooks) *outbox {
	o := &outbox{Store: store, wanted: map[string]map[EventType]bool{}, hooks: hooks}
	for name, app := range apps {
		for _, t := range app.Events {
			if o.wanted[name] == nil {
				o.wanted[name] = map[EventType]bool{}
			}
			o.wanted[name][t] = true
		}
	}
	if len(o.wanted) == 0 {
		return nil
	}
	if o.hooks.Added == nil {
		o.hooks.Added = func(string) {}
	}
	if o.hooks.Dropped == nil {
		o.hooks.Dropped = func(string) {}
	}
	o.limits = newLimitEvents(o, keys)
	return o
}

// Do implements Store.
func (o *outbox) Do(ctx context.Context, op Op) (any, error) {
	var about subjectOfEvent // of the last run, which is the one that counts
	decide := op.Decide
	op.Decide = func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		was := o.before(v)
		about = subjectOfEvent{app: op.App}
		about.of(v)
		d, err := decide(now, sub, v)
		if err != nil || d.Verification == nil {
			return d, err
		}
		about.of(d.Verification)
		events := o.events(was, d.Verification, now)
		about.told = len(events) > 0
		d.Events = append(d.Events, events...)
		return d, nil
	}
	result, err := o.Store.Do(ctx, op)
	if err == nil && about.told {
		o.hooks.Added(about.app)
	}
	o.limits.hit(about, err)
	return result, err
}

// subjectOfEvent is what an operation was about.
type subjectOfEvent struct {
	app, country string
	told         bool
}

func (s *subjectOfEvent) of(v *Verification) {
	if v != nil {
		s.app, s.country = v.App, countryOf(v.To)
	}
}

// before is a verification as an operation was handed it.
type before struct {
	id     string
	status Status
	sends  []connector.Status
}

func (o *outbox) before(v *Verification) (b before) {
	if v == nil || o.wanted[v.App] == nil {
		return b
	}
	b = before{id: v.ID, status: v.Status, sends: make([]connector.Status, len(v.Sends))}
	for i := range v.Sends {
		b.sends[i] = v.Sends[i].Status
	}
	return b
}

// events are those that follow from what has changed.
func (o *outbox) events(was before, v *Verification, now time.Time) (all []Event) {
	wanted := o.wanted[v.App]
	if wanted == nil {
		return nil
	}
	if was.id != v.ID {
		was = before{status: StatusPending}
	}
	// The texts first: what became of them was so before it was written down.
	for i := range v.Sends {
		var old connector.Status
		if i < len(was.sends) {
			old = was.sends[i]
		}
		send := &v.Sends[i]
		t, ok := told(old, send.Status)
		if t == EventUndelivered && len(v.Sends) > len(was.sends) {
			ok = false // another text takes its place
		}
		if ok && wanted[t] {
			all = append(all, eventOfSend(t, v, send, now))
		}
	}
	if v.Status == was.status {
		return all
	}
	for status, t := range map[Status]EventType{StatusApproved: EventApproved, StatusExhausted: EventExhausted} {
		if v.Status == status && wanted[t] {
			all = append(all, eventOf(t, v, now))
		}
	}
	return all
}

// told is the event of a text that comes from one status to another. That a text
// does not arrive is told once, whoever says it again.
func told(old, next connector.Status) (EventType, bool) {
	lost := func(s connector.Status) bool { return s.Final() && s != connector.StatusDelivered }
	switch {
	case next == connector.StatusDelivered:
		return EventDelivered, old != next
	case lost(next):
		return EventUndelivered, !lost(old)
	}
	return "", false
}

// eventBody is what is sent. docs/webhooks.md shows one of each.
type eventBody struct {
	Type      EventType `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// verificationData says as little as an app needs: it knows the number by the id.
type verificationData struct {
	ID        string            `json:"id"`
	UsageType string            `json:"usage_type"`
	Status    Status            `json:"status"`
	Test      bool              `json:"test,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	EndedAt   time.Time         `json:"ended_at"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

type messageData struct {
	VerificationID string            `json:"verification_id,omitempty"`
	MessageID      string            `json:"message_id,omitempty"`
	SendID         string            `json:"send_id"`
	UsageType      string            `json:"usage_type"`
	Channel        Channel           `json:"channel"`
	Connector      string            `json:"connector"`
	Status         connector.Status  `json:"status"`
	Error          *messageFault     `json:"error,omitempty"`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

type messageFault struct {
	Kind         connector.Kind   `json:"kind"`
	ProviderCode string           `json:"provider_code,omitempty"`
	AdviceKey    connector.Advice `json:"advice_key"`
}

func eventOf(t EventType, v *Verification, now time.Time) Event {
	return newEvent(t, v.App, v.ID, "msg_"+v.ID+"_"+string(v.Status), now, verificationData{
		ID: v.ID, UsageType: string(v.Usage), Status: v.Status, Test: v.Test,
		CreatedAt: plain(v.CreatedAt), EndedAt: plain(v.EndedAt), Metadata: v.Metadata,
	})
}

func eventOfSend(t EventType, v *Verification, send *Send, now time.Time) Event {
	data := messageData{
		VerificationID: v.ID, SendID: send.ID, UsageType: string(v.Usage), Channel: send.Channel, Connector: send.Connector,
		Status: send.Status, CreatedAt: plain(send.CreatedAt), UpdatedAt: plain(send.UpdatedAt), Metadata: v.Metadata,
	}
	if v.Supplied {
		data.VerificationID, data.MessageID = "", v.ID
	}
	if f := send.Error; f != nil && t == EventUndelivered {
		data.Error = &messageFault{f.Kind, f.ProviderCode, f.Advice}
	}
	_, what, _ := strings.Cut(string(t), ".")
	return newEvent(t, v.App, v.ID, "msg_"+strings.ReplaceAll(send.ID, ".", "_")+"_"+what, now, data)
}

func newEvent(t EventType, app, key, id string, now time.Time, data any) Event {
	// Strings, times and a map of strings: nothing that could not be written.
	payload, _ := json.Marshal(eventBody{t, plain(now), data})
	return Event{ID: id, App: app, Type: t, Key: key, Payload: payload}
}
