package transfer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Bite is how many rows are handed over at once: enough to pay for a round trip,
// and about a megabyte at most.
const Bite = 500

// Source hands every row of a store to each, in bites, and returns when there
// are no more. Verifications come by the day on which they were made. An error
// of each ends it, and is returned.
type Source func(ctx context.Context, each func(Rows) error) error

// Rows are some rows of a store. Times are microseconds since 1970, UTC; zero is
// none.
type Rows struct {
	Verifications []Verification
	Subjects      []Subject
	Counters      []Counters
	Idems         []Idem
	APIKeys       []APIKey
	Services      []Service
	Events        []Event // the oldest first
}

// Verification is a verification with its sends.
type Verification struct {
	ID, Number string
	Ended, Due int64
	Data       []byte
}

// Subject is a number as one app uses it.
type Subject struct {
	Key           []byte
	Quiet, Failed int64
	Data          []byte
}

// Counters are the limits' counters of one place.
type Counters struct {
	Place, Expires int64
	Data           []byte
}

// Idem is an idempotency key.
type Idem struct {
	Key     []byte
	Expires int64
	Data    []byte
}

// APIKey is an API key; Used is a count of days since 1970.
type APIKey struct {
	ID                              string
	Hash                            []byte
	Name, App, Scopes               string
	Created, Used, Revoked, Expires int64
}

// Service is a service of an app.
type Service struct {
	SID, App string
	Created  int64
	Data     []byte
}

// Event is an event that an app is to be told.
type Event struct {
	ID, App, Type, Key  string
	Created, Due, Tries int64
	Payload             []byte
}

// Counts says how many rows of each kind there are.
type Counts struct {
	Verifications, Subjects, Counters, Idems, APIKeys, Services, Events int64
}

// Count counts the rows.
func (r Rows) Count() Counts {
	return Counts{int64(len(r.Verifications)), int64(len(r.Subjects)), int64(len(r.Counters)), int64(len(r.Idems)), int64(len(r.APIKeys)), int64(len(r.Services)), int64(len(r.Events))}
}

// Add adds what other counts.
func (c *Counts) Add(other Counts) {
	c.Verifications += other.Verifications
	c.Subjects += other.Subjects
	c.Counters += other.Counters
	c.Idems += other.Idems
	c.APIKeys += other.APIKeys
	c.Services += other.Services
	c.Events += other.Events
}

// String is the counts in words, as "3 verifications, 1 API key"; those of none
// are left out.
func (c Counts) String() string {
	var words []string
	for _, kind := range []struct {
		n         int64
		one, many string
	}{
		{c.Verifications, "verification", "verifications"},
		{c.Subjects, "subject", "subjects"},
		{c.Counters, "row of counters", "rows of counters"},
		{c.Idems, "idempotency key", "idempotency keys"},
		{c.APIKeys, "API key", "API keys"},
	} {
		switch kind.n {
		case 0:
		case 1:
			words = append(words, "1 "+kind.one)
		default:
			words = append(words, strconv.FormatInt(kind.n, 10)+" "+kind.many)
		}
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// Tables are the counts by the names of the tables, which every store has.
func (c Counts) Tables() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		_ = yield("verifications", c.Verifications) && yield("subjects", c.Subjects) && yield("counters", c.Counters) &&
			yield("idems", c.Idems) && yield("api_keys", c.APIKeys) && yield("services", c.Services) && yield("events", c.Events)
	}
}

// CreatedIn is when the verification of a record was made; zero when the record
// does not tell.
func CreatedIn(data []byte) int64 {
	var record struct {
		Created time.Time `json:"created"`
	}
	if json.Unmarshal(data, &record) != nil || record.Created.IsZero() {
		return 0
	}
	return record.Created.UnixMicro()
}

// SubjectIn is the key of the subject of a verification's record; empty when the
// record does not tell.
func SubjectIn(data []byte) []byte {
	var record struct {
		Subject string `json:"subject"`
	}
	if json.Unmarshal(data, &record) != nil {
		return []byte{}
	}
	key, err := base64.RawURLEncoding.DecodeString(record.Subject)
	if err != nil {
		return []byte{}
	}
	return key
}
