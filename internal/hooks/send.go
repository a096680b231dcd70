package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// order is what a server asks for, in its own words.
type order struct {
	to, code string
	usage    string // its word for what the text is for
	locale   string
	clientIP string
	channel  string         // its word for a text; "" is one
	id       string         // its id of the order; "" where it has none
	more     map[string]any // what else the text's placeholders may stand for
}

// maxMore bounds what else a text's placeholders may stand for, in bytes as
// JSON. The domain takes 4096 in its own count, in which a number has eight.
const maxMore = 2500

// maxLocale is the longest language tag that the domain takes, in bytes.
const maxLocale = 64

const (
	// inFlightEvery is how often the outcome of the first of two equal orders is
	// asked after. The first one has as long to answer as the second.
	inFlightEvery = 200 * time.Millisecond
	// maxSame is how many texts of one content are told apart within the life of
	// an idempotency key. The limits of a number allow fewer.
	maxSame = 100
)

// message makes the domain's request of an order.
func (h *handler) message(o *order) (verify.MessageRequest, error) {
	r := verify.MessageRequest{App: h.App, Usage: h.usage(o.usage), Locale: localeOf(o.locale), NoClientIP: h.NoClientIP, Payload: payloadOf(o)}
	if c := o.channel; c != "" && !strings.EqualFold(c, string(verify.ChannelSMS)) {
		return r, &verify.InvalidError{Field: "channel", Code: "channel_unsupported", Text: "the only channel is sms"}
	}
	to, err := phone.ParseDigits(o.to)
	if err != nil {
		return r, &verify.InvalidError{Field: "to", Code: "number_invalid", Text: strings.TrimPrefix(err.Error(), "phone: ")}
	}
	r.To = to
	// What is no address is none: a server that cannot tell must not keep people out.
	if ip, err := netip.ParseAddr(strings.TrimSpace(o.clientIP)); err == nil {
		r.ClientIP = ip
	}
	return r, nil
}

// usage is the usage type of a server's word.
func (h *handler) usage(theirs string) sms.UsageType {
	if u, ok := h.Usages[theirs]; ok {
		return u
	}
	if u := sms.UsageType(theirs); u.Known() {
		return u
	}
	if u, ok := h.Usages[AnyUsage]; ok {
		return u
	}
	return sms.UsageGeneric
}

// localeOf passes what is a language tag. Another word gets the text that has no
// locale, as no word does.
func localeOf(s string) string {
	if len(s) > maxLocale {
		return "" // to parse a long one takes a time that grows with its square
	}
	_, err := language.Parse(s)
	var unknown language.ValueError
	if err != nil && !errors.As(err, &unknown) {
		return ""
	}
	return s
}

// payloadOf is what the text's placeholders stand for. What is too large for a
// text is left out, rather than the text.
func payloadOf(o *order) map[string]any {
	payload := withoutLists(o.more)
	if data, err := json.Marshal(payload); err != nil || len(data) > maxMore {
		payload = map[string]any{}
	}
	payload["code"] = o.code
	return payload
}

// withoutLists leaves out what no placeholder can stand for.
func withoutLists(object map[string]any) map[string]any {
	plain := map[string]any{}
	for name, value := range object {
		switch v := value.(type) {
		case []any:
		case map[string]any:
			plain[name] = withoutLists(v)
		default:
			plain[name] = v
		}
	}
	return plain
}

// send has an order carried out, once. Where the server has no id for it, one
// that says the same within h.SameWithin is the same: the key is then made of its
// content, and of the id of the message before where that is older. So there is
// no border of time at which one order is two.
func (h *handler) send(ctx context.Context, o *order, later verify.Later) (verify.Started, error) {
	r, err := h.message(o)
	if err != nil {
		return verify.Started{}, err
	}
	content, err := json.Marshal([]string{r.To.E164(), o.code, o.usage})
	if err != nil {
		return verify.Started{}, err
	}
	key := "id " + o.id
	if o.id == "" {
		key = "content " + string(content)
	}
	r.Later = later
	var st verify.Started
	for range maxSame {
		r.Idem = h.options.Idem(h.App, h.route(), key, content)
		st, err = h.once(ctx, r)
		if o.id != "" || !st.Replayed || st.Now.Sub(st.Verification.CreatedAt) < h.SameWithin {
			break
		}
		key = "content " + string(content) + " after " + st.Verification.ID
	}
	return st, err
}

// once sends, or waits for the outcome of the same order that is under way.
func (h *handler) once(ctx context.Context, r verify.MessageRequest) (verify.Started, error) {
	underWay := false
	for {
		st, err := h.options.Messenger.SendMessage(ctx, r)
		switch {
		case errors.Is(err, verify.ErrInFlight):
			underWay = true
		case underWay && (errors.Is(err, verify.ErrUnavailable) || ctx.Err() != nil && st.Verification == nil):
			return st, verify.ErrInFlight // which it was when last asked
		default:
			return st, err
		}
		pause := time.NewTimer(inFlightEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return st, err
		}
	}
}
