package twilioverify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	minServiceCode = 4  // Twilio's bound; the operator's is higher as a rule
	maxName        = 32 // characters
	maxNameDigits  = 4
	maxServices    = 100 // of an app, so that nobody fills the disk: those made at one moment may be a few more
)

// defaultService is the one that an app has from the start.
func (a *API) defaultService(app string) access.Service {
	return access.Service{SID: access.DefaultServiceSID(app), App: app, Name: app, CodeLength: a.CodeLength}
}

// serviceOf returns a service of the app. Another app's is not there.
func (a *API) serviceOf(ctx context.Context, app, sid string) (access.Service, error) {
	if _, ok := sidBits(sid, access.ServicePrefix); !ok {
		return access.Service{}, access.ErrNoService // not every store can look for any text
	}
	s, err := a.Services.Service(ctx, sid)
	switch {
	case errors.Is(err, access.ErrNoService) && sid == access.DefaultServiceSID(app):
		return a.defaultService(app), nil
	case err != nil:
		return s, err
	case s.App != app:
		return s, access.ErrNoService
	}
	return s, nil
}

// servicesOf are all of the app's, the one from the start first.
func (a *API) servicesOf(ctx context.Context, app string) ([]access.Service, error) {
	all, err := a.Services.Services(ctx, app)
	if err != nil {
		return nil, err
	}
	first := a.defaultService(app)
	list := []access.Service{first}
	for _, s := range all {
		if s.SID == first.SID {
			list[0] = s
			continue
		}
		list = append(list, s)
	}
	return list, nil
}

func (a *API) createService(ctx context.Context, c *call) (int, any, error) {
	if c.form["FriendlyName"] == "" {
		return 0, nil, invalid("FriendlyName", "it is missing")
	}
	s := access.Service{App: c.caller.App, CodeLength: max(a.CodeLength, verify.MinCodeLength), CreatedAt: a.now().UTC()}
	if err := a.apply(&s, c.form); err != nil {
		return 0, nil, err
	}
	all, err := a.servicesOf(ctx, s.App)
	if err != nil {
		return 0, nil, err
	}
	if len(all) >= maxServices {
		return 0, nil, fault(codeInvalid).because("an account has at most " + strconv.Itoa(maxServices) + " services")
	}
	var b [16]byte
	if _, err := io.ReadFull(a.random, b[:]); err != nil {
		return 0, nil, fmt.Errorf("twilioverify: draw a sid: %w", err)
	}
	s.SID = access.ServicePrefix + hex.EncodeToString(b[:])
	if err := a.Services.SaveService(ctx, s); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, renderService(s, c.base), nil
}

func (a *API) updateService(ctx context.Context, c *call) (int, any, error) {
	s := c.service
	if err := a.apply(&s, c.form); err != nil {
		return 0, nil, err
	}
	if s.CreatedAt.IsZero() {
		s.CreatedAt = s.UpdatedAt // of the one from the start, nobody knows when that was
	}
	if err := a.Services.SaveService(ctx, s); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, renderService(s, c.base), nil
}

// apply takes over what the form says of a service.
func (a *API) apply(s *access.Service, f form) (err error) {
	s.UpdatedAt = a.now().UTC()
	if name := f["FriendlyName"]; name != "" {
		if sentence := wrongName(name); sentence != "" {
			return invalid("FriendlyName", sentence)
		}
		s.Name = name
	}
	if text := f["CodeLength"]; text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < minServiceCode || n > verify.MaxCodeLength:
			return invalid("CodeLength", "it is 4 to 10")
		case n < a.CodeLength:
			return invalid("CodeLength", "the operator of this service has codes of "+strconv.Itoa(a.CodeLength)+" digits and more")
		}
		s.CodeLength = n
	}
	for _, name := range []string{"SkipSmsToLandlines", "DtmfInputRequired"} {
		if _, err := f.flag(name, false); err != nil {
			return err
		}
	}
	s.CustomCode, err = f.flag("CustomCodeEnabled", s.CustomCode)
	return err
}

// wrongName says what is wrong with a friendly name.
func wrongName(name string) string {
	digits := 0
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return "it has characters that cannot be shown"
		}
		if unicode.IsDigit(r) {
			digits++
		}
	}
	switch {
	case !utf8.ValidString(name), utf8.RuneCountInString(name) > maxName:
		return "it is longer than 32 characters"
	case digits > maxNameDigits:
		return "it has more than four digits" // a name could pass for a code
	}
	return ""
}

func (a *API) fetchService(_ context.Context, c *call) (int, any, error) {
	return http.StatusOK, renderService(c.service, c.base), nil
}

func (a *API) listServices(ctx context.Context, c *call) (int, any, error) {
	p, err := readPage(c.form)
	if err != nil {
		return 0, nil, err
	}
	all, err := a.servicesOf(ctx, c.caller.App)
	if err != nil {
		return 0, nil, err
	}
	begin := 0
	if p.token != "" {
		for begin < len(all) && all[begin].SID != p.token {
			begin++
		}
		if begin == len(all) {
			return 0, nil, wrongList("PageToken", "it is none of ours")
		}
	}
	end := min(begin+p.size, len(all))
	list := make([]Service, 0, end-begin)
	for _, s := range all[begin:end] {
		list = append(list, renderService(s, c.base))
	}
	next := ""
	if end < len(all) {
		next = all[end].SID
	}
	return http.StatusOK, map[string]any{"meta": p.meta(c, "services", next), "services": list}, nil
}
