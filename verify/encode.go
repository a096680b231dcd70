package verify

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Records are kept as JSON, which any tool reads. They are written by hand, to
// the byte as encoding/json would (a test compares): every operation writes two or
// three, and reflection took as long as the rest of an operation.

// Record is the verification as a store keeps it, but for the number. Its times
// must be before the year 10000.
func (v *Verification) Record() []byte {
	return v.AppendRecord(make([]byte, 0, 512+256*len(v.Sends)))
}

// AppendRecord appends what Record returns.
func (v *Verification) AppendRecord(b []byte) []byte {
	o := object(b).open().text("app", v.App).bytes("subject", v.Subject[:]).text("usage", string(v.Usage)).textIf("locale", v.Locale)
	o = o.text("channel", string(v.Channel)).text("status", string(v.Status)).textIf("reason", string(v.Reason))
	o = o.trueIf("test", v.Test).textIf("domain", v.Domain).macIf("session", v.Session).macIf("network", v.Network)
	o = o.bytes("salt", v.Salt[:]).text("key", v.KeyID).number("gen", v.Generation).number("len", v.CodeLength)
	o = o.number("checks", v.Checks).number("max_checks", v.MaxChecks).number("max_sends", v.MaxSends)
	o = o.time("created", v.CreatedAt).time("expires", v.ExpiresAt).time("resend_after", v.ResendAfter).timeIf("ended", v.EndedAt)
	o = o.name("sends")
	if v.Sends == nil {
		o = append(o, "null"...)
	} else {
		o = append(o, '[')
		for i := range v.Sends {
			o = o.next().send(&v.Sends[i])
		}
		o = append(o, ']')
	}
	if len(v.Metadata) > 0 {
		o = o.name("metadata").open()
		for _, k := range slices.Sorted(maps.Keys(v.Metadata)) {
			o = o.next().string(k)
			o = append(o, ':').string(v.Metadata[k])
		}
		o = o.close()
	}
	o = o.textIf("service", v.Service).textIf("name", v.Name).textIf("app_hash", v.AppHash).macIf("code_mac", v.CodeMAC)
	o = o.trueIf("supplied", v.Supplied)
	if len(v.Sealed) > 0 {
		o = append(o.name("sealed"), '"')
		o = append(base64.StdEncoding.AppendEncode(o, v.Sealed), '"')
	}
	return o.close()
}

func (o object) send(s *Send) object {
	o = o.open().text("id", s.ID).text("channel", string(s.Channel)).text("connector", s.Connector).text("status", string(s.Status))
	o = o.trueIf("guess", s.Guess).textIf("provider_id", s.ProviderID).number("gen", s.Generation).number("segments", s.Segments)
	o = o.time("created", s.CreatedAt).time("updated", s.UpdatedAt).timeIf("lease", s.LeaseUntil).number("epoch", s.Epoch)
	if e := s.Error; e != nil {
		o = o.name("error").open().text("kind", string(e.Kind)).textIf("code", e.ProviderCode).text("advice", string(e.Advice)).close()
	}
	o = o.timeIf("next", s.NextAt)
	if s.Tries != 0 {
		o = o.number("tries", s.Tries)
	}
	o = o.timeIf("posted", s.PostedAt).timeIf("looked", s.LookedAt).textIf("feedback", string(s.Feedback))
	if len(s.History) > 0 {
		o = append(o.name("history"), '[')
		for _, h := range s.History {
			o = o.next().open().text("status", string(h.Status)).time("at", h.At).close()
		}
		o = append(o, ']')
	}
	return o.close()
}

// Record is the subject as a store keeps it, but for its key. Its times must be
// before the year 10000.
func (s *Subject) Record() []byte { return s.AppendRecord(make([]byte, 0, 256)) }

// AppendRecord appends what Record returns.
func (s *Subject) AppendRecord(b []byte) []byte {
	o := object(b).open()
	if s.Failures != 0 {
		o = o.number("failures", s.Failures)
	}
	o = o.timeIf("failed", s.FailedAt).timeIf("blocked", s.BlockedUntil)
	if len(s.Pending) > 0 {
		o = append(o.name("pending"), '[')
		for i := range s.Pending {
			p := &s.Pending[i]
			o = o.next().open().text("id", p.ID).macIf("session", p.Session).time("expires", p.ExpiresAt).close()
		}
		o = append(o, ']')
	}
	if len(s.Held) > 0 {
		o = append(o.name("held"), '[')
		for _, h := range s.Held {
			o = o.next().open().text("send", h.Send).text("connector", h.Connector).time("until", h.Until).trueIf("sending", h.Sending).close()
		}
		o = append(o, ']')
	}
	if len(s.Taken) > 0 {
		o = append(o.name("taken"), '[')
		for _, t := range s.Taken {
			o = o.next().open().text("send", t.Send).text("provider_id", t.ProviderID).time("at", t.At).close()
		}
		o = append(o, ']')
	}
	return o.close()
}

// Record is the idempotency key as a store keeps it. Its times must be before
// the year 10000.
func (r *IdemRow) Record() []byte { return r.AppendRecord(make([]byte, 0, 192)) }

// AppendRecord appends what Record returns.
func (r *IdemRow) AppendRecord(b []byte) []byte {
	o := object(b).open().text("id", r.ID).textIf("outcome", r.Outcome).timeIf("open", r.OpenUntil)
	return o.bytes("body", r.Body[:]).time("expires", r.ExpiresAt).close()
}

// object is JSON so far.
type object []byte

func (o object) open() object  { return append(o, '{') }
func (o object) close() object { return append(o, '}') }

// next writes the comma between two members or elements.
func (o object) next() object {
	if last := o[len(o)-1]; last != '{' && last != '[' {
		o = append(o, ',')
	}
	return o
}

// name begins a member. Names need no escapes.
func (o object) name(name string) object {
	o = append(o.next(), '"')
	o = append(o, name...)
	return append(o, '"', ':')
}

func (o object) text(name, value string) object { return o.name(name).string(value) }

func (o object) textIf(name, value string) object {
	if value == "" {
		return o
	}
	return o.text(name, value)
}

func (o object) number(name string, n int) object {
	return strconv.AppendInt(o.name(name), int64(n), 10)
}

func (o object) trueIf(name string, value bool) object {
	if !value {
		return o
	}
	return append(o.name(name), "true"...)
}

func (o object) bytes(name string, value []byte) object {
	o = append(o.name(name), '"')
	return append(base64.RawURLEncoding.AppendEncode(o, value), '"')
}

func (o object) macIf(name string, value MAC) object {
	if value == (MAC{}) {
		return o
	}
	return o.bytes(name, value[:])
}

func (o object) time(name string, at time.Time) object {
	o = append(o.name(name), '"')
	return append(at.AppendFormat(o, time.RFC3339Nano), '"')
}

func (o object) timeIf(name string, at time.Time) object {
	if at.IsZero() {
		return o
	}
	return o.time(name, at)
}

// string leaves what needs an escape to encoding/json.
func (o object) string(value string) object {
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ', c >= utf8.RuneSelf, c == '"', c == '\\', c == '<', c == '>', c == '&':
			escaped, _ := json.Marshal(value) // a string has no way to fail
			return append(o, escaped...)
		}
	}
	o = append(o, '"')
	o = append(o, value...)
	return append(o, '"')
}
