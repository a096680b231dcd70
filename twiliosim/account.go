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
func (s *Server) getAccount(x *exchange) { x.json(http.StatusOK, x.who.acct.resource()) }

// listAccounts answers GET Accounts.json: there is one.
func (s *Server) listAccounts(x *exchange) {
	x.page("accounts", []any{x.who.acct.resource()}, pageOf{})
}

// getBalance answers GET Balance.json. The balance never changes: nothing is
// spent here.
func (s *Server) getBalance(x *exchange) {
	x.json(http.StatusOK, map[string]string{"account_sid": x.account, "balance": "100.00", "currency": "USD"})
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
func (s *Server) listCallerIDs(x *exchange) {
	q := params(x.r.URL.Query())
	pg, e := parsePage(q)
	if e != nil {
		x.fail(e)
		return
	}
	var all []callerIDJSON
	created := rfc2822Time(x.who.acct.created)
	for i, n := range s.o.VerifiedNumbers {
		if want := q.get("PhoneNumber"); want != "" && want != n {
			continue
		}
		sid := s.reg.callerIDs[i]
		all = append(all, callerIDJSON{
			SID: sid, AccountSID: x.account, FriendlyName: n, PhoneNumber: n,
			DateCreated: created, DateUpdated: created,
			URI: v2010 + x.account + "/OutgoingCallerIds/" + sid + ".json",
		})
	}
	items, pg := cut(all, pg)
	x.page("outgoing_caller_ids", items, pg)
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
func (s *Server) createKey(x *exchange) {
	p, e := x.form()
	if e != nil {
		x.fail(e)
		return
	}
	k := s.reg.newKey(s.ids, p.get("FriendlyName"), false)
	j := k.resource()
	j.Secret = k.secret
	x.json(http.StatusCreated, j)
}

func (s *Server) listKeys(x *exchange) {
	pg, e := parsePage(params(x.r.URL.Query()))
	if e != nil {
		x.fail(e)
		return
	}
	items, pg := cut(s.reg.listKeys(), pg)
	x.page("keys", items, pg)
}

func (s *Server) getKey(x *exchange) {
	k := s.reg.key(x.path[1])
	if k == nil {
		x.notFound()
		return
	}
	x.json(http.StatusOK, k.resource())
}

func (s *Server) deleteKey(x *exchange) {
	if !s.reg.dropKey(x.path[1]) {
		x.notFound()
		return
	}
	x.noContent()
}

// The keys of the registry.

func (g *registry) newKey(ids *idSource, name string, main bool) apiKey {
	k := &apiKey{sid: ids.sid("SK"), secret: ids.secret(), name: name, main: main, created: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
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
