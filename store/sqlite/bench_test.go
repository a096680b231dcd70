//go:build linux

package sqlite_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// callers is how many call at once, each waiting for its answer.
const callers = 64

// load is a service's traffic, without what the service itself computes.
type load struct {
	store   *sqlite.Store
	batches atomic.Int64
	limits  verify.Limits
	next    atomic.Int64
	numbers []phone.Number
}

func newLoad(tb testing.TB, dir string) *load {
	limits := verify.DefaultPolicy().Limits
	for _, l := range limits.Each() {
		l.Burst = 1 << 30 // each is charged, none refuses
	}
	l := &load{limits: limits}
	l.store = open(tb, sqlite.Options{Path: filepath.Join(dir, "bench.db"), Observe: func(int, time.Duration) { l.batches.Add(1) }})
	for i := range 10_000 {
		n, err := phone.Parse(fmt.Sprintf("+49151%08d", i*7919))
		if err != nil {
			tb.Fatal(err)
		}
		l.numbers = append(l.numbers, n)
	}
	return l
}

func key(kind byte, n int64) (k [32]byte) {
	k[8] = kind
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9E3779B97F4A7C15) // #nosec G115 -- spread like an HMAC
	return k
}

// limitKey is a counter of one thing of a kind.
func limitKey(counter byte, kind string, n int64) verify.LimitKey {
	k := key(counter, int64(kind[0])<<40+n)
	return verify.LimitKey(k[:16])
}

// charges are those of a start: four counters of a number, two of an address,
// the others shared by many.
func (l *load) charges(n int64) []verify.Charge {
	number, ip, prefix, country := n%200_000, n%50_000, n%2000, n%20
	return []verify.Charge{
		{Limit: l.limits.AppNumber, Key: limitKey(1, "number", number)}, {Limit: l.limits.AppNumberDaily, Key: limitKey(2, "number", number)},
		{Limit: l.limits.AppIP, Key: limitKey(3, "ip", ip)}, {Limit: l.limits.AppIPDaily, Key: limitKey(4, "ip", ip)},
		{Limit: l.limits.AppPrefix, Key: limitKey(5, "prefix", prefix)}, {Limit: l.limits.AppPrefixDaily, Key: limitKey(6, "prefix", prefix)},
		{Limit: l.limits.AppCountry, Key: limitKey(7, "country", country)}, {Limit: l.limits.AppCountryDaily, Key: limitKey(8, "country", country)},
		{Limit: l.limits.Number, Key: limitKey(9, "number", number)}, {Limit: l.limits.NumberDaily, Key: limitKey(10, "number", number)},
		{Limit: l.limits.IP, Key: limitKey(11, "ip", ip)}, {Limit: l.limits.Prefix, Key: limitKey(12, "prefix", prefix)},
		{Limit: l.limits.All, Key: limitKey(13, "all", 0)}, {Limit: l.limits.AllDaily, Key: limitKey(14, "all", 0)},
	}
}

func benchID(n int64) string {
	k := key(20, n)
	return fmt.Sprintf("0abc%022x", k[:11])
}

// start is the first transaction of a start; sent is the second.
func (l *load) start(ctx context.Context) (string, error) {
	n := l.next.Add(1)
	id, subject := benchID(n), verify.SubjectKey(key(21, n%200_000))
	_, err := l.store.Do(ctx, verify.Op{Subject: subject, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		v := &verify.Verification{
			ID: id, App: "shop", Subject: subject, To: l.numbers[n%int64(len(l.numbers))], Usage: "SignIn", Locale: "de", Channel: verify.ChannelSMS,
			Status: verify.StatusPending, Salt: verify.Salt(subject[:16]), KeyID: "k1", CodeLength: 6, MaxChecks: 5, MaxSends: 5,
			CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute), ResendAfter: now.Add(30 * time.Second),
			Sends: []verify.Send{{ID: id + ".1", Channel: verify.ChannelSMS, Connector: "twilio", Status: connector.StatusSending, Segments: 1,
				CreatedAt: now, UpdatedAt: now, LeaseUntil: now.Add(40 * time.Second), NextAt: now.Add(40 * time.Second), Epoch: 1}},
		}
		if len(s.Pending) > 4 {
			s.Pending = s.Pending[1:]
		}
		s.Pending = append(s.Pending, verify.Pending{ID: id, ExpiresAt: v.ExpiresAt})
		return verify.Decision{Verification: v, Subject: s, Charges: l.charges(n)}, nil
	}})
	return id, err
}

