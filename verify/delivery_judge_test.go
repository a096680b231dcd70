package verify

import (
	"fmt"

	"github.com/sixdigit/sixdigit/connector"
)

// What the delivery machine must never see, and what it must find in the end.

// watchRows is called after each operation, with the store locked.
func (d *delivery) watchRows() {
	d.seq++
	if now := d.b.store.now(); now.After(d.latest) {
		d.latest = now
	}
	for id := range d.b.store.verifications {
		v, _ := memRows{d.b.store}.Verification(id)
		for i := range v.Sends {
			send := &v.Sends[i]
			if send.Status == connector.StatusUnknown && d.unknown[send.ID] == 0 {
				d.unknown[send.ID] = d.seq
			}
			if d.epochs[send.ID] != send.Epoch {
				d.epochs[send.ID], d.claimed[send.ID] = send.Epoch, d.seq
			}
		}
	}
}

// watch says what is wrong with a post, as the records stand.
func (d *delivery) watch(sendID string) string {
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	now := d.b.store.now()
	id, _ := parentOf(sendID)
	v, err := memRows{d.b.store}.Verification(id)
	if err != nil || v == nil {
		return "a post without a record: " + sendID
	}
	send := v.send(sendID)
	switch {
	case send == nil || send.Status != connector.StatusSending && send.Status != connector.StatusUnknown:
		return fmt.Sprintf("a post of %s, which is %+v", sendID, send)
	case send.Generation != v.Generation || v.StatusAt(now) != StatusPending:
		return fmt.Sprintf("a stale code is sent: %s, the verification is %s", sendID, v.StatusAt(now))
	}
	// A post that was decided before the other text became unknown was on its way.
	decided := d.claimed[sendID]
	d.claimed[sendID] = d.seq + 1 // whatever comes next is another try
	for other := range d.b.store.verifications {
		o, _ := memRows{d.b.store}.Verification(other)
		for i := range o.Sends {
			u := &o.Sends[i]
			if o.Subject == v.Subject && u.ID != sendID && u.Status == connector.StatusUnknown && u.Connector == send.Connector &&
				d.unknown[u.ID] < decided && d.latest.Sub(u.UpdatedAt) < holdLife {
				held, _ := memRows{d.b.store}.Subject(v.Subject)
				return fmt.Sprintf("%s is posted at %s while another is unknown:\n%+v\n%+v\n%+v", sendID, now, *send, *u, held.Held)
			}
		}
	}
	return ""
}

// mayFollow is the rule of docs/states.md, said once more.
func mayFollow(was, is word) bool {
	order := map[connector.Status]int{"sending": 1, "unknown": 2, "accepted": 3, "sent": 4, "delivered": 5, "undelivered": 5, "failed": 5, "rejected": 5}
	switch {
	case is.status == connector.StatusDelivered:
		return true
	case was.guess: // only the provider's word beats it
		return !is.guess && order[is.status] >= 3
	case order[was.status] == 5:
		return false
	}
	return order[is.status] > order[was.status]
}

// judge holds every record against the truth.
func (d *delivery) judge() error {
	texts, records := map[string][]*trueText{}, map[string]int{}
	excused := map[string]int{}
	for _, p := range d.providers {
		for _, t := range p.texts {
			texts[t.send] = append(texts[t.send], t)
			id, _ := parentOf(t.send)
			records[id]++
			if t.excused() {
				excused[id]++
			}
		}
	}
	for id := range d.b.store.verifications {
		v, err := memRows{d.b.store}.Verification(id)
		if err != nil {
			return err
		}
		for i := range v.Sends {
			send := &v.Sends[i]
			is := texts[send.ID]
			switch {
			case len(is) > 1:
				return fmt.Errorf("send %s went out %d times", send.ID, len(is))
			case len(is) == 1 && is[0].excused() && send.Guess: // two lists said that it is not there
			case len(is) == 1 && (send.Status != is[0].status || send.ProviderID != is[0].sid):
				return fmt.Errorf("send %s is %s (%s), the provider's truth %s (%s)", send.ID, send.Status, send.ProviderID, is[0].status, is[0].sid)
			case len(is) == 0 && send.Status != connector.StatusFailed && send.Status != connector.StatusRejected:
				return fmt.Errorf("send %s is %s (%s), and the provider has no such text", send.ID, send.Status, send.ProviderID)
			}
		}
		if asked := max(d.asked[id], 1); records[id] > asked+excused[id] {
			return fmt.Errorf("%s: %d texts, %d were asked for, %d are excused: %+v", id, records[id], asked, excused[id], v.Sends)
		}
	}
	return nil
}
