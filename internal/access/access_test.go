package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start() time.Time { return time.Date(2026, time.March, 2, 23, 59, 50, 0, time.UTC) }

func create(t *testing.T, s Store, spec Spec) (Key, string) {
	t.Helper()
	k, shown, err := Create(t.Context(), s, spec, start(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k, shown.Reveal()
}

// fake counts what reaches a store and can be told to fail.
type fake struct {
	*Memory
	lookups, touches atomic.Int32
	byID             func(ctx context.Context, id string) (Key, error)
	touch            error
}

func (f *fake) ByID(ctx context.Context, id string) (Key, error) {
	f.lookups.Add(1)
	if f.byID != nil {
		return f.byID(ctx, id)
	}
	return f.Memory.ByID(ctx, id)
}

func (f *fake) Touch(ctx context.Context, id string, day time.Time) error {
	f.touches.Add(1)
	if f.touch != nil {
		return f.touch
	}
	return f.Memory.Touch(ctx, id, day)
}

// clock is a clock that stands until it is set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newTest(store Store) (*Authenticator, *clock) {
	c := &clock{at: start()}
	a := NewAuthenticator(store, nil)
	a.now = c.now
	return a, c
}

func TestCreate(t *testing.T) {
	t.Parallel()
	store := NewMemory()
	k, shown := create(t, store, Spec{Name: "Till 3 – Zürich", App: "shop-1_a", Scopes: []Scope{ScopeVerify, ScopeRead}})
	// The pattern that a scanner of source code looks for.
	if !regexp.MustCompile(`^sd_[0-9a-v]{13}_[0-9a-v]{52}$`).MatchString(shown) {
		t.Errorf("a key has another form: %d bytes", len(shown))
	}
	got, err := store.ByID(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(k, got); diff != "" {
		t.Error(diff)
	}
	hidden := shown[len(shown)-secretLength:]
	if all := fmt.Sprintf("%+v", got); strings.Contains(all, hidden) {
		t.Error("the store holds the secret")
	}
	_, other := create(t, store, Spec{Name: "x", App: "x"})
	if other == shown {
		t.Error("two keys are alike")
	}
	all, err := store.List(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("list: %d, %v", len(all), err)
	}
	if i := slices.IndexFunc(all, func(k Key) bool { return k.App == "x" }); !slices.Equal(all[i].Scopes, DefaultScopes()) || slices.Contains(all[i].Scopes, ScopeTwilio) {
		t.Errorf("without scopes a key has %v", all[i].Scopes)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	good := Spec{Name: "n", App: "a"}
	for name, change := range map[string]func(*Spec){
		"no name":       func(s *Spec) { s.Name = "" },
		"a long name":   func(s *Spec) { s.Name = strings.Repeat("n", maxName+1) },
		"a line break":  func(s *Spec) { s.Name = "a\nb" },
		"broken UTF-8":  func(s *Spec) { s.Name = "\xff" },
		"no app":        func(s *Spec) { s.App = "" },
		"a long app":    func(s *Spec) { s.App = strings.Repeat("a", maxApp+1) },
		"capitals":      func(s *Spec) { s.App = "Shop" },
		"a dash first":  func(s *Spec) { s.App = "-a" },
		"a path":        func(s *Spec) { s.App = "a/b" },
		"another scope": func(s *Spec) { s.Scopes = []Scope{"admin"} },
		"a past end":    func(s *Spec) { s.ExpiresAt = start() },
	} {
		spec := good
		change(&spec)
		if _, _, err := Create(t.Context(), NewMemory(), spec, start(), rand.Reader); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Create(t.Context(), NewMemory(), good, start(), bytes.NewReader(nil)); err == nil {
		t.Error("a key without randomness")
	}
	same := func() *bytes.Reader { return bytes.NewReader(make([]byte, 40)) }
	store := NewMemory()
	_, _, err := Create(t.Context(), store, good, start(), same())
	if _, _, twice := Create(t.Context(), store, good, start(), same()); err != nil || twice == nil {
		t.Errorf("the same id: %v, then %v", err, twice)
	}
}

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	ctx := t.Context()
	if _, err := m.ByID(ctx, "x"); !errors.Is(err, ErrNoKey) {
		t.Error(err)
	}
	if err := m.Revoke(ctx, "x", start()); !errors.Is(err, ErrNoKey) {
		t.Error(err)
	}
	k, _ := create(t, m, Spec{Name: "n", App: "a"})
	_ = m.Revoke(ctx, k.ID, start())
	_ = m.Revoke(ctx, k.ID, start().Add(time.Hour))
	_ = m.Touch(ctx, k.ID, start())
	_ = m.Touch(ctx, k.ID, start().Add(-48*time.Hour))
	got, err := m.ByID(ctx, k.ID)
	if err != nil || !got.RevokedAt.Equal(start()) || !got.UsedOn.Equal(Day(start())) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("sd_0000000000000_0000000000000000000000000000000000000000000000000000")
	f.Add("sd__")
	f.Fuzz(func(t *testing.T, s string) {
		id, hidden, ok := split(s)
		if ok != regexp.MustCompile(`\Asd_[0-9a-v]{13}_[0-9a-v]{52}\z`).MatchString(s) {
			t.Errorf("%q: %v", s, ok)
		}
		if ok && keyPrefix+id+"_"+hidden != s {
			t.Errorf("%q is split into %q and %q", s, id, hidden)
		}
	})
}

var _ fmt.Stringer = secret.String{} // what Create returns prints redacted
