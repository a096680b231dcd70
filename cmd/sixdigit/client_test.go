package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// insistFor is for how long a call is made again, insistEvery after each other.
	insistFor, insistEvery = 10 * time.Second, 5 * time.Millisecond
)

// errUndecided is an answer that does not say whether the call has happened.
var errUndecided = errors.New("the service does not know yet")

// client calls the API at an address: a process's own, or that of a balancer.
type client struct {
	t        *testing.T
	url, key string
	http     *http.Client

	// keys are not nil where each call has an Idempotency-Key of its own, and is
	// made again with it when no answer comes.
	keys *atomic.Int64
	// shared is where the store is somebody else's as well: 503 is then an answer
	// that tells nothing, and no fault.
	shared bool
	seen   *seen
}

// seen counts answers that are none.
type seen struct{ again, inFlight, busy atomic.Int64 }

func (s *seen) total() int64 { return s.again.Load() + s.inFlight.Load() + s.busy.Load() }

func newClient(t *testing.T, url, key string) client {
	return client{t: t, url: url, key: key, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10_000}}, seen: &seen{}}
}

// answer is what the tests read of any answer.
type answer struct {
	status       int
	ID           string    `json:"id"`
	Status       any       `json:"status"` // of a problem it is the number
	Valid        bool      `json:"valid"`
	AttemptsLeft int       `json:"attempts_left"`
	Code         string    `json:"code"`
	ExpiresAt    time.Time `json:"expires_at"`
	Sends        []sent    `json:"sends"`
	took         time.Duration
	// ask makes a call anew that has had no answer, with the same Idempotency-Key;
	// nil where it had none.
	ask func() (answer, error)
}

// sent is a text as the API shows it.
type sent struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	ProviderID string    `json:"provider_id"`
	CreatedAt  time.Time `json:"created_at"`
	Error      struct {
		Kind string `json:"kind"`
	} `json:"error"`
}

// call makes a request to the API. Its error says that no answer came.
func (c *client) call(method, path, body string) (answer, error) {
	if c.keys == nil {
		return c.callFor(context.Background(), method, path, body)
	}
	key := ""
	if method == http.MethodPost {
		key = fmt.Sprintf("call-%d", c.keys.Add(1))
	}
	return c.insist(method, path, body, key)
}

// insist makes a call until it is answered: a balancer leads it to the next
// replica each time.
func (c *client) insist(method, path, body, key string) (answer, error) {
	busy := false
	for deadline := time.Now().Add(insistFor); ; {
		got, err := c.once(context.Background(), method, path, body, key)
		busy = busy || got.status == http.StatusServiceUnavailable
		if key != "" {
			got.ask = func() (answer, error) { return c.insist(method, path, body, key) }
		}
		switch {
		case err != nil:
		case got.Code == "idempotency_key_in_flight":
			// Whoever was at it died: it is not known for as long as its lease.
			c.seen.inFlight.Add(1)
			return got, errUndecided
		default:
			return got, nil
		}
		if time.Now().After(deadline) {
			if busy {
				got.status = http.StatusServiceUnavailable // that one may come to it still
			}
			return got, err
		}
		c.seen.again.Add(1)
		<-time.After(insistEvery)
	}
}

func (c *client) callFor(ctx context.Context, method, path, body string) (answer, error) {
	return c.once(ctx, method, path, body, "")
}

// once makes one request.
func (c *client) once(ctx context.Context, method, path, body, key string) (answer, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err // half an answer is none
	}
	a.took = time.Since(began)
	if want := "application/problem+json"; a.status >= 400 && resp.Header.Get("Content-Type") != want {
		return a, fmt.Errorf("%s %d without %s", method, a.status, want)
	}
	if err := json.Unmarshal(text, &a); err != nil || !c.shared || a.status != http.StatusServiceUnavailable {
		return a, err
	}
	c.seen.busy.Add(1)
	return a, errUndecided
}

// Where records are found; an id follows.
const (
	verificationsPath = "/v1/verifications/"
	messagesPath      = "/v1/messages/"
)

func (c *client) start(number string) (answer, error) {
	return c.call(http.MethodPost, "/v1/verifications", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn"}`, number))
}

func (c *client) check(id, code string) (answer, error) {
	return c.call(http.MethodPost, verificationsPath+id+"/check", fmt.Sprintf(`{"code": %q}`, code))
}

func (c *client) get(id string) (answer, error) {
	return c.call(http.MethodGet, verificationsPath+id, "")
}

func (c *client) resend(id string) (answer, error) {
	return c.call(http.MethodPost, verificationsPath+id+"/resend", "{}")
}

func (c *client) cancel(id string) (answer, error) {
	return c.call(http.MethodDelete, verificationsPath+id, "")
}

func (c *client) message(number, code string) (answer, error) {
	return c.call(http.MethodPost, "/v1/messages", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn", "payload": {"code": %q}}`, number, code))
}
