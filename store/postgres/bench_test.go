package postgres_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// callers is how many call at once, each waiting for its answer.
const callers = 64

// load is a service's traffic, without what the service itself computes.
type load struct {
	store   *postgres.Store
	batches atomic.Int64
	limits  verify.Limits
	next    atomic.Int64
	numbers []phone.Number
}

func newLoad(tb testing.TB, url string) *load {
	limits := verify.DefaultPolicy().Limits
	for _, l := range limits.Each() {
		l.Burst = 1 << 30 // each is charged, none refuses
	}
	l := &load{limits: limits}
	l.store = open(tb, postgres.Options{URL: secret.New(url), Observe: func(int, time.Duration) { l.batches.Add(1) }})
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

// benchKey is the counter of a limit at a place, as a start names it.
func benchKey(limit, kind byte, n int64) verify.LimitKey {
	place := key(kind, n)
	k := verify.LimitKey(place[:16])
	k[7], k[8] = kind, limit
	return k
}

// charges are those of a start: four counters of a number, three of an address,
// the others shared by many.
func (l *load) charges(n int64) []verify.Charge {
	number, ip, prefix, country := n%200_000, n%50_000, n%2000, n%20
	return []verify.Charge{
		{Limit: l.limits.AppNumber, Key: benchKey(1, 1, number)}, {Limit: l.limits.AppNumberDaily, Key: benchKey(2, 1, number)},
		{Limit: l.limits.AppIP, Key: benchKey(3, 2, ip)}, {Limit: l.limits.AppIPDaily, Key: benchKey(4, 2, ip)},
		{Limit: l.limits.AppPrefix, Key: benchKey(5, 3, prefix)}, {Limit: l.limits.AppPrefixDaily, Key: benchKey(6, 3, prefix)},
		{Limit: l.limits.AppCountry, Key: benchKey(7, 4, country)}, {Limit: l.limits.AppCountryDaily, Key: benchKey(8, 4, country)},
		{Limit: l.limits.Number, Key: benchKey(9, 1, number)}, {Limit: l.limits.NumberDaily, Key: benchKey(10, 1, number)},
		{Limit: l.limits.IP, Key: benchKey(11, 2, ip)}, {Limit: l.limits.Prefix, Key: benchKey(12, 3, prefix)},
		{Limit: l.limits.All, Key: benchKey(13, 5, 0)}, {Limit: l.limits.AllDaily, Key: benchKey(14, 5, 0)},
	}
}

// placesOf are those of charges, each once.
func placesOf(charges []verify.Charge) (places []verify.Place) {
	for _, c := range charges {
		if p := c.Key.Place(); !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return places
}

func benchID(n int64) string {
	k := key(20, n)
	return idOf(time.Now(), 0)[:4] + fmt.Sprintf("%022x", k[:11])
}

// start is the first transaction of a start; sent is the second.
func (l *load) start(ctx context.Context) (string, error) {
	n := l.next.Add(1)
	id, subject := benchID(n), verify.SubjectKey(key(21, n%200_000))
	charges := l.charges(n)
	_, err := l.store.Do(ctx, verify.Op{Subject: subject, Places: placesOf(charges), Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
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
		return verify.Decision{Verification: v, Subject: s, Charges: charges}, nil
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

// serverCPU is the CPU time of all processes of the server so far, as Linux tells
// it; zero elsewhere.
func serverCPU(b *testing.B) (total time.Duration) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(shared.Server(b).Data(), "postmaster.pid"))
	if err != nil {
		b.Fatal(err)
	}
	server, _, _ := strings.Cut(string(text), "\n")
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // its only error is a bad pattern
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (name) state parent … utime stime cutime cstime, in hundredths
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		own := strings.HasPrefix(string(text), server+" ")
		if !own && fields[1] != server {
			continue
		}
		for i, field := range fields[11:15] {
			n, err := strconv.Atoi(field)
			if err == nil && (own || i < 2) {
				total += time.Duration(n) * 10 * time.Millisecond
			}
		}
	}
	return total
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
	before, batches, server := cpu(), l.batches.Load(), serverCPU(b)
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
	b.ReportMetric(float64((serverCPU(b)-server).Microseconds())/float64(b.N), "server-µs/op")
}

// BenchmarkStore is run with -benchtime=100000x or so; the temporary folder must
// be on a real disk for its figures to say something.
func BenchmarkStore(b *testing.B) {
	l := newLoad(b, database(b))
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
