package verify

import (
	"context"
	"time"
)

// ListRequest asks for an app's verifications that were begun by number, the
// newest first.
type ListRequest struct {
	App string
	// From and Before bound when they were made; zero is no bound.
	From, Before time.Time
	// Below is where an earlier list ended; empty begins anew.
	Below string
	// Match tells which ones are wanted; nil is all. It must be quick.
	Match func(*Verification) bool
	// Found bounds how many are returned, and Read how many rows are read for
	// them, those of other apps among them: at least one each.
	Found, Read int
}

// Listed is what List found. Below is where to go on, empty at the end. Now is
// for their StatusAt.
type Listed struct {
	Verifications []*Verification
	Below         string
	Now           time.Time
}

// listBite is how many rows are read at once.
const listBite = 200

// List finds verifications. It reads, in the order of ids, which is that of time,
// every row of the time asked for until it has found enough: what it costs is in
// proportion to what all apps together began since. Errors: the store's.
func (s *Service) List(ctx context.Context, r ListRequest) (Listed, error) {
	l := Listed{Now: s.now().UTC()}
	// Ids have the time of a process, rows that of the store.
	from, below := "", idAt(l.Now.AddDate(1, 0, 0))
	if !r.From.IsZero() {
		from = idAt(r.From.Add(-ClockSlack))
	}
	if !r.Before.IsZero() {
		below = min(below, idAt(r.Before.Add(ClockSlack)))
	}
	if validID(r.Below) {
		below = min(below, r.Below)
	}
	for read := 0; read < r.Read; {
		bite := min(listBite, r.Read-read)
		rows, err := s.store.List(ctx, from, below, bite)
		if err != nil {
			return Listed{}, err
		}
		read += len(rows)
		for _, v := range rows {
			below = v.ID
			if !r.wants(v) {
				continue
			}
			l.Verifications = append(l.Verifications, v)
			if len(l.Verifications) >= r.Found {
				l.Below = below
				return l, nil
			}
		}
		if len(rows) < bite {
			return l, nil
		}
	}
	l.Below = below
	return l, nil
}

func (r *ListRequest) wants(v *Verification) bool {
	return v.App == r.App && v.Service != "" &&
		!v.CreatedAt.Before(r.From) && (r.Before.IsZero() || v.CreatedAt.Before(r.Before)) &&
		(r.Match == nil || r.Match(v))
}
