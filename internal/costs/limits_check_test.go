package costs

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The file is as `make costs` writes it: nobody has edited it by hand into
// something else.
func TestLimitsFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(limitsFile)
	if err != nil {
		t.Fatal(err)
	}
	made, rows, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(format(made, rows)), string(text)); diff != "" {
		t.Errorf("%s is not what make costs writes (-written +found):\n%s", limitsFile, diff)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.key()] {
			t.Errorf("%s has this twice: %s", limitsFile, r.key())
		}
		seen[r.key()] = true
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(format("go1.26 linux/amd64", []row{{"sqlite", 1, "START", [6]float64{290, 25256, 16, 2, 12.5, 0}}}))
	if _, _, err := parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a figure too few":  strings.Replace(good, " 25256", "", 1),
		"no number":         strings.Replace(good, "25256", "25k56", 1),
		"a negative number": strings.Replace(good, " 25256", "-25256", 1),
		"not a number":      strings.Replace(good, "25256", "  NaN", 1),
		"callers":           strings.Replace(good, " 1  START", " x  START", 1),
		"unknown origin":    strings.Replace(good, "made with", "written by", 1),
	} {
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, rows, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: was read as %v", name, rows)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	limits := []row{
		{"sqlite", 1, "START", [6]float64{290, 25256, 16, 2, 12.5, 0}},
		{"postgres", 1, "START", [6]float64{630, 78725, 12, 2, 0, 2}},
	}
	start := func(change func(f *[6]float64)) []row {
		r := limits[0]
		change(&r.figures)
		return []row{r}
	}
	for name, test := range map[string]struct {
		now  []row
		want []string // each in a line of its own
	}{
		"the same":               {now: limits[:1]},
		"noise":                  {now: start(func(f *[6]float64) { *f = [6]float64{291.4, 25400, 16.02, 2, 13.3, 0} })},
		"just enough":            {now: start(func(f *[6]float64) { f[0] = 290 * 1.049 })},
		"allocations":            {now: start(func(f *[6]float64) { f[0] = 290 * 1.051 }), want: []string{"START on sqlite, one caller: 304.8 allocs; the file has 290.0: 5.1 % MORE, and 5 %"}},
		"bytes":                  {now: start(func(f *[6]float64) { f[1] = 27000 }), want: []string{"27000 bytes"}},
		"a statement":            {now: start(func(f *[6]float64) { f[2]++ }), want: []string{"17.000 statements"}},
		"a transaction":          {now: start(func(f *[6]float64) { f[2] += 2; f[3]++ }), want: []string{"18.000 statements", "3.000 commits"}},
		"pages":                  {now: start(func(f *[6]float64) { f[4] = 15 }), want: []string{"15.00 pages"}},
		"what was not there":     {now: start(func(f *[6]float64) { f[5] = 1 }), want: []string{"1.000 trips; the file has 0.000: +Inf % MORE"}},
		"what is there no more":  {now: start(func(f *[6]float64) { f[4] = 0 }), want: []string{"100.0 % LESS"}},
		"a gain":                 {now: start(func(f *[6]float64) { f[0] = 200 }), want: []string{"31.0 % LESS"}},
		"a call that is new":     {now: append(limits[:1:1], row{"sqlite", 64, "START", [6]float64{1, 1, 1, 1, 1, 0}}), want: []string{"START on sqlite, 64 callers: is new"}},
		"a call that is missing": {want: []string{"START on sqlite, one caller: is in the file alone"}},
	} {
		got := compare("sqlite", limits, test.now)
		if len(got) != len(test.want) {
			t.Errorf("%s: %q; want %d faults", name, got, len(test.want))
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q; want %q", name, got[i], want)
			}
		}
	}
}

// What has hardly moved stays as it was in the file.
func TestSettled(t *testing.T) {
	t.Parallel()
	was := row{"sqlite", 1, "START", [6]float64{290, 25256, 16, 2, 12.5, 0}}
	now := row{"sqlite", 1, "START", [6]float64{296, 24000, 17, 2, 13, 1}}
	want := [6]float64{290, 24000, 17, 2, 12.5, 1}
	if got := now.settled(was).figures; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
