package twilioverify

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	// listRead bounds how many rows one page reads: about a tenth of a second. A
	// page that ends there is shorter than asked for, and leads to the next one.
	listRead = 10_000
	listBite = 1000
	// summaryRead bounds those of a summary, which has no pages.
	summaryRead = 100_000
	// earlier is how long before its last text a verification may have begun.
	earlier = 2 * time.Hour
	// maxReaders bounds how many lists and summaries read at once: they share the
	// store with people who are waiting for a code.
	maxReaders = 2
)

// atMost is for what reads many rows: who comes while others read is told to come
// again.
func (a *API) atMost(handle handler) handler {
	return func(ctx context.Context, c *call) (int, any, error) {
		select {
		case a.readers <- struct{}{}:
		default:
			e := fault(codeTooMany).because("others are reading attempts")
			e.retryAfter = time.Second
			return 0, nil, e
		}
		defer func() { <-a.readers }()
		return handle(ctx, c)
	}
}

// filter is what a list or a summary asks for.
type filter struct {
	after, before   time.Time
	service, number string
	verification    string // its id
	country, prefix string
	status          string
	nothing         bool // nothing can fit
}

func readFilter(f form) (w filter, err error) {
	for name, to := range map[string]*time.Time{"DateCreatedAfter": &w.after, "DateCreatedBefore": &w.before} {
		if f[name] == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, f[name]); err != nil {
			return w, wrongList(name, "write a time as 2026-01-31T23:59:59Z")
		}
	}
	if to := f["ChannelData.To"]; to != "" {
		n, err := phone.Parse(to)
		if err != nil {
			return w, wrongList("ChannelData.To", strings.TrimPrefix(err.Error(), "phone: "))
		}
		w.number = n.E164()
	}
	if sid := f["VerificationSid"]; sid != "" {
		if w.verification = verificationID(sid); w.verification == "" {
			return w, wrongList("VerificationSid", "it is VE and 32 hexadecimal digits")
		}
	}
	switch w.status = f["Status"]; w.status {
	case "", "converted", "unconverted":
	default:
		return w, wrongList("Status", "write converted or unconverted")
	}
	w.service, w.country = f["VerifyServiceSid"], strings.ToUpper(f["Country"])
	w.prefix = strings.TrimPrefix(f["DestinationPrefix"], "+")
	if strings.Trim(w.prefix, "0123456789") != "" {
		return w, wrongList("DestinationPrefix", "it is digits")
	}
	w.nothing = f["Channel"] != "" && f["Channel"] != string(verify.ChannelSMS)
	return w, nil
}

// list asks for the verifications that may have fitting attempts.
func (w *filter) list(app, below string) verify.ListRequest {
	r := verify.ListRequest{App: app, Below: below, Before: w.before, Match: w.matches}
	if !w.after.IsZero() {
		r.From = w.after.Add(-earlier)
	}
	return r
}

func (w *filter) matches(v *verify.Verification) bool {
	return (w.service == "" || v.Service == w.service) && (w.number == "" || v.To.E164() == w.number) &&
		(w.verification == "" || v.ID == w.verification) && (w.country == "" || v.To.Region() == w.country) &&
		strings.HasPrefix(strings.TrimPrefix(v.To.E164(), "+"), w.prefix)
}

// attempt reports whether one of the verification's texts fits.
func (w *filter) attempt(v *verify.Verification, i int) bool {
	at := v.Sends[i].CreatedAt
	return !at.Before(w.after) && (w.before.IsZero() || at.Before(w.before)) &&
		(w.status == "" || (w.status == "converted") == converted(v, i))
}

// count adds the verification's texts that fit to the summary.
func (w *filter) count(s *Summary, v *verify.Verification) {
	if !w.matches(v) {
		return
	}
	for i := range v.Sends {
		if !w.attempt(v, i) {
			continue
		}
		s.TotalAttempts++
		if converted(v, i) {
			s.TotalConverted++
		}
	}
}

// above is a text that is higher than an id, and not than the next one: ids do not
// use the last bits of their last letter.
func above(id string) string { return id[:len(id)-1] + string(id[len(id)-1]+1) }

