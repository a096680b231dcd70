package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/access"
)

func TestServices(t *testing.T) {
	t.Parallel()
	keys := openKeys(t, database(t))
	if _, err := keys.Service(t.Context(), "VA1"); !errors.Is(err, access.ErrNoService) {
		t.Errorf("no service: %v", err)
	}
	at := time.Date(2031, 3, 9, 22, 15, 7, 123_456_000, time.UTC)
	second := access.Service{SID: "VA2", App: "shop", Name: "Åsa & co", CodeLength: 8, CustomCode: true, CreatedAt: at, UpdatedAt: at.Add(time.Microsecond)}
	first := access.Service{SID: "VA1", App: "shop", Name: "first", CodeLength: 6, CreatedAt: at.Add(-time.Microsecond), UpdatedAt: at}
	for _, s := range []access.Service{{SID: "VA2", App: "shop", Name: "old", CreatedAt: at.Add(-time.Hour)}, second, first, {SID: "VA3", App: "rival", CreatedAt: at}} {
		if err := keys.SaveService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := keys.Service(t.Context(), "VA2"); err != nil || got != second {
		t.Errorf("got %+v, %v, want %+v", got, err, second)
	}
	got, err := keys.Services(t.Context(), "shop")
	if diff := cmp.Diff([]access.Service{first, second}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
