package verify

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// likeJSON holds the scanner to encoding/json: where it does not give up, both
// read the same.
func likeJSON[T any](t *testing.T, data []byte, scan func(*scanner, *T)) (understood bool) {
	t.Helper()
	var got, want T
	s := scanner{in: string(data)}
	scan(&s, &got)
	if !s.done() {
		return false
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatalf("%s\nis read, and encoding/json says %v", data, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\nis read otherwise than encoding/json does (-want +got):\n%s", data, cmp.Diff(want, got, cmp.AllowUnexported(Subject{})))
	}
	return true
}

// ordinary are records as they are in the hot path.
func ordinary(now time.Time) (*Verification, *Subject) {
	v := &Verification{
		App: "shop", Usage: "SignIn", Locale: "de", Channel: ChannelSMS, Status: StatusPending, KeyID: "k1", Network: MAC{1}, Salt: Salt{2}, Subject: SubjectKey{3},
		Generation: 1, CodeLength: 6, MaxChecks: 5, MaxSends: 5, CreatedAt: now, ExpiresAt: now.Add(time.Minute), ResendAfter: now,
		Sends: []Send{{ID: "0abc.1", Channel: ChannelSMS, Connector: "twilio", Status: "accepted", ProviderID: "SM0", Generation: 1, Segments: 1, CreatedAt: now, UpdatedAt: now, NextAt: now, Epoch: 1}},
	}
	return v, &Subject{Failures: 2, FailedAt: now, Pending: []Pending{{ID: "0abc", ExpiresAt: now}}}
}

// TestScan reads records of every shape, and the ordinary ones without help.
func TestScan(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	understood := 0
	for range 3000 {
		v, s := &Verification{}, &Subject{}
		fill(r, reflect.ValueOf(v).Elem())
		fill(r, reflect.ValueOf(s).Elem())
		for _, data := range [][]byte{v.Record(), s.Record()} {
			// A byte that is wrong, sometimes.
			if r.IntN(4) == 0 {
				data[r.IntN(len(data))] = `"{}[],:0tn-9Z.\\`[r.IntN(16)]
			}
			if likeJSON(t, data, (*scanner).verification) {
				understood++
			}
			if likeJSON(t, data, (*scanner).subject) {
				understood++
			}
		}
	}
	if understood == 0 {
		t.Error("nothing was understood")
	}
	for _, now := range []time.Time{time.UnixMicro(1_760_000_000_123_450).UTC(), time.Unix(1_760_000_000, 0).UTC()} {
		v, s := ordinary(now)
		if !likeJSON(t, v.Record(), (*scanner).verification) || !likeJSON(t, s.Record(), (*scanner).subject) {
			t.Errorf("ordinary records are left to encoding/json: %s, %s", v.Record(), s.Record())
		}
	}
}

// FuzzScan compares the scanner with encoding/json on anything.
func FuzzScan(f *testing.F) {
	v, s := ordinary(time.UnixMicro(1_760_000_000_123_456).UTC())
	f.Add(v.Record())
	f.Add(s.Record())
	v.Metadata, v.Sealed, v.Test = map[string]string{"a": "b"}, []byte{1, 2}, true
	f.Add(v.Record())
	f.Fuzz(func(t *testing.T, data []byte) {
		likeJSON(t, data, (*scanner).verification)
		likeJSON(t, data, (*scanner).subject)
	})
}
