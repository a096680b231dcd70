package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// listener is told of events.
type listener struct {
	mu             sync.Mutex
	added, dropped int
}

func (l *listener) hooks() EventHooks {
	count := func(n *int) func(string) {
		return func(app string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if app == testApp {
				*n++
			}
		}
	}
	return EventHooks{Added: count(&l.added), Dropped: count(&l.dropped)}
}

func (l *listener) heard() (added, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.added, l.dropped
}

// telling is a bench whose app wants events; without types all of them.
func telling(l *listener, types ...EventType) func(*Options) {
	if len(types) == 0 {
		types = EventTypes()
	}
	return func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{testApp: {Events: types}}
		o.Events = l.hooks()
	}
}

// ids are those of the events so far, as the store has them.
func (m *memStore) ids() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		ids = append(ids, e.ID)
	}
	return ids
}

func (b *bench) told(want ...string) {
	b.t.Helper()
	if got := b.store.ids(); !slices.Equal(got, want) {
		b.t.Errorf("the events are %q, want %q", got, want)
	}
}

// says tells what the provider says of a send.
func (b *bench) says(send *Send, status connector.Status) {
	b.t.Helper()
	u := connector.StatusUpdate{ProviderID: send.ProviderID, Status: status}
	if status.Final() && status != connector.StatusDelivered {
		u.Err = &connector.Error{Kind: connector.KindUnreachable, ProviderCode: "30003", Outcome: connector.OutcomeRefused, Advice: connector.AdviceCheckNumber}
	}
	if err := b.RecordDelivery(b.t.Context(), send.Connector, send.ID, u); err != nil {
		b.t.Fatal(err)
	}
}

func TestEventsOfAVerification(t *testing.T) {
	t.Parallel()
	l := &listener{}
	b := newBench(t, telling(l))
	st := b.start()
	id := st.Verification.ID
	b.told()
	b.says(&st.Verification.Sends[0], connector.StatusSent)
	b.told()
	b.says(&st.Verification.Sends[0], connector.StatusDelivered)
	b.says(&st.Verification.Sends[0], connector.StatusDelivered)
	b.check(id, wrong(b.sender.lastCode()))
	b.check(id, b.sender.lastCode())
	b.check(id, b.sender.lastCode())
	want := []string{"msg_" + id + "_1_delivered", "msg_" + id + "_approved"}
	b.told(want...)

	other := b.start(func(r *StartRequest) { r.To = number(t, "+14155552672") })
	for range 6 {
		b.check(other.Verification.ID, wrong(b.sender.lastCode()))
	}
	want = append(want, "msg_"+other.Verification.ID+"_exhausted")
	b.told(want...)
	if added, _ := l.heard(); added != 3 {
		t.Errorf("the deliverer was told %d times", added)
	}
	for _, e := range b.store.events {
		if e.App != testApp || e.CreatedAt != b.clock.now() || e.Key != id && e.Key != other.Verification.ID || strings.Contains(e.ID, ".") {
			t.Errorf("%+v", e)
		}
	}
}

// TestEventsThatNobodyWants: an app without a webhook, and one that wants others.
func TestEventsThatNobodyWants(t *testing.T) {
	t.Parallel()
	l := &listener{}
	for _, edit := range []func(*Options){telling(l, EventUndelivered), func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{"bank": {Events: EventTypes()}}
		o.Events = l.hooks()
	}, func(*Options) {}} {
		b := newBench(t, edit)
		st := b.start()
		b.says(&st.Verification.Sends[0], connector.StatusDelivered)
		b.check(st.Verification.ID, b.sender.lastCode())
		b.told()
	}
	if added, _ := l.heard(); added != 0 {
		t.Errorf("the deliverer was told %d times", added)
	}
}

