package verify

import (
	"encoding/json"
	"fmt"

	"github.com/sixdigit/sixdigit/phone"
)

// ReadVerification reads what Record wrote. number is in E.164; empty is none.
// It fails with a *RowError, as the other readers do.
func ReadVerification(id, number string, data []byte) (*Verification, error) {
	v := &Verification{}
	quick := scanner{in: string(data)}
	if quick.verification(v); !quick.done() {
		v = &Verification{}
		if err := json.Unmarshal(data, v); err != nil {
			return nil, &RowError{fmt.Errorf("verification %s: %w", id, err)}
		}
	}
	v.ID = id
	if number == "" {
		return v, nil
	}
	var err error
	if v.To, err = phone.Stored(number); err != nil {
		return nil, &RowError{fmt.Errorf("verification %s: %w", id, err)}
	}
	return v, nil
}

// ReadSubject reads what Record wrote.
func ReadSubject(key SubjectKey, data []byte) (*Subject, error) {
	s := &Subject{}
	quick := scanner{in: string(data)}
	if quick.subject(s); !quick.done() {
		s = &Subject{}
		if err := json.Unmarshal(data, s); err != nil {
			return nil, &RowError{fmt.Errorf("a subject: %w", err)}
		}
	}
	s.Key = key
	return s, nil
}

// ReadIdem reads what Record wrote.
func ReadIdem(data []byte) (*IdemRow, error) {
	r := &IdemRow{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, &RowError{fmt.Errorf("an idempotency key: %w", err)}
	}
	return r, nil
}
