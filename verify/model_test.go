package verify

import (
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// The model tells the rules again, naively: lists, no keys, buckets that leak.
// It shares no code with the service but the policy's numbers.

// bucket is a limit told as a level that sinks with time.
type bucket struct {
	level time.Duration
	at    time.Time
	day   int
	count int
}

type modelVerification struct {
	id, number, session string
	ip                  string // of the start
	status              Status
	expires, next       time.Time
	checks, generation  int
	codes               []string // of each generation
	sends               []modelSend
}

type modelSend struct {
	generation int
	state      connector.Outcome // "" is taken
}

type modelSubject struct {
	failures int
	until    time.Time
	failed   time.Time
	wrongs   []time.Time // for the budget, which holds whatever the model says
}

type model struct {
	b        *bench
	p        *Policy
	now      time.Time
	subjects map[string]*modelSubject
	list     []*modelVerification
	buckets  map[string]*bucket
	outcome  connector.Outcome // what the provider answers next
}

func (m *model) subject(number string) *modelSubject {
	if m.subjects[number] == nil {
		m.subjects[number] = &modelSubject{}
	}
	if s := m.subjects[number]; !m.now.Before(s.failed.Add(24 * time.Hour)) {
		*s = modelSubject{}
	}
	return m.subjects[number]
}

// take charges all of the limits or none; it returns the longest wait.
func (m *model) take(keys map[string]Limit) time.Duration {
	longest := time.Duration(0)
	for key, l := range keys {
		b := m.buckets[key]
		if b == nil {
			b = &bucket{at: m.now}
			m.buckets[key] = b
		}
		b.level = max(0, b.level-m.now.Sub(b.at))
		b.at = m.now
		if b.day != m.now.YearDay() {
			b.day, b.count = m.now.YearDay(), 0
		}
		if l.Every == 0 {
			if b.count >= l.Burst {
				longest = max(longest, m.now.Truncate(24*time.Hour).Add(24*time.Hour).Sub(m.now))
			}
			continue
		}
		longest = max(longest, b.level+l.Every-time.Duration(l.Burst)*l.Every)
	}
	if longest > 0 {
		return longest
	}
	for key, l := range keys {
		m.buckets[key].level += l.Every
		m.buckets[key].count++
	}
	return 0
}

func (m *model) giveBack(keys map[string]Limit) {
	for key, l := range keys {
		if key == "all" || strings.HasPrefix(key, "ip") {
			continue // whoever asks has asked
		}
		m.buckets[key].level -= l.Every
		m.buckets[key].count--
	}
}

func (m *model) limits(number, ip string) map[string]Limit {
	keys := map[string]Limit{
		"number" + number: m.p.Limits.AppNumber, "daily" + number: m.p.Limits.NumberDaily, "all": m.p.Limits.All,
	}
	if ip != "" {
		keys["ip"+ip] = m.p.Limits.IP
	}
	return keys
}

func (v *modelVerification) at(now time.Time) Status {
	if v.status == StatusPending && !now.Before(v.expires) {
		return StatusExpired
	}
	return v.status
}

func (v *modelVerification) paid() int {
	n := 0
	for _, s := range v.sends {
		if s.state == "" || s.state == connector.OutcomeMaybe {
			n++
		}
	}
	return n
}

// out tells whether somebody may have the present code.
func (v *modelVerification) out() bool {
	for _, s := range v.sends {
		if s.generation == v.generation && (s.state == "" || s.state == connector.OutcomeMaybe) {
			return true
		}
	}
	return false
}

func (m *model) mayResend(v *modelVerification) bool {
	return v.paid() < m.p.MaxSends && len(v.sends) < m.p.MaxSends+5
}

// text adds a send with the provider's answer; the limits are charged already.
func (m *model) text(v *modelVerification, keys map[string]Limit) {
	v.sends = append(v.sends, modelSend{v.generation, m.outcome})
	switch m.outcome {
	case "", connector.OutcomeMaybe:
		v.next = m.now.Add(m.p.ResendWaits[min(v.paid(), len(m.p.ResendWaits))-1])
		if !m.mayResend(v) {
			v.next = v.expires
		}
		return
	case connector.OutcomeRefused:
		useful := false
		for _, s := range v.sends[:len(v.sends)-1] {
			useful = useful || s.generation == v.generation && (s.state == "" || s.state == connector.OutcomeMaybe)
		}
		if !useful {
			v.status = StatusCanceled
		}
	}
	v.next = m.now
	if v.checks == 0 { // what was guessed at is not free
		m.giveBack(keys)
	}
}

func (m *model) find(number, session string) *modelVerification {
	for _, v := range m.list {
		if session != "" && v.number == number && v.session == session && v.at(m.now) == StatusPending {
			return v
		}
	}
	return nil
}

func (m *model) again(v *modelVerification, keys map[string]Limit) {
	if v.expires.Sub(m.now) < m.p.FreshBelow {
		v.generation++
		v.expires = m.now.Add(m.p.Life)
		v.codes = append(v.codes, "")
	}
	m.text(v, keys)
}