func TestEventsOfTexts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says []connector.Status
		want []string
	}{
		"undelivered":                {[]connector.Status{connector.StatusUndelivered, connector.StatusUndelivered}, []string{"undelivered"}},
		"failed":                     {[]connector.Status{connector.StatusSent, connector.StatusFailed}, []string{"undelivered"}},
		"a final word stays":         {[]connector.Status{connector.StatusFailed, connector.StatusUndelivered}, []string{"undelivered"}},
		"delivered after all":        {[]connector.Status{connector.StatusUndelivered, connector.StatusDelivered, connector.StatusFailed}, []string{"undelivered", "delivered"}},
		"late and twice":             {[]connector.Status{connector.StatusDelivered, connector.StatusSent, connector.StatusDelivered}, []string{"delivered"}},
		"nothing to tell of as yet":  {[]connector.Status{connector.StatusAccepted, connector.StatusSent}, nil},
		"words that nobody knows of": {[]connector.Status{"read"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, telling(&listener{}))
			st := b.start()
			for _, s := range c.says {
				b.says(&st.Verification.Sends[0], s)
			}
			var want []string
			for _, w := range c.want {
				want = append(want, "msg_"+st.Verification.ID+"_1_"+w)
			}
			b.told(want...)
		})
	}
}

// A text that another one replaces is no loss: the person waits for the other.
func TestEventsOfReplacedTexts(t *testing.T) {
	t.Parallel()
	spare := &fakeSender{}
	b := newBench(t, telling(&listener{}), func(o *Options) {
		o.Connectors = append(o.Connectors, Connector{Name: "spare", Sender: spare, Templates: o.Connectors[0].Templates})
	})
	b.sender.fail(connector.OutcomeRefused, connector.KindAuth)
	st := b.start()
	if n := len(b.get(st.Verification.ID).Sends); n != 2 {
		t.Fatalf("%d sends", n)
	}
	b.told()
	spare.fail(connector.OutcomeRefused, connector.KindInvalidRecipient)
	_, err := b.Start(t.Context(), request(t))
	if err == nil {
		t.Fatal("it was not refused")
	}
	if got := b.store.ids(); len(got) != 1 || !strings.HasSuffix(got[0], "_2_undelivered") {
		t.Errorf("the events are %q", got)
	}
}

// TestEventsAreTold holds the events to the states, whatever happens in whatever
// order: each that there is was told once.
func TestEventsAreTold(t *testing.T) {
	t.Parallel()
	statuses := []connector.Status{connector.StatusAccepted, connector.StatusSent, connector.StatusDelivered, connector.StatusUndelivered, connector.StatusFailed}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a test's
		b := newBench(t, telling(&listener{}))
		var ids []string
		for n := range 3 {
			ids = append(ids, b.start(func(r *StartRequest) { r.To = number(t, fmt.Sprintf("+1415555267%d", n)) }).Verification.ID)
		}
		for range 40 {
			id := ids[r.IntN(len(ids))]
			v := b.get(id)
			switch r.IntN(5) {
			case 0:
				b.check(id, wrong(b.sender.lastCode()))
			case 1:
				b.clock.advance(20 * time.Second)
				_, _ = b.resend(id)
			case 2:
				if code, err := b.keys.code(v); err == nil && r.IntN(4) == 0 {
					b.check(id, code.Reveal())
				}
			default:
				b.says(&v.Sends[r.IntN(len(v.Sends))], statuses[r.IntN(len(statuses))])
			}
		}
		got := map[string]int{}
		for _, id := range b.store.ids() {
			got[id]++
		}
		for _, id := range ids {
			v := b.get(id)
			want := map[string]bool{"msg_" + id + "_approved": v.Status == StatusApproved, "msg_" + id + "_exhausted": v.Status == StatusExhausted}
			for i := range v.Sends {
				s := &v.Sends[i]
				name := "msg_" + strings.ReplaceAll(s.ID, ".", "_")
				want[name+"_delivered"] = s.Status == connector.StatusDelivered
				if s.Status != connector.StatusDelivered { // else it may have been told before
					want[name+"_undelivered"] = s.Status.Final()
				}
			}
			for name, is := range want {
				if n := got[name]; n > 1 || (n == 1) != is {
					t.Errorf("seed %d: %s was told %d times; it is so: %t", seed, name, n, is)
				}
			}
		}
	}
}

