package twiliosim

import (
	"net/http"
	"slices"
	"time"
)

// accountJSON is the Account resource. Twilio returns the token in it.
type accountJSON struct {
	SID             string            `json:"sid"`
	OwnerAccountSID string            `json:"owner_account_sid"`
	FriendlyName    string            `json:"friendly_name"`
	Status          string            `json:"status"`
	Type            string            `json:"type"`
	AuthToken       string            `json:"auth_token"`
	DateCreated     string            `json:"date_created"`
	DateUpdated     string            `json:"date_updated"`
	URI             string            `json:"uri"`
	SubresourceURIs map[string]string `json:"subresource_uris"`
}

func (a *account) resource() *accountJSON {
	uri := v2010 + a.sid
	j := &accountJSON{
		SID: a.sid, OwnerAccountSID: a.sid, FriendlyName: "Simulated account", Status: "active", Type: "Full",
		AuthToken: a.token, DateCreated: rfc2822Time(a.created), DateUpdated: rfc2822Time(a.created),
		URI: uri + ".json", SubresourceURIs: map[string]string{},
	}
	if a.trial {
		j.Type = "Trial"
	}
	for key, name := range map[string]string{
		"messages": "Messages", "balance": "Balance", "keys": "Keys",
		"incoming_phone_numbers": "IncomingPhoneNumbers", "outgoing_caller_ids": "OutgoingCallerIds",
		"available_phone_numbers": "AvailablePhoneNumbers",
	} {
		j.SubresourceURIs[key] = uri + "/" + name + ".json"
	}
	return j
}

// getAccount answers GET Accounts/{sid}.json.
func (s *Server) getAccount(x *exchange) (int, any, *apiError) {
	return http.StatusOK, x.who.acct.resource(), nil
}

// listAccounts answers GET Accounts.json: there is one.
func (s *Server) listAccounts(x *exchange) (int, any, *apiError) {
	return listOf(x, "accounts", []*accountJSON{x.who.acct.resource()})
}

// getBalance answers GET Balance.json. The balance never changes: nothing is
// spent here.
func (s *Server) getBalance(x *exchange) (int, any, *apiError) {
	return http.StatusOK, map[string]string{"account_sid": x.who.acct.sid, "balance": "100.00", "currency": "USD"}, nil
}

// callerIDJSON is a verified number of a trial account.
type callerIDJSON struct {
	SID          string `json:"sid"`
	AccountSID   string `json:"account_sid"`
	FriendlyName string `json:"friendly_name"`
	PhoneNumber  string `json:"phone_number"`
	DateCreated  string `json:"date_created"`
	DateUpdated  string `json:"date_updated"`
	URI          string `json:"uri"`
}

// listCallerIDs answers GET OutgoingCallerIds.json, the verified numbers.
func (s *Server) listCallerIDs(x *exchange) (int, any, *apiError) {
	want := x.query().get("PhoneNumber")
	var all []callerIDJSON
	created := rfc2822Time(x.who.acct.created)
	for i, n := range s.o.VerifiedNumbers {
		if want != "" && want != n {
			continue
		}
		sid := s.reg.callerIDs[i]
		all = append(all, callerIDJSON{
			SID: sid, AccountSID: x.who.acct.sid, FriendlyName: n, PhoneNumber: n,
			DateCreated: created, DateUpdated: created,
			URI: v2010 + x.who.acct.sid + "/OutgoingCallerIds/" + sid + ".json",
		})
	}
	return listOf(x, "outgoing_caller_ids", all)
}

// keyJSON is the Key resource; the secret is shown once, on creation.
type keyJSON struct {
	SID          string `json:"sid"`
	FriendlyName string `json:"friendly_name"`
	DateCreated  string `json:"date_created"`
	DateUpdated  string `json:"date_updated"`
	Secret       string `json:"secret,omitempty"`
}

func (k *apiKey) resource() keyJSON {
	return keyJSON{SID: k.sid, FriendlyName: k.name, DateCreated: rfc2822Time(k.created), DateUpdated: rfc2822Time(k.created)}
}

// createKey answers POST Keys.json: a standard key, as at Twilio. Main keys
// are made in the console there, and by POST /sim/keys here.
func (s *Server) createKey(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	k := s.reg.newKey(s.ids, p.get("FriendlyName"), false)
	j := k.resource()
	j.Secret = k.secret
	return http.StatusCreated, j, nil
}

func (s *Server) listKeys(x *exchange) (int, any, *apiError) {
	return listOf(x, "keys", s.reg.listKeys())
}

func (s *Server) getKey(x *exchange) (int, any, *apiError) {
	k := s.reg.key(x.path[1])
	if k == nil {
		return 0, nil, x.missing()
	}
	return http.StatusOK, k.resource(), nil
}

func (s *Server) deleteKey(x *exchange) (int, any, *apiError) {
	if !s.reg.dropKey(x.path[1]) {
		return 0, nil, x.missing()
	}
	return http.StatusNoContent, nil, nil
}

// The keys of the registry.

func (g *registry) newKey(ids *idSource, name string, main bool) apiKey {
	k := &apiKey{sid: ids.sid("SK"), secret: ids.secret(), name: short(name), main: main, created: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.keys) >= maxKept {
		g.keys = slices.Delete(g.keys, 0, 1) // the oldest makes room
	}
	g.keys = append(g.keys, k)
	return *k
}

// key returns a key, which nothing changes afterwards, or nil.
func (g *registry) key(sid string) *apiKey {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, k := range g.keys {
		if k.sid == sid {
			return k
		}
	}
	return nil
}

func (g *registry) listKeys() []keyJSON {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]keyJSON, len(g.keys))
	for i, k := range g.keys {
		out[i] = k.resource()
	}
	return out
}

func (g *registry) dropKey(sid string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.keys)
	g.keys = slices.DeleteFunc(g.keys, func(k *apiKey) bool { return k.sid == sid })
	return len(g.keys) < n
}
