package twiliosim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Faults is a script of things that go wrong, set with Server.SetFaults or
// PUT /sim/faults. Its zero value, and the JSON {}, change nothing.
//
// Which creates are hit: every authenticated POST to Messages, valid or not, is
// one draw. Rate is the share of draws that hit (absent: all of them), decided
// by a random sequence that Seed fixes, so the n-th draw always falls the same
// way. Count is how many hits there are in all before the script is spent
// (absent: no end). A create that is not hit behaves as if nothing were set.
// ListLagMS alone knows no draws: it holds for every list until it is cleared.
//
// With Reads the whole API is out: every other authenticated request is a draw
// too, lists and fetches above all, from a sequence of its own, so that what
// happens to the n-th create does not depend on who looks meanwhile. A hit
// waits and refuses as a create does, and uses up no Count; when Count is used
// up, the others are left in peace as well.
//
// What a hit does, in this order: LatencyMS passes (a client that hangs up
// meanwhile has sent nothing: the create is not taken). Then, with Status or
// Code, the create is refused without being looked at. Otherwise it is
// validated as usual and, if valid, taken: it goes out, with the given
// Callbacks and Outcome, whatever becomes of its answer (AcceptThen).
type Faults struct {
	// LatencyMS is how long the answer takes, in milliseconds, at most an hour.
	LatencyMS int `json:"latency_ms,omitempty"`
	// Status, 400 to 599, and Code are the error that is answered. Either may
	// be left out: 429 means code 20429, code 21610 means status 400, and so on.
	Status int `json:"status,omitempty"`
	Code   int `json:"code,omitempty"`
	// Count is how many creates are hit; 0 means all until the faults are cleared.
	Count int `json:"count,omitempty"`
	// RetryAfter is sent as the header of that name, in seconds, with the error.
	RetryAfter int `json:"retry_after,omitempty"`
	// AcceptThen loses the answer to a message that was taken: "hang" says
	// nothing until the client goes away, "reset" resets the connection, "500"
	// answers 500/20500.
	AcceptThen string `json:"accept_then,omitempty"`
	// Callbacks is "normal", "none", "duplicate" (each is posted twice) or
	// "reorder" (all are kept back until the last, and posted last one first).
	Callbacks string `json:"callbacks,omitempty"`
	// Outcome is the final status: "delivered" (the default), "undelivered",
	// "failed", or "sent" for a carrier that never reports.
	Outcome string `json:"outcome,omitempty"`
	// ErrorCode goes with undelivered and failed; default 30008.
	ErrorCode int `json:"error_code,omitempty"`
	// Rate is the share of creates that are hit, above 0 and at most 1.
	Rate float64 `json:"rate,omitempty"`
	// Seed fixes which ones.
	Seed uint64 `json:"seed,omitempty"`
	// Reads hits the requests that are no creates as well. It needs LatencyMS,
	// Status or Code, which are all that can happen to those.
	Reads bool `json:"reads,omitempty"`
	// ListLagMS hides messages younger than this, in milliseconds, from lists of
	// the REST API; fetching by sid finds them.
	ListLagMS int `json:"list_lag_ms,omitempty"`
}

const maxFaultMS = int(time.Hour / time.Millisecond)

