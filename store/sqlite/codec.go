package sqlite

import (
	"encoding/json"
	"fmt"
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

func readVerification(id, number string, data []byte) (*verify.Verification, error) {
	v := &verify.Verification{}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("verification %s: %w", id, err)}
	}
	v.ID = id
	if number == "" {
		return v, nil
	}
	var err error
	if v.To, err = phone.Stored(number); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("verification %s: %w", id, err)}
	}
	return v, nil
}

func readSubject(key verify.SubjectKey, data []byte) (*verify.Subject, error) {
	s := &verify.Subject{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("a subject: %w", err)}
	}
	s.Key = key
	return s, nil
}

func readIdem(data []byte) (*verify.IdemRow, error) {
	r := &verify.IdemRow{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, &verify.RowError{Err: fmt.Errorf("an idempotency key: %w", err)}
	}
	return r, nil
}
