package verify

import (
	"context"
	"time"
)

// Store keeps verifications. Every implementation runs its operations through
// a Batch, which holds all the rules; a store loads and saves rows.
type Store interface {
	// Do runs one operation to its end: all of it is durable when Do returns
	// nil, or none of it. A canceled ctx drops an operation that has not begun,
	// and Do returns ctx's error; one that has begun runs to its end, and Do
	// returns its result. So after ctx's error nothing of it was committed.
	// Operations on one subject run one after the other.
	Do(ctx context.Context, op Op) (any, error)
	// Get returns a verification, or ErrNotFound. It sees everything that Do
	// has committed.
	Get(ctx context.Context, id string) (*Verification, error)
	// Due returns the ids of at most limit verifications to which something is
	// owed (DueAt) by the store's time, the longest due first.
	Due(ctx context.Context, limit int) ([]string, error)
	// List returns the verifications whose ids are not below from and are below
	// below, at most limit, those with the highest ids first: ids sort by time.
	List(ctx context.Context, from, below string, limit int) ([]*Verification, error)
	// Purge removes what ended before the time, but for what is owed something and
	// ended less than OwedLife ago, and rows whose time is over: at most limit
	// rows. It returns how many it removed; zero says that nothing is left. It
	// holds up other operations no longer than 20 ms.
	Purge(ctx context.Context, before time.Time, limit int) (int, error)
}

// Op is one operation. Exactly one of Subject and ID is set.
type Op struct {
	// Idem makes a repetition of the operation harmless; nil when the caller
	// gave no key.
	Idem *Idem
	// Subject names the subject of an operation that begins with a number.
	// Where Session is set too, the subject's pending verification of that
	// session is handed to Decide.
	Subject SubjectKey
	Session MAC
	// ID names the verification; its subject is handed to Decide as well.
	ID string
	// App must own the verification ID; another's is ErrNotFound. AnyApp is for
	// what the service does of its own accord. With a Subject it says who asks.
	App    string
	AnyApp bool
	// Alone, where it is set, says of the verification ID whether Decide does
	// without its subject. If so that is not read, and Decide is handed one that
	// knows nothing and must not be written. It must not keep or change v.
	Alone func(v *Verification) bool
	// Places are those whose counters Decide will charge, as far as the caller
	// knows: a store may read them along with the rest.
	Places []Place
	// Decide is the operation itself. It does no I/O and may run again: only
	// the last run's decision counts. It must not keep or change what it is
	// handed, but for the two records, which are its own copies. v is nil when
	// there is none. An error undoes everything.
	Decide func(now time.Time, s *Subject, v *Verification) (Decision, error)
}

// IsAlone reports whether Decide does without the subject of v, which is the
// verification ID as the store knows it.
func (o *Op) IsAlone(v *Verification) bool { return o.Alone != nil && o.Alone(v) }

// Decision is what an operation comes to.
type Decision struct {
	// Result is what Do returns.
	Result any
	// Verification and Subject are written when they are not nil. What is written
	// is the store's from then on: others may read it, and nobody changes it.
	Verification *Verification
	Subject      *Subject
	// Former is the verification that was handed to Decide, where Verification
	// is another one; it is written when it is not nil.
	Former *Verification
	// Charges are taken from the limits. One that has nothing left undoes the
	// operation with a *LimitError.
	Charges []Charge
	// Refunds are put back, for a text that was refused.
	Refunds []Charge
	// Clear forgets limits; Set writes counters as they are.
	Clear []LimitKey
	Set   []LimitRow
	// Idem is what a repetition of the operation is to learn.
	Idem IdemState
	// Settle is for the second half of an operation whose first half left its
	// idempotency key open.
	Settle *Settlement
	// Events are added to the outbox.
	Events []Event
}

// Settlement replaces the state of a kept idempotency key.
type Settlement struct {
	Key MAC
	IdemState
	// Forget drops the key instead, so that a repetition is a call of its own;
	// but only while it is kept for the same ID and Outcome.
	Forget bool
}

// Idem is a caller's Idempotency-Key.
type Idem struct {
	Key  MAC // of app, route and key
	Body MAC // of the request's body
}

// IdemState is the state of an idempotency key.
type IdemState struct {
	// ID is the verification that the operation made or used.
	ID string `json:"id"`
	// Outcome is the operation's own word for what happened, from which the
	// answer is made again.
	Outcome string `json:"outcome,omitempty"`
	// OpenUntil is until when the operation may still be under way; zero when
	// it is over. A repetition before then is ErrInFlight.
	OpenUntil time.Time `json:"open,omitzero"`
}

// IdemRow is a kept idempotency key.
type IdemRow struct {
	IdemState
	Body      MAC       `json:"body"`
	ExpiresAt time.Time `json:"expires"`
}

// Replayed is Do's result when the operation was done before: the state kept
// under its idempotency key, and its verification.
type Replayed struct {
	IdemState
	Verification *Verification
	Now          time.Time
}

// Rows is what a Batch reads. A store implements it inside one transaction.
type Rows interface {
	Subject(k SubjectKey) (s *Subject, err error)        // nil when there is none
	Verification(id string) (v *Verification, err error) // nil when there is none
	Counters(p Place) (c Counters, err error)            // nil when there are none
	Idem(k MAC) (r *IdemRow, err error)                  // nil when there is none
}

// Changes is what a Batch comes to, each row once, as it is to be saved.
type Changes struct {
	Subjects      []*Subject
	Verifications []*Verification
	Counters      []CountersEntry
	Idems         []IdemEntry
	// Events are new rows of the outbox, in their order. One is due at once, unless
	// its key has an older one: then when that is done.
	Events []Event
}

// CountersEntry are the counters of a place to save; empty ones are deleted.
type CountersEntry struct {
	Place Place
	Counters
}

// IdemEntry is an idempotency key to save.
type IdemEntry struct {
	Key MAC
	IdemRow
}
