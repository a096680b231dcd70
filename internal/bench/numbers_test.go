package main

import (
	"testing"

	"github.com/sixdigit/sixdigit/phone"
)

func block(number string) string { return number[:len(number)-4] }

func TestNumbers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range blocks {
		if n := number(i + i%blockSize*blocks); i%17 == 0 { // reading one takes time
			if _, err := phone.Parse(n); err != nil {
				t.Fatalf("%s: %v", n, err)
			}
		}
		if b := block(number(i)); seen[b] {
			t.Fatalf("two of %d numbers are of one block", blocks)
		} else {
			seen[b] = true
		}
	}
	spread, one := map[string]int{}, map[string]int{}
	from, crowd := scattered(), crowded()
	fresh := freshNumbers()
	known := map[string]bool{}
	for range 2 * blockSize {
		n := from()
		spread[block(n)]++
		known[n] = true
		one[block(crowd())]++
	}
	for range 2 * blockSize {
		if n := fresh(); known[n] {
			t.Fatalf("%s was used before", n)
		} else {
			known[n] = true
		}
	}
	if len(spread) != blockSize || len(one) != 1 {
		t.Errorf("scattered numbers have %d blocks, crowded ones %d", len(spread), len(one))
	}
	if _, err := phone.Parse(crowd()); err != nil {
		t.Error(err)
	}
}
