package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// BenchmarkList reads 10,000 rows, each of another number.
func BenchmarkList(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "sixdigit.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const rows = 10_000
	done := make(chan error, rows)
	for i := range rows {
		go func() {
			id := fmt.Sprintf("ah0g%022d", i)
			to, err := phone.Parse(fmt.Sprintf("+1415555%04d", i))
			if err != nil {
				done <- err
				return
			}
			_, err = s.Do(b.Context(), verify.Op{Subject: verify.SubjectKey{byte(i), byte(i >> 8)}, Decide: func(now time.Time, _ *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
				return verify.Decision{Verification: &verify.Verification{
					ID: id, App: "shop", To: to, Usage: "SignIn", Channel: verify.ChannelSMS, Status: verify.StatusApproved, KeyID: "k1", Generation: 1, CodeLength: 6,
					Service: "VA00000000000000000000000000000000", Name: "Corner shop", CreatedAt: now, ExpiresAt: now.Add(time.Minute),
					Sends: []verify.Send{{ID: id + ".1", Channel: verify.ChannelSMS, Connector: "twilio", Status: "delivered", ProviderID: "SM00000000000000000000000000000000", Generation: 1, Segments: 1, CreatedAt: now, UpdatedAt: now, Epoch: 1}},
				}}, nil
			}})
			done <- err
		}()
	}
	for range rows {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		found, err := s.List(b.Context(), "", "vvvvvvvvvvvvvvvvvvvvvvvvvv", rows)
		if err != nil || len(found) != rows {
			b.Fatalf("%d rows, %v", len(found), err)
		}
	}
}
