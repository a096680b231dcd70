package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sixdigit/sixdigit/verify"
)

// TestADamagedLog opens files as disks, kills and people leave them. What was
// promised once and cannot be read makes the store refuse; what nobody was promised
// is passed over.
func TestADamagedLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(file []byte, second, third int64) []byte
		want   error
		left   []string
	}{
		"nothing":                 {func(f []byte, _, _ int64) []byte { return f }, nil, []string{"a", "b", "c"}},
		"a bit of a durable one":  {func(f []byte, second, _ int64) []byte { f[second+60] ^= 1; return f }, errRedo, nil},
		"the size of one":         {func(f []byte, second, _ int64) []byte { f[second+4] ^= 1; return f }, errRedo, nil},
		"durable ones are zeros":  {func(f []byte, second, third int64) []byte { clear(f[second:third]); return f }, errRedo, nil},
		"the last is half there":  {func(f []byte, _, third int64) []byte { clear(f[third+70:]); return f }, nil, []string{"a", "b"}},
		"the file ends in it":     {func(f []byte, _, third int64) []byte { return f[:third+70] }, nil, []string{"a", "b"}},
		"the last is not there":   {func(f []byte, _, third int64) []byte { clear(f[third:]); return f }, nil, []string{"a", "b"}},
		"the header is damaged":   {func(f []byte, _, _ int64) []byte { f[25] ^= 1; return f }, errRedo, nil},
		"another database's":      {func(f []byte, _, _ int64) []byte { return rename(f, func(h *header) { h.id[3] ^= 1 }) }, errOther, nil},
		"another writer's header": {func(f []byte, _, _ int64) []byte { return rename(f, func(h *header) { h.writer++ }) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "damaged.db")
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			s.end() // nothing comes to its table
			var at []int64
			for _, id := range []string{"a", "b", "c"} {
				at = append(at, s.files.tail)
				if _, err := s.Do(t.Context(), made(id)); err != nil {
					t.Fatal(err)
				}
			}
			name := s.files.f[s.files.gen%2].Name()
			s.end = func() {}
			drop(t, s)
			file, err := os.ReadFile(name) // #nosec G304 -- ours
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, c.damage(file, at[1], at[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err = Open(t.Context(), Options{Path: path})
			if c.want != nil {
				if !errors.Is(err, c.want) || !errors.Is(err, verify.ErrUnavailable) {
					t.Errorf("Open: %v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			all, err := s.List(t.Context(), "a", "z", 10)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, v := range all {
				left = append(left, v.ID)
			}
			if slices.Sort(left); !slices.Equal(left, c.left) {
				t.Errorf("left are %q, want %q", left, c.left)
			}
		})
	}
}

// rename changes a file's header.
func rename(file []byte, change func(*header)) []byte {
	h, err := readHeader(file)
	if err != nil {
		panic(err)
	}
	change(&h)
	copy(file, h.append(nil))
	return file
}
