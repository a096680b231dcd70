package main

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/verify"
)

// What the rows of a history and the service that reads them agree on.
const (
	benchApp    = "bench"
	serverKeyID = "k1"
)

const (
	// historyDays is how far back a history goes: as long as rows are kept by
	// default.
	historyDays = 30
	// historyBite is how many verifications are handed over at once: a few MB.
	historyBite = 4096
	// markEvery verifications the id of one is remembered.
	markEvery = 100
	// limitsLife is for how long the counters of a number matter: those of a day.
	limitsLife = 24 * time.Hour
	codeLife   = 10 * time.Minute
)

// history is verifications as a service leaves them behind that has made as many
// each hour of 30 days: with the subjects that have failed or are under way, and
// the limits of the last day. Of the last ten minutes some are pending. All come
// from one seed, none is kept in memory.
type history struct {
	n     int
	now   time.Time
	seed  [32]byte
	out   io.Writer // is told how far it is
	marks []string  // the ids of every hundredth, the oldest first
}

func newHistory(n int, out io.Writer) *history {
	h := &history{n: n, now: time.Now().UTC().Truncate(time.Microsecond), out: out}
	copy(h.seed[:], "a month of verifications, always the same") // the first 32 bytes of it
	return h
}

// created is when the i-th was made: the last ones just now.
func (h *history) created(i int) time.Time {
	step := float64(historyDays*24*time.Hour) / float64(h.n)
	return h.now.Add(-time.Duration(float64(h.n-i) * step)).Truncate(time.Microsecond)
}

// before is how many were made before a time.
func (h *history) before(t time.Time) int {
	step := float64(historyDays*24*time.Hour) / float64(h.n)
	return min(max(0, h.n-int(float64(h.now.Sub(t))/step)), h.n)
}