// Validate reports every contradiction in f at once.
func (f Faults) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("twiliosim: faults: "+format, args...))
		}
	}
	among := func(name, v string, allowed ...string) {
		for _, a := range allowed {
			if v == a {
				return
			}
		}
		check(v == "", "%s is none of %s", name, strings.Join(allowed, ", "))
	}
	check(f.LatencyMS >= 0 && f.LatencyMS <= maxFaultMS, "latency_ms is not between 0 and %d", maxFaultMS)
	check(f.ListLagMS >= 0 && f.ListLagMS <= maxFaultMS, "list_lag_ms is not between 0 and %d", maxFaultMS)
	check(f.Status == 0 || f.Status >= 400 && f.Status <= 599, "status is not between 400 and 599")
	check(f.Code >= 0 && f.ErrorCode >= 0, "code and error_code cannot be negative")
	check(f.Count >= 0, "count cannot be negative")
	check(f.RetryAfter >= 0, "retry_after cannot be negative")
	check(f.RetryAfter == 0 || f.refuses(), "retry_after needs status or code")
	check(f.Rate >= 0 && f.Rate <= 1, "rate is not between 0 and 1")
	among("accept_then", f.AcceptThen, "hang", "reset", "500")
	among("callbacks", f.Callbacks, "normal", "none", "duplicate", "reorder")
	among("outcome", f.Outcome, statusDelivered, statusUndelivered, statusFailed, statusSent)
	check(!f.Reads || f.refuses() || f.LatencyMS > 0, "reads needs latency_ms, status or code")
	check(!f.refuses() || f.AcceptThen == "", "status and code refuse the message, accept_then takes it: give one")
	bad := f.Outcome == statusUndelivered || f.Outcome == statusFailed
	check(f.ErrorCode == 0 || bad, "error_code needs the outcome undelivered or failed")
	return errors.Join(errs...)
}

func (f Faults) refuses() bool { return f.Status != 0 || f.Code != 0 }

// refusal is the error that a hit answers.
func (f Faults) refusal() *apiError {
	status, code := f.Status, f.Code
	if code == 0 {
		switch status {
		case 401:
			code = 20003
		case 403:
			code = 20008
		case 404:
			code = 20404
		case 429:
			code = 20429
		case 503:
			code = 20503
		default:
			code = 20500
			if status < 500 {
				code = 20422
			}
		}
	}
	t, known := codeTexts[code]
	if status == 0 {
		status = 400
		if known {
			status = t.status
		}
	}
	text := "Injected fault"
	if known && !strings.Contains(t.text, "%s") {
		text = t.text
	}
	return newAPIError(status, code, text)
}

func (f Faults) fate() fate {
	out := fate{final: statusDelivered, code: f.ErrorCode, callbacks: f.Callbacks}
	if f.Outcome != "" {
		out.final = f.Outcome
	}
	if out.code == 0 && (out.final == statusFailed || out.final == statusUndelivered) {
		out.code = 30008
	}
	return out
}

// faultBox holds the faults in force.
type faultBox struct {
	mu    sync.Mutex
	f     Faults
	left  int // hits left; -1 means no end
	hits  int64
	rng   *rand.Rand // decides about creates
	other *rand.Rand // decides about all other requests
	armed bool
}

func (b *faultBox) set(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.f, b.armed, b.left = f, true, f.Count
	if f.Count == 0 {
		b.left = -1
	}
	b.rng = rand.New(rand.NewPCG(f.Seed, 0x7477696c696f))
	b.other = rand.New(rand.NewPCG(f.Seed, 0x7265616473))
	return nil
}

func (b *faultBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.f, b.armed = Faults{}, false
}

func (b *faultBox) get() Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.f
}

// draw returns the faults that hit this create; the zero Faults if none do.
func (b *faultBox) draw() Faults { return b.hit(true) }

// drawRead returns the faults that hit a request that is no create.
func (b *faultBox) drawRead() Faults { return b.hit(false) }

func (b *faultBox) hit(create bool) Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	rng := b.other
	if create {
		rng = b.rng
	}
	if !b.armed || b.left == 0 || !create && !b.f.Reads {
		return Faults{}
	}
	if b.f.Rate > 0 && rng.Float64() >= b.f.Rate {
		return Faults{}
	}
	if create && b.left > 0 {
		b.left--
	}
	b.hits++
	return b.f
}

func (b *faultBox) listLag() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(b.f.ListLagMS) * time.Millisecond
}

// suffer is what a hit does to any request: it waits, and it may refuse. A
// client that has hung up meanwhile gets no answer.
func (x *exchange) suffer(f Faults) *apiError {
	if !x.s.pause(x.r, time.Duration(f.LatencyMS)*time.Millisecond) {
		x.abort()
	}
	if !f.refuses() {
		return nil
	}
	if f.RetryAfter > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	return f.refusal()
}
