package twilioverify

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	appHashLength = 11 // https://developers.google.com/identity/sms-retriever/verify
	maxTags       = 10
	maxTag        = 128 // characters
	maxCounted    = 256 // bytes of what a rate limit counts
)

// serveStart is the funnel of a start. While the provider takes its time the answer
// is nobody's (see edge.Detach).
func (a *API) serveStart(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	c, err := a.receive(r, a.operations["Start a verification"])
	if err != nil {
		a.answer(w, r, path, 0, nil, err)
		return
	}
	join, err := a.joinOf(c)
	if err != nil {
		a.answer(w, r, path, 0, nil, err)
		return
	}
	base := c.base
	tell := func(w http.ResponseWriter, r *http.Request, st verify.Started, err error) {
		if st.Verification != nil {
			edge.Note(r.Context(), slog.String("verification", st.Verification.ID))
		}
		if err != nil {
			a.answer(w, r, path, 0, nil, err)
			return
		}
		a.answer(w, r, path, http.StatusCreated, renderVerification(st.Verification, st.Now, base), nil)
	}
	join.Later = func() func(verify.Started, error) {
		d := edge.Detach(w, r)
		if d == nil {
			return nil
		}
		return func(st verify.Started, err error) {
			d.Answer(func(w http.ResponseWriter, r *http.Request) { tell(w, r, st, err) })
		}
	}
	st, err := a.Verifier.Join(r.Context(), join)
	if errors.Is(err, verify.ErrLater) {
		return
	}
	tell(w, r, st, err)
}

// joinOf reads what a start asks for.
func (a *API) joinOf(c *call) (r verify.JoinRequest, err error) {
	f := c.form
	r = verify.JoinRequest{
		App: c.caller.App, Service: c.service.SID, Usage: a.Usage, Locale: f["Locale"],
		CodeLength: c.service.CodeLength, Name: c.service.Name, AppHash: f["AppHash"],
	}
	if r.To, err = number(f["To"]); err != nil {
		return r, err
	}
	if f["Channel"] != string(verify.ChannelSMS) {
		return r, invalid("Channel", "the only channel that is served is sms")
	}
	if code := f["CustomCode"]; code != "" {
		if !c.service.CustomCode {
			return r, fault(codeNoFeature)
		}
		r.Code = secret.New(code)
	}
	if name := f["CustomFriendlyName"]; name != "" {
		if sentence := wrongName(name); sentence != "" {
			return r, invalid("CustomFriendlyName", sentence)
		}
		r.Name = name
	}
	if r.AppHash != "" && !validAppHash(r.AppHash) {
		return r, invalid("AppHash", "it is 11 characters of base64")
	}
	if text := f["DeviceIp"]; text != "" {
		if r.ClientIP, err = netip.ParseAddr(text); err != nil || r.ClientIP.Zone() != "" {
			return r, invalid("DeviceIp", "it is no IPv4 or IPv6 address")
		}
		r.ClientIP = r.ClientIP.Unmap()
	}
	if risk := f["RiskCheck"]; risk != "" && risk != "enable" && risk != "disable" {
		return r, invalid("RiskCheck", "write enable or disable")
	}
	if !validTags(f["Tags"]) {
		return r, invalid("Tags", "it is a JSON object of at most 10 names, with texts of at most 128 characters")
	}
	r.Counters, err = a.counters(f["RateLimits"])
	return r, err
}

// number reads a phone number.
func number(text string) (phone.Number, error) {
	if text == "" {
		return phone.Number{}, invalid("To", "it is missing")
	}
	n, err := phone.Parse(text)
	if err != nil {
		return n, invalid("To", strings.TrimPrefix(err.Error(), "phone: "))
	}
	return n, nil
}

func validAppHash(s string) bool {
	return len(s) == appHashLength && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == ""
}

func validTags(text string) bool {
	if text == "" {
		return true
	}
	var tags map[string]string
	if json.Unmarshal([]byte(text), &tags) != nil || len(tags) > maxTags {
		return false
	}
	for name, value := range tags {
		if utf8.RuneCountInString(name) > maxTag || utf8.RuneCountInString(value) > maxTag {
			return false
		}
	}
	return true
}

// counters reads RateLimits: each name is one of the operator's, each value what
// it counts.
func (a *API) counters(text string) ([]verify.Counter, error) {
	if text == "" {
		return nil, nil
	}
	var named map[string]any
	if json.Unmarshal([]byte(text), &named) != nil {
		return nil, invalid("RateLimits", "it is a JSON object, names to values")
	}
	all := make([]verify.Counter, 0, len(named))
	for name, value := range named {
		limit, ok := a.RateLimits[name]
		if !ok {
			return nil, invalid("RateLimits", "the operator has configured no rate limit of this name")
		}
		of, ok := value.(string)
		if !ok || of == "" || len(of) > maxCounted {
			return nil, invalid("RateLimits", "what is counted is a text of 1 to 256 bytes")
		}
		all = append(all, verify.Counter{Limit: limit, Of: of})
	}
	// Limits are charged in one order whatever the map's.
	slices.SortFunc(all, func(x, y verify.Counter) int { return strings.Compare(x.Limit.Name, y.Limit.Name) })
	return all, nil
}
