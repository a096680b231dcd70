package twiliosim

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// registry holds what the account owns: numbers, services, keys. It is small
// and rarely written; its lock is taken inside box.mu and never the other way.
type registry struct {
	main, test account
	callerIDs  []string // sids of Options.VerifiedNumbers, in their order

	mu       sync.RWMutex
	checked  map[string]bool // the verified numbers
	optOuts  map[optOut]struct{}
	numbers  []*number  // oldest first
	services []*service // oldest first
	keys     []*apiKey
}

func newRegistry(o Options, ids *idSource) *registry {
	now := time.Now()
	g := &registry{
		main: account{sid: o.AccountSID, token: o.AuthToken, trial: o.Trial, created: now},
		test: account{sid: o.TestAccountSID, token: o.TestAuthToken, test: true, created: now},
	}
	for range o.VerifiedNumbers {
		g.callerIDs = append(g.callerIDs, ids.sid("PN"))
	}
	g.reset(o, ids)
	return g
}

// reset goes back to the default number in the default service.
func (g *registry) reset(o Options, ids *idSource) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked, g.optOuts = map[string]bool{}, map[optOut]struct{}{}
	for _, n := range o.VerifiedNumbers {
		g.checked[n] = true
	}
	d := newService(o.MessagingServiceSID, "Notify my users", now)
	d.usecase, d.inboundURL = "notifications", o.InboundRequestURL
	n := newNumber(ids.sid("PN"), o.PhoneNumber, now)
	n.service, n.joined = d.sid, now
	g.keys, g.services, g.numbers = nil, []*service{d}, []*number{n}
}

func (g *registry) verified(to string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.checked[to]
}

// service returns a service or nil. The caller holds g.mu.
func (g *registry) service(sid string) *service {
	for _, s := range g.services {
		if s.sid == sid {
			return s
		}
	}
	return nil
}

// numberBy returns the number with that sid or that phone number, or nil. The
// caller holds g.mu.
func (g *registry) numberBy(id string) *number {
	for _, n := range g.numbers {
		if n.sid == id || n.phone == id {
			return n
		}
	}
	return nil
}

// pool lists the numbers of a service. The caller holds g.mu.
func (g *registry) pool(service string) []*number {
	var out []*number
	for _, n := range g.numbers {
		if n.service == service {
			out = append(out, n)
		}
	}
	return out
}

// sendingThrough tells what a create needs to know of a service.
func (g *registry) sendingThrough(sid string) (callback string, smart bool, size int, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := g.service(sid)
	if s == nil {
		return "", false, 0, false
	}
	return s.statusCallback, s.smartEncoding, len(g.pool(sid)), true
}

// pickSender chooses a number of the service, or tells Twilio's code for why
// there is none.
func (g *registry) pickSender(service, to string) (from string, code int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	pool := g.pool(service)
	if len(pool) == 0 {
		return "", 21704
	}
	var able []string
	for _, n := range pool {
		if n.sms && n.phone != to {
			able = append(able, n.phone)
		}
	}
	if len(able) == 0 {
		return "", 21703
	}
	return pickFrom(able, to), 0
}

func (g *registry) inPool(service, phone string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.ContainsFunc(g.pool(service), func(n *number) bool { return n.phone == phone })
}

// owns reports whether the account has a number, and whether it can text.
func (g *registry) owns(phone string) (owned, sms bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := g.numberBy(phone)
	return n != nil, n != nil && n.sms
}

// Bounds of what is kept beside the texts: far beyond what a test needs, and
// little memory.
const (
	maxKept = 1000 // keys, services and numbers, of each
	maxName = 64   // characters of a friendly name, Twilio's own limit
)

// full refuses one more of what there are n of.
func full(n int) *apiError {
	if n < maxKept {
		return nil
	}
	return newAPIError(http.StatusBadRequest, 20422, "The simulator keeps 1,000 of these; delete some")
}

// short cuts a friendly name.
func short(name string) string {
	if r := []rune(name); len(r) > maxName {
		return string(r[:maxName])
	}
	return name
}
