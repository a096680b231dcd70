package access

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/secret"
)

func TestAuthenticateAccount(t *testing.T) {
	t.Parallel()
	store := NewMemory()
	_, key := create(t, store, Spec{Name: "n", App: "shop", Scopes: []Scope{ScopeVerify}})
	revoked, revokedKey := create(t, store, Spec{Name: "n", App: "shop"})
	if err := store.Revoke(t.Context(), revoked.ID, start()); err != nil {
		t.Fatal(err)
	}
	_, rival := create(t, store, Spec{Name: "n", App: "rival"})
	a, clock := newTest(store)
	clock.pass(time.Second)
	token := func(key string) string { return Token(secret.New(key)).Reveal() }
	// Some of Twilio's clients take nothing else.
	if !regexp.MustCompile(`^[a-zA-Z0-9]+$`).MatchString(token(key)) || !regexp.MustCompile(`^AC[0-9a-f]{32}$`).MatchString(AccountSID("shop")) ||
		!regexp.MustCompile(`^VA[0-9a-f]{32}$`).MatchString(DefaultServiceSID("shop")) || DefaultServiceSID("shop")[2:] == AccountSID("shop")[2:] {
		t.Errorf("%s, %s and a token of %d characters", AccountSID("shop"), DefaultServiceSID("shop"), len(token(key)))
	}
	for _, tt := range []struct {
		name, account, token string
		want                 error
	}{
		{"a key", AccountSID("shop"), token(key), nil},
		{"another app's account", AccountSID("rival"), token(key), ErrUnknownKey},
		{"another app's token", AccountSID("shop"), token(rival), ErrUnknownKey},
		{"no account", "", token(key), ErrUnknownKey},
		{"the app's name", "shop", token(key), ErrUnknownKey},
		{"no token", AccountSID("shop"), "", ErrUnknownKey},
		{"the key as it is", AccountSID("shop"), key, ErrUnknownKey},
		{"a longer token", AccountSID("shop"), token(key) + "0", ErrUnknownKey},
		{"another's secret", AccountSID("shop"), token(key)[:idLength] + token(rival)[idLength:], ErrUnknownKey},
		{"revoked", AccountSID("shop"), token(revokedKey), ErrRevoked},
	} {
		caller, err := a.AuthenticateAccount(t.Context(), tt.account, secret.New(tt.token))
		if !errors.Is(err, tt.want) || (err == nil) != (caller.App == "shop") || err != nil && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %+v, %v, want %v", tt.name, caller, err, tt.want)
		}
	}
	if got := Token(secret.New("sd_short")); !got.IsEmpty() {
		t.Error("what is no key has a token")
	}
}

func TestMemoryServices(t *testing.T) {
	t.Parallel()
	store, at := NewMemory(), start()
	if _, err := store.Service(t.Context(), "VA1"); !errors.Is(err, ErrNoService) {
		t.Errorf("no service: %v", err)
	}
	for i, s := range []Service{{SID: "VA2", App: "shop"}, {SID: "VA1", App: "shop"}, {SID: "VA3", App: "rival"}, {SID: "VA2", App: "shop", Name: "new"}} {
		s.CreatedAt = at.Add(time.Duration(-i) * time.Second)
		if err := store.SaveService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Services(t.Context(), "shop")
	if err != nil || !slices.EqualFunc(all, []string{"VA2", "VA1"}, func(s Service, sid string) bool { return s.SID == sid }) || all[0].Name != "new" {
		t.Errorf("the shop's: %+v, %v", all, err)
	}
}
