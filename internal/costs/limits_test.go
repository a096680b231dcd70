package costs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// limitsFile holds what each call may cost.
const limitsFile = "testdata/costs.txt"

// columns are the figures of a call, and by how much each may move before the
// guard fails.
//
// Allocations, bytes, statements, commits and trips are the same in every run, but
// for half a percent. So a statement more is seen in a call that has up to thirty, and a
// trip more in one that has up to nine. How many pages of SQLite's trees a call touches
// differs by 5 %, with where its keys fall.
var columns = []struct {
	name     string
	decimals int
	most     float64
}{
	{"allocs", 1, 0.05},
	{"bytes", 0, 0.05},
	{"statements", 3, 0.03},
	{"commits", 3, 0.03},
	{"pages", 2, 0.15},
	{"trips", 3, 0.10},
}

// Two of the columns.
const statements, pages = 2, 4

// row is what one call costs. A figure that a store does not have is 0.
type row struct {
	store   string
	callers int
	call    string
	figures [6]float64
}

func (r row) key() string { return fmt.Sprintf("%-9s %7d  %-12s", r.store, r.callers, r.call) }

// name is whose costs they are, for people.
func (r row) name() string {
	if r.callers == 1 {
		return r.call + " on " + r.store + ", one caller"
	}
	return fmt.Sprintf("%s on %s, %d callers", r.call, r.store, r.callers)
}

func (r row) String() string {
	b := []byte(r.key())
	for i, c := range columns {
		text := "-"
		if r.figures[i] != 0 {
			text = strconv.FormatFloat(r.figures[i], 'f', c.decimals, 64)
		}
		b = fmt.Appendf(b, "  %*s", max(len(c.name), 7), text)
	}
	return string(b)
}

// head is the file's beginning. made is the Go release and machine it comes from.
func head(made string) string {
	b := []byte(`# What a call of the service costs. The build fails where one costs more, or less.
# Written by ` + "`make costs`" + `, read by TestCosts; docs/performance.md says what is counted,
# and when this may be raised. Why it was raised stands in the commit message.
#
# made with ` + made + `
#
` + fmt.Sprintf("# %-7s %7s  %-12s", "store", "callers", "call"))
	for _, c := range columns {
		b = fmt.Appendf(b, "  %*s", max(len(c.name), 7), c.name)
	}
	return string(append(b, '\n'))
}

// format is the file.
func format(made string, rows []row) []byte {
	b := []byte(head(made))
	var last row
	for _, r := range rows {
		if last.callers != 0 && (last.store != r.store || last.callers != r.callers) {
			b = append(b, '\n')
		}
		last = r
		b = append(append(b, r.String()...), '\n')
	}
	return b
}

// parse reads the file.
func parse(text []byte) (made string, rows []row, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if after, ok := strings.CutPrefix(line, "# made with "); ok {
			made = after
		}
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 3+len(columns) {
			return "", nil, fmt.Errorf("costs: %q has not %d words", line, 3+len(columns))
		}
		r := row{store: words[0], call: words[2]}
		r.callers, err = strconv.Atoi(words[1])
		for i, word := range words[3:] {
			if word == "-" {
				continue
			}
			n, e := strconv.ParseFloat(word, 64)
			if e == nil && (!(n > 0) || math.IsInf(n, 0)) {
				e = errors.New("a cost is a positive number, or - for none")
			}
			r.figures[i], err = n, errors.Join(err, e)
		}
		if err != nil {
			return "", nil, fmt.Errorf("costs: %q: %w", line, err)
		}
		rows = append(rows, r)
	}
	if made == "" {
		err = errors.New("costs: the file does not say what it was made with")
	}
	return made, rows, err
}

// of returns the row of the same call.
func (r row) of(rows []row) (row, bool) {
	i := slices.IndexFunc(rows, func(o row) bool { return o.key() == r.key() })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// moved is by which part a figure is more than what the file has. Nothing that
// became something is more by all there is.
func moved(now, was float64) float64 {
	switch {
	case now == was:
		return 0
	case was == 0:
		return math.Inf(1)
	}
	return now/was - 1
}

// settled is a row for the file, whose figures are those that it had where they
// moved by less than half of what they may: a change shows what it changed, and
// no more.
func (r row) settled(was row) row {
	for i, c := range columns {
		if math.Abs(moved(r.figures[i], was.figures[i])) < c.most/2 {
			r.figures[i] = was.figures[i]
		}
	}
	return r
}

// compare says where the rows of a store are not what the file allows.
func compare(store string, limits, now []row) (faults []string) {
	for _, r := range now {
		was, ok := r.of(limits)
		if !ok {
			faults = append(faults, r.name()+": is new")
			continue
		}
		for i, c := range columns {
			part := moved(r.figures[i], was.figures[i])
			if math.Abs(part) <= c.most {
				continue
			}
			word := "MORE"
			if part < 0 {
				word = "LESS"
			}
			faults = append(faults, fmt.Sprintf("%s: %.*f %s; the file has %.*f: %.1f %% %s, and %.0f %% is the most",
				r.name(), c.decimals, r.figures[i], c.name, c.decimals, was.figures[i], 100*math.Abs(part), word, 100*c.most))
		}
	}
	for _, was := range limits {
		if _, ok := was.of(now); was.store == store && !ok {
			faults = append(faults, was.name()+": is in the file alone")
		}
	}
	return faults
}
