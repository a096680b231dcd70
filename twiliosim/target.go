package twiliosim

import (
	"strconv"
	"strings"
	"time"
)

// target is a callback URL with its connection overrides, which Twilio reads
// from the fragment: https://host/path#rc=3&rp=5xx,ct.
type target struct {
	url     string // without the fragment
	connect time.Duration
	read    time.Duration
	total   time.Duration
	retries int
	policy  map[failure]bool
	bad     string // names an override that was ignored
}

// failure is how an attempt went wrong; the words are those of the policy.
type failure string

const (
	failConnect failure = "ct"
	failRead    failure = "rt"
	fail4xx     failure = "4xx"
	fail5xx     failure = "5xx"
	failOther   failure = "other" // a redirect, which is neither followed nor retried
)

// parseTarget reads a callback URL; nil for none. Overrides outside their range
// are ignored, as the defaults are always safe. By default an endpoint that
// answers 5xx, or not at all, gets no second try: only one that cannot be
// reached does, once.
func parseTarget(raw string) *target {
	if raw == "" {
		return nil
	}
	t := &target{
		connect: 5 * time.Second, read: 15 * time.Second, total: 15 * time.Second,
		retries: 1, policy: map[failure]bool{failConnect: true},
	}
	var fragment string
	t.url, fragment, _ = strings.Cut(raw, "#")
	for pair := range strings.SplitSeq(fragment, "&") {
		key, value, _ := strings.Cut(pair, "=")
		ok := true
		switch key {
		case "ct":
			ok = override(&t.connect, value, 10_000)
		case "rt":
			ok = override(&t.read, value, 15_000)
		case "tt":
			ok = override(&t.total, value, 15_000)
		case "rc":
			n, err := strconv.Atoi(value)
			if ok = err == nil && n >= 0 && n <= 5; ok {
				t.retries = n
			}
		case "rp":
			ok = t.setPolicy(value)
		}
		if !ok {
			t.bad = key
		}
	}
	return t
}

// override sets a time of 100 ms to most ms.
func override(d *time.Duration, value string, most int) bool {
	n, err := strconv.Atoi(value)
	if err != nil || n < 100 || n > most {
		return false
	}
	*d = time.Duration(n) * time.Millisecond
	return true
}

func (t *target) setPolicy(value string) bool {
	policy := map[failure]bool{}
	for word := range strings.SplitSeq(value, ",") {
		switch f := failure(word); f {
		case failConnect, failRead, fail4xx, fail5xx:
			policy[f] = true
		case "all":
			policy = map[failure]bool{failConnect: true, failRead: true, fail4xx: true, fail5xx: true}
		default:
			return false // Twilio's warning 11243
		}
	}
	t.policy = policy
	return true
}