// TestEventPayloads holds docs/webhooks.md to what is sent.
func TestEventPayloads(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	v := &Verification{
		ID: "0kq3n5v8r1t6b2m7p4s9d0f2ga", App: testApp, To: number(t, testNumber), Usage: sms.UsageSignIn, Status: StatusApproved,
		CreatedAt: at, EndedAt: at.Add(21 * time.Second), Metadata: map[string]string{"user": "u-829"},
		Sends: []Send{{ID: "0kq3n5v8r1t6b2m7p4s9d0f2ga.1", Channel: ChannelSMS, Connector: "twilio", Status: connector.StatusDelivered, CreatedAt: at, UpdatedAt: at.Add(4 * time.Second)}},
	}
	used := *v
	used.Status = StatusExhausted
	message := *v
	message.Supplied = true
	lost := v.Sends[0]
	lost.Status = connector.StatusUndelivered
	lost.Error = &SendFault{Kind: connector.KindUnreachable, ProviderCode: "30003", Advice: connector.AdviceCheckNumber}
	events := map[EventType]Event{
		EventApproved:    eventOf(EventApproved, v, v.EndedAt),
		EventExhausted:   eventOf(EventExhausted, &used, v.EndedAt),
		EventDelivered:   eventOfSend(EventDelivered, v, &v.Sends[0], at.Add(4*time.Second)),
		EventUndelivered: eventOfSend(EventUndelivered, &message, &lost, at.Add(4*time.Second)),
		EventLimit:       newEvent(EventLimit, testApp, "", "", at, limitData{"app_number", "US", at.Add(2 * time.Minute)}),
	}
	text, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[EventType]any{}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1) {
		var body struct{ Type EventType }
		var all any
		if err := json.Unmarshal(block[1], &body); err != nil {
			t.Fatalf("%v: %s", err, block[1])
		}
		_ = json.Unmarshal(block[1], &all)
		shown[body.Type] = all
	}
	for _, want := range EventTypes() {
		var sent any
		if err := json.Unmarshal(events[want].Payload, &sent); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, shown[want]); diff != "" {
			t.Errorf("%s (-sent +docs):\n%s", want, diff)
		}
		if bytes.Contains(events[want].Payload, []byte(strings.TrimPrefix(testNumber, "+1"))) {
			t.Errorf("%s names the number", want)
		}
	}
}

// limited is a bench whose app wants events and has limits.
func limited(l *listener, limits Limits) func(*Options) {
	tell := telling(l)
	return func(o *Options) {
		tell(o)
		o.Policy.Limits = limits
	}
}

