package costs

import (
	"maps"
	"slices"
	"strings"
)

// counts are what a store was asked.
type counts struct {
	texts map[string]*int64 // statements, by their text
	pages int64             // that SQLite wrote
	trips int64             // to PostgreSQL and back
}

func newCounts() counts { return counts{texts: map[string]*int64{}} }

// add counts a statement. It keeps nothing of text, and allocates only for a text
// that is new.
func (c *counts) add(text string) {
	n := c.texts[text]
	if n == nil {
		n = new(int64)
		c.texts[strings.Clone(text)] = n
	}
	*n++
}

func (c *counts) clone() counts {
	d := *c
	d.texts = make(map[string]*int64, len(c.texts))
	for text, n := range c.texts {
		d.texts[text] = new(*n)
	}
	return d
}

// plus and minus are sums and differences of two counts.
func (c *counts) plus(d counts) counts  { return c.with(d, 1) }
func (c *counts) minus(d counts) counts { return c.with(d, -1) }

func (c *counts) with(d counts, sign int64) counts {
	sum := c.clone()
	sum.pages += sign * d.pages
	sum.trips += sign * d.trips
	for text, n := range d.texts {
		if sum.texts[text] == nil {
			sum.texts[text] = new(int64)
		}
		*sum.texts[text] += sign * *n
	}
	return sum
}

// statements are all of them, commits those that commit.
func (c *counts) statements() (n int64) {
	for _, of := range c.texts {
		n += *of
	}
	return n
}

func (c *counts) commits() (n int64) {
	for text, of := range c.texts {
		if strings.HasSuffix(strings.ToLower(text), "commit") {
			n += *of
		}
	}
	return n
}

// list is each statement that was run, the most frequent first, with how often it
// was in each of so many operations.
func (c *counts) list() []string {
	texts := slices.SortedFunc(maps.Keys(c.texts), func(a, b string) int {
		if d := *c.texts[b] - *c.texts[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	return slices.DeleteFunc(texts, func(text string) bool { return *c.texts[text] == 0 })
}