func (a *API) listAttempts(ctx context.Context, c *call) (int, any, error) {
	p, err := readPage(c.form)
	if err != nil {
		return 0, nil, err
	}
	w, err := readFilter(c.form)
	if err != nil {
		return 0, nil, err
	}
	// A page begins below a text, whose verification and number are the token. There
	// is no dot between them: Twilio's Go client drops what looks like a fraction.
	id, upTo, below := "", 0, ""
	if p.token != "" {
		var n string
		id, n, _ = strings.Cut(p.token, "-")
		if upTo, err = strconv.Atoi(n); err != nil || id == "" || verificationID(verificationSID(id)) != id {
			return 0, nil, wrongList("PageToken", "it is none of ours")
		}
		below = above(id)
	}
	if w.verification != "" && (id == "" || id == w.verification) {
		below = above(w.verification)
	}
	list, next := []Attempt{}, ""
	for read := 0; read < listRead && !w.nothing; {
		r := w.list(c.caller.App, below)
		r.Found, r.Read = listBite, listBite
		if w.verification != "" {
			r.Found, r.Read = 1, 1
		}
		found, err := a.Verifier.List(ctx, r)
		if err != nil {
			return 0, nil, err
		}
		read += r.Read
		for _, v := range found.Verifications {
			for i := len(v.Sends) - 1; i >= 0; i-- {
				if v.ID == id && i+1 >= upTo || !w.attempt(v, i) {
					continue
				}
				if len(list) == p.size {
					last := list[len(list)-1]
					next = tokenOf(last)
					return http.StatusOK, map[string]any{"meta": p.meta(c, "attempts", next), "attempts": list}, nil
				}
				list = append(list, renderAttempt(v, i, c.base))
			}
		}
		if found.Below == "" || w.verification != "" {
			return http.StatusOK, map[string]any{"meta": p.meta(c, "attempts", ""), "attempts": list}, nil
		}
		below = found.Below
		next = moment(below) + "-1"
	}
	return http.StatusOK, map[string]any{"meta": p.meta(c, "attempts", next), "attempts": list}, nil
}

// moment is the end of the moment, of 20 µs, in which an id was made. The row that a
// page happens to end at may be another app's: of that the token tells no more.
func moment(id string) string {
	b, err := idEncoding().DecodeString(id)
	if err != nil {
		return id
	}
	for i := 6; i < len(b); i++ {
		b[i] = 0xff
	}
	return idEncoding().EncodeToString(b)
}

// tokenOf is where the page after an attempt begins.
func tokenOf(a Attempt) string {
	id := verificationID(a.VerificationSID)
	for n := 1; n <= attemptBits; n++ {
		if attemptSID(id+"."+strconv.Itoa(n)) == a.SID {
			return id + "-" + strconv.Itoa(n)
		}
	}
	return ""
}

func (a *API) fetchAttempt(ctx context.Context, c *call) (int, any, error) {
	sid := c.r.PathValue("sid")
	from, to, ok := attemptRange(sid)
	if !ok {
		return 0, nil, verify.ErrNotFound
	}
	found, err := a.Verifier.List(ctx, verify.ListRequest{
		App: c.caller.App, Below: above(to), Read: 2, Found: 2, Match: func(v *verify.Verification) bool { return v.ID >= from },
	})
	if err != nil {
		return 0, nil, err
	}
	for _, v := range found.Verifications {
		for i := range v.Sends {
			if attemptSID(v.Sends[i].ID) == strings.ToUpper(sid[:2])+strings.ToLower(sid[2:]) {
				return http.StatusOK, renderAttempt(v, i, c.base), nil
			}
		}
	}
	return 0, nil, verify.ErrNotFound
}

func (a *API) summarize(ctx context.Context, c *call) (int, any, error) {
	w, err := readFilter(c.form)
	if err != nil {
		return 0, nil, err
	}
	s := Summary{URL: c.base + "/v2/Attempts/Summary"}
	below := ""
	for read := 0; !w.nothing; read += listBite {
		if read >= summaryRead {
			return 0, nil, wrongList("DateCreatedAfter", "more than "+strconv.Itoa(summaryRead)+" rows are to be read for so long a time; ask for a shorter one")
		}
		r := w.list(c.caller.App, below)
		r.Found, r.Read = 1, listBite
		r.Match = func(v *verify.Verification) bool { // none is found: they are counted as they pass
			w.count(&s, v)
			return false
		}
		found, err := a.Verifier.List(ctx, r)
		if err != nil {
			return 0, nil, err
		}
		if below = found.Below; below == "" {
			break
		}
	}
	s.TotalUnconverted = s.TotalAttempts - s.TotalConverted
	rate := 0.0
	if s.TotalAttempts > 0 {
		rate = 100 * float64(s.TotalConverted) / float64(s.TotalAttempts)
	}
	s.ConversionRatePercentage = strconv.FormatFloat(rate, 'f', 2, 64)
	return http.StatusOK, s, nil
}