// written runs what Run runs beside all else, until the queue is empty.
func (b *bench) written() {
	b.t.Helper()
	for len(b.events.limits.queue) > 0 {
		if err := b.events.limits.write(b.t.Context(), <-b.events.limits.queue); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) limitEvents(want ...string) {
	b.t.Helper()
	b.written()
	var got []string
	for _, e := range b.store.events {
		var body struct{ Data limitData }
		if e.Type != EventLimit {
			continue
		}
		if err := json.Unmarshal(e.Payload, &body); err != nil {
			b.t.Fatal(err)
		}
		got = append(got, body.Data.Limit+" "+body.Data.Country)
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("the limits told of are %q, want %q", got, want)
	}
}

func TestLimitEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t, limited(&listener{}, Limits{
		AppNumber:      Limit{Name: "app_number", Burst: 1, Every: 10 * time.Minute},
		AppIPDaily:     Limit{Name: "app_ip_daily", Burst: 3},
		AppNumberDaily: Limit{Name: "app_number_daily", Burst: 100},
	}))
	refused := func(to string) {
		t.Helper()
		r := request(t)
		r.To = number(t, to)
		if _, err := b.Start(t.Context(), r); err == nil {
			t.Fatal("it was not refused")
		}
	}
	b.start()
	for range 5 {
		refused(testNumber)
	}
	b.limitEvents("app_number US")
	// Another place is told of; so is this one again, an hour later.
	b.start(func(r *StartRequest) { r.To = number(t, "+14155552672") })
	refused("+14155552672")
	b.limitEvents("app_number US", "app_number US")
	b.forgetTold()
	refused(testNumber)
	b.limitEvents("app_number US", "app_number US")
	b.clock.advance(time.Hour)
	b.start() // the third of the day, of this address
	b.forgetTold()
	refused(testNumber)
	b.limitEvents("app_number US", "app_number US", "app_ip_daily US")
	// A limit of a day is told of once a day.
	b.clock.advance(2 * time.Hour)
	b.forgetTold()
	refused("+4915112345678")
	b.limitEvents("app_number US", "app_number US", "app_ip_daily US")
	b.clock.advance(24 * time.Hour)
	b.start()
	b.forgetTold()
	refused(testNumber)
	b.limitEvents("app_number US", "app_number US", "app_ip_daily US", "app_number US")
}

// forgetTold makes it another process.
func (b *bench) forgetTold() { clear(b.events.limits.told) }

// Waits that are part of the way, as a resend's, are nothing to tell of; guessing
// is.
func TestLimitEventsOfWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, telling(&listener{}), func(o *Options) { o.Policy.FailuresFree = 3 })
	st := b.start()
	if _, err := b.resend(st.Verification.ID); err == nil {
		t.Fatal("a resend did not have to wait")
	}
	b.limitEvents()
	for range 4 {
		b.check(st.Verification.ID, wrong(b.sender.lastCode()))
	}
	r := CheckRequest{App: testApp, ID: st.Verification.ID, Code: secret.New("000000")}
	if _, err := b.Check(t.Context(), r); err == nil {
		t.Fatal("guessing goes on")
	}
	if _, err := b.Start(t.Context(), request(t)); err == nil {
		t.Fatal("a start does not wait")
	}
	b.limitEvents("failures US")
}

// TestLimitEventsAreBounded: neither the queue nor the store fills, the caller
// never waits, and what is not told is counted.
func TestLimitEventsAreBounded(t *testing.T) {
	t.Parallel()
	l := &listener{}
	b := newBench(t, limited(l, Limits{AppNumber: Limit{Name: "app_number", Burst: 1, Every: time.Hour}}))
	const numbers = 100
	for i := range numbers {
		to := number(t, fmt.Sprintf("+1415555%04d", 2000+i))
		b.start(func(r *StartRequest) { r.To = to })
		r := request(t)
		r.To = to
		if _, err := b.Start(t.Context(), r); err == nil {
			t.Fatal("it was not refused")
		}
	}
	if _, dropped := l.heard(); dropped != numbers-limitEventQueue {
		t.Errorf("%d dropped by the queue", dropped)
	}
	b.written()
	if n := len(b.store.events); n != limitEventBurst {
		t.Errorf("%d events", n)
	}
	if _, dropped := l.heard(); dropped != numbers-limitEventBurst {
		t.Errorf("%d dropped in all", dropped)
	}
	// A service that stops says what it leaves.
	b.clock.advance(time.Hour)
	b.forgetTold()
	b.start()
	if _, err := b.Start(t.Context(), request(t)); err == nil {
		t.Fatal("it was not refused")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before, _ := l.heard()
	b.events.limits.drain()
	b.Run(ctx)
	if added, dropped := l.heard(); added != before || dropped != numbers-limitEventBurst+1 {
		t.Errorf("%d more told, %d dropped", added-before, dropped)
	}
}