func (l *load) sent(ctx context.Context, id string) error {
	_, err := l.store.Do(ctx, verify.Op{ID: id, App: "shop", Decide: func(now time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Sends[0].Status, v.Sends[0].UpdatedAt, v.Sends[0].ProviderID = connector.StatusAccepted, now, "SM00000000000000000000000000000000"
		v.Sends[0].LeaseUntil, v.Sends[0].NextAt = time.Time{}, now.Add(2*time.Minute)
		return verify.Decision{Verification: v}, nil
	}})
	return err
}

// check is a wrong guess: verification and subject both change.
func (l *load) check(ctx context.Context, id string) error {
	_, err := l.store.Do(ctx, verify.Op{ID: id, App: "shop", Decide: func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Checks++
		s.Failures, s.FailedAt = s.Failures+1, now
		return verify.Decision{Verification: v, Subject: s}, nil
	}})
	return err
}

// crowd runs call b.N times by all callers and reports operations and batches a
// second, and the CPU time of an operation.
func (l *load) crowd(b *testing.B, call func(ctx context.Context, i int) error) {
	b.Helper()
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	before, batches := cpu(), l.batches.Load()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := call(b.Context(), int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(l.batches.Load()-batches)/b.Elapsed().Seconds(), "batches/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkStore is run with -benchtime=100000x or so; the temporary folder must
// be on a real disk for its figures to say something.
func BenchmarkStore(b *testing.B) {
	l := newLoad(b, b.TempDir())
	ids := make([]string, 0, b.N)
	b.Run("start", func(b *testing.B) {
		made := make([]string, b.N)
		l.crowd(b, func(ctx context.Context, i int) (err error) {
			made[i], err = l.start(ctx)
			return err
		})
		ids = append(ids, made...)
	})
	b.Run("sent", func(b *testing.B) {
		last := ids[max(0, len(ids)-b.N):]
		l.crowd(b, func(ctx context.Context, i int) error { return l.sent(ctx, last[i%len(last)]) })
	})
	b.Run("check", func(b *testing.B) {
		l.crowd(b, func(ctx context.Context, i int) error { return l.check(ctx, ids[i*7919%len(ids)]) })
	})
	b.Run("start and sent", func(b *testing.B) {
		l.crowd(b, func(ctx context.Context, _ int) error {
			id, err := l.start(ctx)
			if err != nil {
				return err
			}
			return l.sent(ctx, id)
		})
	})
	b.Run("get", func(b *testing.B) {
		l.crowd(b, func(ctx context.Context, i int) error {
			_, err := l.store.Get(ctx, ids[i*7919%len(ids)])
			return err
		})
	})
	b.Run("due", func(b *testing.B) { // nothing, among all those that will be
		l.crowd(b, func(ctx context.Context, _ int) error {
			_, err := l.store.Due(ctx, 64)
			return err
		})
	})
	b.Run("one caller", func(b *testing.B) {
		for range b.N {
			if _, err := l.start(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	})
}

// BenchmarkDisk is the floor: what the disk gives to one writer that appends and
// syncs.
func BenchmarkDisk(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("append %d KiB", size>>10), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			block := make([]byte, size)
			for b.Loop() {
				if _, err := f.Write(block); err != nil {
					b.Fatal(err)
				}
				if err := syscall.Fdatasync(int(f.Fd())); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
		})
	}
}
