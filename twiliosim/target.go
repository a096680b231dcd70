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
	get     bool   // the parameters go into the query
	connect time.Duration
	read    time.Duration
	total   time.Duration
	retries int
	policy  failure // those that are retried, added up
	bad     string  // names an override that was ignored
}

// failure is how an attempt went wrong; 0 is well.
type failure uint8

const (
	failConnect failure = 1 << iota
	failRead
	fail4xx
	fail5xx
	failOther // a redirect, which is neither followed nor retried

	failAny = failConnect | failRead | fail4xx | fail5xx
)

// failureOf knows the words of the retry policy; 0 for any other.
func failureOf(word string) failure {
	switch word {
	case "ct":
		return failConnect
	case "rt":
		return failRead
	case "4xx":
		return fail4xx
	case "5xx":
		return fail5xx
	case "all":
		return failAny
	}
	return 0
}

func (f failure) String() string {
	for _, word := range []string{"ct", "rt", "4xx", "5xx"} {
		if f == failureOf(word) {
			return word
		}
	}
	return "other"
}

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
		retries: 1, policy: failConnect,
	}
	var fragment string
	var overrides bool
	if t.url, fragment, overrides = strings.Cut(raw, "#"); !overrides {
		return t
	}
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
	var policy failure
	for word := range strings.SplitSeq(value, ",") {
		f := failureOf(word)
		if f == 0 {
			return false // Twilio's warning 11243
		}
		policy |= f
	}
	t.policy = policy
	return true
}
