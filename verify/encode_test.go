package verify

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// fill sets every field that JSON knows, or leaves it be, as chance has it.
func fill(r *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if r.IntN(3) > 0 {
			v.Set(reflect.ValueOf(time.UnixMicro(r.Int64N(1 << 52)).UTC().Truncate([]time.Duration{1, time.Second}[r.IntN(2)])))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(r, v.Field(i))
			}
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.String:
		v.SetString([]string{"", "plain", "é \"quoted\" \\ <b>&amp;\u2028\n", "\xff\x00", "a/b"}[r.IntN(5)])
	case reflect.Int:
		v.SetInt([]int64{0, 1, -7, r.Int64()}[r.IntN(4)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(r.Uint64N(256))
	case reflect.Array:
		for i := range v.Len() * r.IntN(2) {
			fill(r, v.Index(i))
		}
	case reflect.Slice:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(r, v.Index(i))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, key)
			fill(r, value)
			v.SetMapIndex(key, value)
		}
	default:
		panic("a kind of field that the test does not know: " + v.Type().String())
	}
}

// TestRecordsAreJSON compares what stores keep with what encoding/json writes. A
// field that Record forgot would not survive this.
func TestRecordsAreJSON(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	same := func(record any, got []byte) {
		t.Helper()
		if want, err := json.Marshal(record); err != nil || string(got) != string(want) {
			t.Fatalf("seed %d, %v:\n%s\nwant\n%s", seed, err, got, want)
		}
	}
	same(&Verification{}, (&Verification{}).Record())
	same(&Subject{}, (&Subject{}).Record())
	same(&IdemRow{}, (&IdemRow{}).Record())
	for range 2000 {
		v, s, i := &Verification{}, &Subject{}, &IdemRow{}
		for _, record := range []any{v, s, i} {
			fill(r, reflect.ValueOf(record).Elem())
		}
		same(v, v.Record())
		same(s, s.Record())
		same(i, i.Record())
	}
}

func BenchmarkRecord(b *testing.B) {
	now := time.UnixMicro(1_760_000_000_123_456).UTC()
	v := &Verification{
		App: "shop", Usage: "SignIn", Locale: "de", Channel: ChannelSMS, Status: StatusPending, KeyID: "k1", Network: MAC{1},
		Generation: 1, CodeLength: 6, MaxChecks: 5, MaxSends: 5, CreatedAt: now, ExpiresAt: now, ResendAfter: now,
		Sends: []Send{{ID: "0abc.1", Channel: ChannelSMS, Connector: "twilio", Status: "sending", Generation: 1, Segments: 1, CreatedAt: now, UpdatedAt: now, LeaseUntil: now, NextAt: now, Epoch: 1}},
	}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.Record()
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	data := v.Record()
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadVerification("0abc", "", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read by encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal(data, &Verification{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
