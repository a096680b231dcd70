package postgres

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/verify"
)

// micros is how times stand in columns.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func encode(record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return data, nil
}

// codec reads records. Reading a number means looking it up in the number
// plans, which costs more than the rest of a record: those of the last
// thousands of numbers are remembered.
type codec struct {
	mu      sync.Mutex
	numbers recent[string, phone.Number]
}

// numbersKept bounds the remembered numbers: about 2 MB.
const numbersKept = 8192

func newCodec() *codec { return &codec{numbers: newRecent[string, phone.Number](numbersKept)} }

func (c *codec) number(e164 string) (phone.Number, error) {
	if e164 == "" {
		return phone.Number{}, nil
	}
	c.mu.Lock()
	n, ok := c.numbers.get(e164)
	c.mu.Unlock()
	if ok {
		return n, nil
	}
	n, err := phone.Parse(e164)
	if err != nil {
		return phone.Number{}, err
	}
	c.mu.Lock()
	c.numbers.put(e164, n)
	c.mu.Unlock()
	return n, nil
}

func (c *codec) verification(id, number string, data []byte) (*verify.Verification, error) {
	v := &verify.Verification{}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("verification %s: %w", id, err)}
	}
	to, err := c.number(number)
	if err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("verification %s: %w", id, err)}
	}
	v.ID, v.To = id, to
	return v, nil
}

func (c *codec) subject(key verify.SubjectKey, data []byte) (*verify.Subject, error) {
	s := &verify.Subject{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("a subject: %w", err)}
	}
	s.Key = key
	return s, nil
}

func (c *codec) idem(data []byte) (*verify.IdemRow, error) {
	r := &verify.IdemRow{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("an idempotency key: %w", err)}
	}
	return r, nil
}
