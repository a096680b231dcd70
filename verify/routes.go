package verify

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// route is a connector as the service uses it.
type route struct {
	name      string
	sender    connector.Sender
	finder    connector.Finder         // nil when it cannot look
	feedback  connector.FeedbackSender // nil when it wants to know nothing
	templates *sms.Catalog
	countries map[string]bool // nil is every one
	breaker   *breaker
	// What is done in the background is bounded, so that it neither bursts nor
	// takes the place of what people wait for.
	posts, reads *rate.Limiter
	// What is under way in the background.
	posting, reading atomic.Int64
}

// readsPerPost is how many more reads than posts the background may make a
// second: a read costs nobody money.
const readsPerPost = 10

// addRoutes makes the routes and says what is wrong with their connectors.
func (s *Service) addRoutes(connectors []Connector) []error {
	var errs []error
	if len(connectors) == 0 {
		errs = append(errs, errors.New("the service needs a connector"))
	}
	for i, c := range connectors {
		if c.Name == "" || c.Name == testConnector || s.route(c.Name) != nil {
			errs = append(errs, fmt.Errorf("connector %d: its name is empty, %q or another's", i+1, testConnector))
		}
		if c.Sender == nil || c.Templates == nil {
			errs = append(errs, fmt.Errorf("connector %d: it needs a sender and templates", i+1))
		}
		r := &route{
			name: c.Name, sender: c.Sender, templates: c.Templates,
			posts: rate.NewLimiter(rate.Limit(s.policy.RetryRate), max(1, s.policy.RetryRate/10)),
			reads: rate.NewLimiter(rate.Limit(readsPerPost*s.policy.RetryRate), readsPerPost),
		}
		r.finder, _ = c.Sender.(connector.Finder)
		r.feedback, _ = c.Sender.(connector.FeedbackSender)
		for _, country := range c.Countries {
			if r.countries == nil {
				r.countries = map[string]bool{}
			}
			r.countries[strings.ToUpper(country)] = true
		}
		// A provider that answers nothing for half again as long as a caller
		// waits is not slow but gone.
		r.breaker = newBreaker(s.policy.SendTimeout*3/2, func(open bool) {
			s.observer.ConnectorOpen(r.name, open)
			if open {
				s.log.Warn("connector is out of order", slog.String("connector", r.name))
			} else {
				s.log.Info("connector is back", slog.String("connector", r.name))
			}
		})
		s.routes = append(s.routes, r)
	}
	return errs
}

// route finds a connector by its name, or nil.
func (s *Service) route(name string) *route {
	for _, r := range s.routes {
		if r.name == name {
			return r
		}
	}
	return nil
}

// way is a route as it stands for one text: how long it is out of order, by the
// process's own clock, and how many segments the text has in its templates.
type way struct {
	*route
	wait     time.Duration
	segments int // of the text that is meant
}

// ways are the routes to a country, in the operator's order; to "" they are all.
func (s *Service) ways(country string) []way {
	ways := make([]way, 0, len(s.routes))
	for _, r := range s.routes {
		if country == "" || r.countries == nil || r.countries[country] {
			ways = append(ways, way{route: r, wait: r.breaker.wait()})
		}
	}
	return ways
}

// holdRest is how long a text waits that must not go yet because of another.
const holdRest = 2 * time.Second

// choose picks the connector of a new text: the first that is in order and not
// held. Where there is none it is the one that is back first, and the text has
// to wait.
func choose(ways []way, sub *Subject, v *Verification, now time.Time) (best way) {
	for _, w := range ways {
		if sub.held(v, w.name, "", now) {
			w.wait = max(w.wait, holdRest)
		}
		if best.route == nil || w.wait < best.wait {
			best = w
		}
	}
	return best
}
