package verify

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// KeySize is the size of a server key in bytes.
const KeySize = 32

// ServerKey is one key of the server, from which every other key is derived.
// Whoever has it and the database can compute codes.
type ServerKey struct {
	ID     string // 1 to 32 letters and digits; kept with each verification
	Secret secret.String
}

// Keyring derives what must be secret or unlinkable from the server's keys. The
// first key makes new records, the others still read old ones: keep a key for
// as long as a code made with it lives. What is looked up by an HMAC starts
// anew with a new key: limits, opt-outs, failures, sessions and idempotency keys.
type Keyring struct {
	current *subkeys
	byID    map[string]*subkeys
}

// subkeys are HKDF-SHA-256 outputs, one for each purpose, so that no two uses
// share a key.
type subkeys struct {
	id                                 string
	seal                               []byte
	code, number, session, limit, idem *macKey
	custom                             *macKey // of codes that callers make
}

// NewKeyring makes a keyring; the first key is the current one.
func NewKeyring(keys ...ServerKey) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("verify: a keyring needs a key")
	}
	ring := &Keyring{byID: map[string]*subkeys{}}
	for i, k := range keys {
		// A slip in the config may put the key where its id belongs: errors name
		// keys by their position.
		if len(k.Secret.Reveal()) != KeySize {
			return nil, fmt.Errorf("verify: key %d has not %d bytes", i+1, KeySize)
		}
		if _, twice := ring.byID[k.ID]; twice || !validKeyID(k.ID) {
			return nil, fmt.Errorf("verify: the id of key %d stands twice or is not 1 to 32 letters and digits", i+1)
		}
		s, err := deriveSubkeys(k)
		if err != nil {
			return nil, err
		}
		if ring.current == nil {
			ring.current = s
		}
		ring.byID[k.ID] = s
	}
	return ring, nil
}

func validKeyID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return id != "" && len(id) <= 32
}

func deriveSubkeys(k ServerKey) (*subkeys, error) {
	s := &subkeys{id: k.ID}
	for purpose, use := range map[string]func(key []byte){
		"code":    func(key []byte) { s.code = newMACKey(key) },
		"seal":    func(key []byte) { s.seal = key },
		"number":  func(key []byte) { s.number = newMACKey(key) },
		"session": func(key []byte) { s.session = newMACKey(key) },
		"limit":   func(key []byte) { s.limit = newMACKey(key) },
		"idem":    func(key []byte) { s.idem = newMACKey(key) },
		"custom":  func(key []byte) { s.custom = newMACKey(key) },
	} {
		key, err := hkdf.Key(sha256.New, []byte(k.Secret.Reveal()), nil, "sixdigit/v1/"+purpose, KeySize)
		if err != nil {
			return nil, fmt.Errorf("verify: derive the %s key: %w", purpose, err)
		}
		use(key)
	}
	return s, nil
}

// Has reports whether codes made with the key can still be checked.
func (r *Keyring) Has(id string) bool { return r.byID[id] != nil }

// CurrentID names the key that makes new records.
func (r *Keyring) CurrentID() string { return r.current.id }

// macKey makes HMACs under one key. To set a key up costs as much as a short
// HMAC, and a start needs a score of them: what was set up is used again.
type macKey struct{ states sync.Pool }

type macState struct {
	h       hash.Hash
	in, out []byte
}

func newMACKey(key []byte) *macKey {
	return &macKey{states: sync.Pool{New: func() any { return &macState{h: hmac.New(sha256.New, key)} }}}
}

// mac is an HMAC over length-prefixed parts: no two lists of parts are alike.
func (k *macKey) mac(parts ...string) MAC {
	return k.sum(func(b []byte) []byte {
		for _, p := range parts {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p))) // #nosec G115 -- parts are bounded requests
			b = append(b, p...)
		}
		return b
	})
}

// sum is the HMAC of what is appended.
func (k *macKey) sum(what func(b []byte) []byte) MAC {
	s := k.states.Get().(*macState)
	defer k.states.Put(s)
	s.in = what(s.in[:0])
	s.h.Reset()
	s.h.Write(s.in)
	s.out = s.h.Sum(s.out[:0])
	return MAC(s.out)
}

// Subject names the subject of app and number.
func (r *Keyring) Subject(app string, to phone.Number) SubjectKey {
	return r.current.subject(app, to)
}

func (k *subkeys) subject(app string, to phone.Number) SubjectKey {
	return SubjectKey(k.number.mac("subject", app, to.E164()))
}

// session names a caller's session for one usage: another usage's verification
// is never joined.
func (r *Keyring) session(app, session string, usage sms.UsageType) MAC {
	if session == "" {
		return MAC{}
	}
	return r.current.session.mac(app, session, string(usage))
}

// place names what a limit counts: a number, a network, a country.
func (k *subkeys) place(thing string) MAC { return k.limit.mac("place", thing) }

// limitKey names a limit's counter at a place, for one app or, where app is empty,
// for all.
func (k *subkeys) limitKey(limit Limit, app string, place MAC) (key LimitKey) {
	own := k.limit.mac("limit", limit.Name, app)
	copy(key[len(key)/2:], own[:])
	key.move(place)
	return key
}

// Idem returns what is kept of an Idempotency-Key and of the body it came with.
func (r *Keyring) Idem(app, route, key string, body []byte) *Idem {
	return &Idem{
		Key:  r.current.idem.mac("key", app, route, key),
		Body: r.current.idem.mac("body", string(body)),
	}
}