// source is a transfer.Source.
func (h *history) source(ctx context.Context, each func(transfer.Rows) error) error {
	h.marks = nil
	g := &generator{random: rand.NewChaCha8(h.seed), now: h.now} // #nosec G404 -- nothing is kept secret with it
	for i := 0; i < h.n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var r transfer.Rows
		for ; i < h.n && len(r.Verifications) < historyBite; i++ {
			id, err := g.add(&r, number(i), h.created(i))
			if err != nil {
				return err
			}
			if i%markEvery == 0 {
				h.marks = append(h.marks, id)
			}
			if done := i + 1; done%1_000_000 == 0 {
				_, _ = fmt.Fprintf(h.out, "%d verifications of %d are written\n", done, h.n)
			}
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// generator makes rows. It has all chance from one source.
type generator struct {
	random *rand.ChaCha8
	now    time.Time
	v      verify.Verification
	sends  [2]verify.Send
}

func (g *generator) bytes(b []byte) { _, _ = g.random.Read(b) } // it never fails

// below is a number from 0 to n-1, a little uneven.
func (g *generator) below(n uint64) int { return int(g.random.Uint64() % n) } // #nosec G115 -- small

// add adds a verification to the rows, with what belongs to it.
func (g *generator) add(r *transfer.Rows, to string, created time.Time) (id string, err error) {
	id = g.id(created)
	failures := g.verification(id, created)
	data, err := json.Marshal(&g.v)
	if err != nil {
		return "", err
	}
	r.Verifications = append(r.Verifications, transfer.Verification{ID: id, Number: to, Ended: g.v.Ended().UnixMicro(), Data: data})
	subject := verify.Subject{Failures: failures}
	if failures > 0 {
		subject.FailedAt = created.Add(time.Minute)
	}
	if g.v.StatusAt(g.now) == verify.StatusPending {
		subject.Pending = []verify.Pending{{ID: id, ExpiresAt: g.v.ExpiresAt}}
	}
	if failures > 0 || subject.Pending != nil {
		row := transfer.Subject{Key: append([]byte(nil), g.v.Subject[:]...)}
		if row.Data, err = json.Marshal(&subject); err != nil {
			return "", err
		}
		if t := subject.Quiet(); !t.IsZero() {
			row.Quiet = t.UnixMicro()
		}
		if t := subject.Failed(); !t.IsZero() {
			row.Failed = t.UnixMicro()
		}
		r.Subjects = append(r.Subjects, row)
	}
	if expires := created.Add(limitsLife); expires.After(g.now) {
		g.counters(r, created, expires)
	}
	return id, nil
}

// id is one as the service makes them: 16 bits of the day, the others random.
func (g *generator) id(created time.Time) string {
	var b [16]byte
	g.bytes(b[2:])
	binary.BigEndian.PutUint16(b[:2], uint16(created.Unix()/(24*60*60))) // #nosec G115 -- days
	return base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// verification makes the record: of a hundred, 78 are approved, 3 of these after a
// wrong code, 17 are left alone until they expire, which nobody writes down, 3 have
// their attempts used up, 2 are canceled. It returns the wrong codes that are held
// against the number.
func (g *generator) verification(id string, created time.Time) (failures int) {
	v := &g.v
	*v = verify.Verification{
		ID: id, App: benchApp, Usage: "SignIn", Channel: verify.ChannelSMS, Status: verify.StatusPending,
		KeyID: serverKeyID, Generation: 1, CodeLength: 6, MaxChecks: attempts, MaxSends: 5,
		CreatedAt: created, ExpiresAt: created.Add(codeLife), ResendAfter: created.Add(30 * time.Second),
	}
	g.bytes(v.Subject[:])
	g.bytes(v.Salt[:])
	ended := created.Add(time.Duration(10+g.below(80)) * time.Second)
	kind := g.below(100)
	switch over := ended.Before(g.now); {
	case kind < 78 && over:
		v.Status, v.EndedAt, v.Checks = verify.StatusApproved, ended, 1
		if kind < 3 {
			v.Checks = 2
		}
	case kind < 81 && kind >= 78 && over:
		v.Status, v.EndedAt, v.Checks = verify.StatusExhausted, ended, attempts
		failures = attempts
	case kind < 83 && kind >= 81 && over:
		v.Status, v.EndedAt, v.Reason = verify.StatusCanceled, ended, verify.ReasonCaller
	}
	sends := 1
	if g.below(20) == 0 && created.Add(time.Minute).Before(g.now) {
		sends = 2
	}
	v.Sends = g.sends[:0]
	for n := range sends {
		sent := created.Add(time.Duration(n) * 40 * time.Second)
		v.Sends = append(v.Sends, verify.Send{
			ID: fmt.Sprintf("%s.%d", id, n+1), Channel: verify.ChannelSMS, Connector: "twilio", Status: connector.StatusDelivered,
			ProviderID: g.providerID(), Generation: 1, Segments: 1, CreatedAt: sent, UpdatedAt: sent.Add(4 * time.Second), Epoch: 1,
		})
	}
	return failures
}

func (g *generator) providerID() string {
	var b [16]byte
	g.bytes(b[:])
	return "SM" + hex.EncodeToString(b[:])
}

// counters are the four of a number.
func (g *generator) counters(r *transfer.Rows, created, expires time.Time) {
	var place, half [8]byte
	g.bytes(place[:])
	var data []byte
	for range 4 {
		g.bytes(half[:])
		data = append(data, half[:]...)
		data = binary.BigEndian.AppendUint64(data, uint64(created.UnixMicro())) // #nosec G115 -- after 1970
		data = binary.BigEndian.AppendUint64(data, uint64(expires.UnixMicro())) // #nosec G115 -- after 1970
	}
	r.Counters = append(r.Counters, transfer.Counters{
		Place: int64(binary.BigEndian.Uint64(place[:])), Expires: expires.UnixMicro(), Data: data, // #nosec G115 -- as bits
	})
}
