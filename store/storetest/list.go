package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// listed fails unless List finds these, in this order.
func (h *harness) listed(t fataler, from, below string, limit int, want ...string) {
	t.Helper()
	found, err := h.store.List(context.Background(), from, below, limit)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	var got []string
	for _, v := range found {
		got = append(got, v.ID)
		if v.To.IsZero() || v.App == "" || v.CreatedAt.IsZero() {
			t.Fatalf("List: %s comes without what it is", v.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("List(%q, %q, %d) = %q, want %q", from, below, limit, got, want)
	}
}

func testList(t *testing.T, h *harness) {
	// Of three days, and as random within them as ids are.
	ids := []string{
		"ah0g000000000000000000000v", "ah0g2jv3n00000000000000000", "ah0hv000000000000000000000",
		"ah1000000000000000000000a0", "ah1000000000000000000000b0", "ah1gvvvvvvvvvvvvvvvvvvvvvu",
	}
	h.listed(t, "", "vvvvvvvvvvvvvvvvvvvvvvvvvv", 10)
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		h.do(t, owing(ids[i], time.Time{}))
	}
	newest := slices.Clone(ids)
	slices.Reverse(newest)
	const end = "vvvvvvvvvvvvvvvvvvvvvvvvvv"
	for n := range len(ids) + 2 {
		h.listed(t, "", end, n, newest[:min(n, len(ids))]...)
	}
	h.restart()
	for i, from := range ids {
		for j, below := range ids {
			want := []string(nil)
			if i < j {
				want = slices.Clone(ids[i:j])
				slices.Reverse(want)
			}
			h.listed(t, from, below, 10, want...)
		}
	}
	h.listed(t, "", end, -1)

	// Page by page, until there are no more; what is newer than a page's end does
	// not move the next one.
	var all []string
	for below := end; ; {
		found, err := h.store.List(t.Context(), "", below, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			all = append(all, v.ID)
			below = v.ID
		}
		if len(found) < 2 {
			break
		}
		h.do(t, owing(fmt.Sprintf("ah20%022d", len(all)), time.Time{}))
	}
	if !slices.Equal(all, newest) {
		t.Fatalf("page by page: %q, want %q", all, newest)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.store.List(canceled, "", end, 1); err == nil {
		t.Error("a canceled List returns no error")
	}
}
