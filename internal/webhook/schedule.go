package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waits are the waits after each try that failed, as the specification
// recommends them: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
// The first try is made at once. After the tenth an event is given up: three days
// after the first, or a little more.
func waits() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

const (
	// MaxAge is when an event is given up, however often it was tried: an endpoint
	// that is down must not fill the store.
	MaxAge = 4 * 24 * time.Hour
	// longestAsked bounds what an endpoint may ask for by Retry-After.
	longestAsked = time.Hour
)

// wait is how long after its n-th try an event is tried again; false when it is
// given up. It is up to a tenth longer than the schedule: what failed together
// shall not come back together.
func wait(n int, asked time.Duration) (time.Duration, bool) {
	all := waits()
	if n > len(all) {
		return 0, false
	}
	d := all[max(n, 1)-1]
	d = max(d, min(asked, longestAsked))
	return d + time.Duration(rand.Uint64()%uint64(d/10+1)), true // #nosec G115 G404 -- not negative; spreads load
}

// askedFor reads Retry-After of a 429 or a 503: seconds, or a date.
func askedFor(status int, header string, now time.Time) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	header = strings.TrimSpace(header)
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(seconds, 0), int(longestAsked.Seconds()))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestAsked)
}

// An endpoint that failed restAfter times in a row rests, each time for longer.
// Then one event at a time asks whether it is back.
const (
	restAfter   = 5
	firstRest   = time.Second
	longestRest = time.Minute
)

// restFor is how long an endpoint rests that failed n times in a row.
func restFor(n int) time.Duration {
	if n < restAfter {
		return 0
	}
	return min(firstRest<<min(n-restAfter, 16), longestRest)
}
