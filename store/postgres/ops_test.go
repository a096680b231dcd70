package postgres_test

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// idOf is a verification's id of a day, as the service draws them.
func idOf(day time.Time, n int) string {
	var b [16]byte
	binary.BigEndian.PutUint16(b[:], uint16(day.Unix()/86400))
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	return base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding).EncodeToString(b[:])
}

func subjectKey(format string, args ...any) (k verify.SubjectKey) {
	copy(k[:], fmt.Sprintf(format, args...))
	return k
}

func limitKey(format string, args ...any) (k verify.LimitKey) {
	copy(k[:], fmt.Sprintf(format, args...))
	return k
}

func mac(format string, args ...any) verify.MAC { return verify.MAC(subjectKey(format, args...)) }

// start makes a verification of a subject that has the same name.
func start(id string, charges ...verify.Charge) verify.Op {
	key := subjectKey("%s", id)
	return verify.Op{Subject: key, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		to, err := phone.Parse("+14155552671")
		if err != nil {
			return verify.Decision{}, err
		}
		v := &verify.Verification{ID: id, App: "app", Subject: key, To: to, Status: verify.StatusPending, MaxChecks: 5, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)}
		s.Pending = append(s.Pending, verify.Pending{ID: id, ExpiresAt: v.ExpiresAt})
		return verify.Decision{Result: id, Verification: v, Subject: s, Charges: charges}, nil
	}}
}

// count adds a check to a verification and its subject and returns how many it
// has.
func count(id string) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Checks++
		s.Failures++
		return verify.Decision{Result: v.Checks, Verification: v, Subject: s}, nil
	}}
}

// guess counts a check, if one is left.
func guess(id string) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if v.Checks >= v.MaxChecks {
			return verify.Decision{Result: 0}, nil
		}
		v.Checks++
		return verify.Decision{Result: v.Checks, Verification: v}, nil
	}}
}

// approve approves a verification, once.
func approve(id string) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if v.Status != verify.StatusPending {
			return verify.Decision{Result: false}, nil
		}
		v.Status, v.EndedAt, s.Pending = verify.StatusApproved, now, nil
		return verify.Decision{Result: true, Verification: v, Subject: s}, nil
	}}
}

func charging(subject string, charges ...verify.Charge) verify.Op {
	return verify.Op{Subject: subjectKey("%s", subject), Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Charges: charges}, nil
	}}
}

func do(t testing.TB, s *postgres.Store, op verify.Op) any {
	t.Helper()
	result, err := s.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// query asks the database for one value, past the store.
func query(t testing.TB, url, q string, value any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), q).Scan(value); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
