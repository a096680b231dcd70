package sms

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// catalogOf makes a catalog of templates written as "Usage" or "Usage/locale".
// A template's content is its own description.
func catalogOf(tb testing.TB, descriptions ...string) *Catalog {
	tb.Helper()
	var ts []Template
	for _, d := range descriptions {
		usage, locale, _ := strings.Cut(d, "/")
		ts = append(ts, Template{Usage: UsageType(usage), Locale: locale, Content: d})
	}
	c, err := NewCatalog(ts)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

type choice struct {
	name      string
	templates string
	usage     UsageType
	locales   string // separated by spaces
	want      string // "" for ErrNoTemplate
}

func checkChoices(t *testing.T, tests []choice) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := catalogOf(t, strings.Fields(tt.templates)...)
			got, err := c.Choose(tt.usage, strings.Fields(tt.locales)...)
			if tt.want == "" {
				if !errors.Is(err, ErrNoTemplate) || got != (Template{}) {
					t.Fatalf("got %+v, %v, want ErrNoTemplate", got, err)
				}
				return
			}
			if err != nil || got.Content != tt.want {
				t.Fatalf("got %q, %v, want %q", got.Content, err, tt.want)
			}
		})
	}
}

func TestChooseOrder(t *testing.T) {
	t.Parallel()
	checkChoices(t, []choice{
		{"own usage before Generic", "Generic SignIn", UsageSignIn, "", "SignIn"},
		{"Generic when there is none", "Generic SignIn", UsageTest, "", "Generic"},
		{"Generic itself", "Generic SignIn", UsageGeneric, "", "Generic"},
		{"no Generic either", "SignIn Register", UsageTest, "en", ""},
		{"nothing at all", "", UsageSignIn, "en", ""},
		{"usage is case-sensitive", "SignIn", "signin", "", ""},
		{"unknown usage gets Generic", "SignIn Generic", "Other", "", "Generic"},

		{"exact locale", "SignIn SignIn/de SignIn/fr", UsageSignIn, "fr", "SignIn/fr"},
		{"no locale asked", "SignIn/de SignIn", UsageSignIn, "", "SignIn"},
		{"no locale asked, none without", "SignIn/de", UsageSignIn, "", ""},
		{"neutral of the usage before Generic in the locale", "SignIn Generic/fr", UsageSignIn, "fr", "SignIn"},
		{"Generic in the locale when the usage has none", "SignIn/de Generic Generic/fr", UsageSignIn, "fr", "Generic/fr"},
		{"Generic neutral at the end", "SignIn/de Generic Generic/it", UsageSignIn, "fr", "Generic"},
	})
}

func TestChooseLocale(t *testing.T) {
	t.Parallel()
	checkChoices(t, []choice{
		{"region falls to language", "SignIn SignIn/de", UsageSignIn, "de-CH", "SignIn/de"},
		{"language takes a region", "SignIn SignIn/de-AT", UsageSignIn, "de", "SignIn/de-AT"},
		{"closest region", "SignIn/pt-PT SignIn/pt-BR", UsageSignIn, "pt", "SignIn/pt-BR"},
		{"Latin American Spanish", "SignIn/es SignIn/es-419", UsageSignIn, "es-MX", "SignIn/es-419"},
		{"traditional Chinese", "SignIn/zh-CN SignIn/zh-TW", UsageSignIn, "zh-HK", "SignIn/zh-TW"},
		{"simplified when there is no other", "SignIn SignIn/zh-CN", UsageSignIn, "zh-TW", "SignIn/zh-CN"},
		{"either Serbian script", "SignIn SignIn/sr", UsageSignIn, "sr-Latn", "SignIn/sr"},
		{"no other script", "SignIn SignIn/hi", UsageSignIn, "hi-Latn", "SignIn"},
		{"Bokmål is Norwegian", "SignIn SignIn/no", UsageSignIn, "nb-NO", "SignIn/no"},
		{"Nynorsk reads Bokmål", "SignIn SignIn/nb", UsageSignIn, "nn", "SignIn/nb"},
		{"but has its own first", "SignIn/nb SignIn/nn", UsageSignIn, "nn-NO", "SignIn/nn"},
		{"old tag for Hebrew", "SignIn SignIn/he", UsageSignIn, "iw-IL", "SignIn/he"},
		{"Mandarin is Chinese", "SignIn SignIn/zh", UsageSignIn, "cmn", "SignIn/zh"},
		{"letter case and underscore", "SignIn SignIn/en-us", UsageSignIn, "EN_US", "SignIn/en-us"},
		{"extensions", "SignIn SignIn/ar", UsageSignIn, "ar-EG-u-nu-latn", "SignIn/ar"},

		{"unrelated language", "SignIn SignIn/de", UsageSignIn, "fr", "SignIn"},
		{"Tamil is not English", "SignIn SignIn/en", UsageSignIn, "ta", "SignIn"},
		{"Kazakh is not Russian", "SignIn SignIn/ru", UsageSignIn, "kk", "SignIn"},
		{"a region is no language", "SignIn SignIn/en", UsageSignIn, "und-US", "SignIn"},

		{"order of preference", "SignIn SignIn/de SignIn/fr", UsageSignIn, "it fr de", "SignIn/fr"},
		{"a variety of the first before the second", "SignIn/pt-PT SignIn/en", UsageSignIn, "pt-BR en", "SignIn/pt-PT"},
		{"a later one before neutral", "SignIn SignIn/en", UsageSignIn, "kk en", "SignIn/en"},
		{"bad ones are passed over", "SignIn SignIn/de", UsageSignIn, "* C en--US x-y en_US.UTF-8 de", "SignIn/de"},
		{"all bad", "SignIn SignIn/de", UsageSignIn, "* 12 !!", "SignIn"},
		{"unknown variant", "SignIn SignIn/de", UsageSignIn, "de-foobar", "SignIn/de"},
		{"too long", "SignIn SignIn/de", UsageSignIn, "de-x-" + strings.Repeat("abcdefgh-", 9) + "a", "SignIn"},
		{"the 16th counts", "SignIn SignIn/de", UsageSignIn, strings.Repeat("fr ", 15) + "de", "SignIn/de"},
		{"the 17th does not", "SignIn SignIn/de", UsageSignIn, strings.Repeat("fr ", 16) + "de", "SignIn"},
	})
}

func TestChooseEmptyLocale(t *testing.T) {
	t.Parallel()
	c := catalogOf(t, "SignIn", "SignIn/de")
	for _, locales := range [][]string{nil, {""}, {"", ""}} {
		if got, err := c.Choose(UsageSignIn, locales...); err != nil || got.Content != "SignIn" {
			t.Errorf("Choose with %q: %q, %v", locales, got.Content, err)
		}
	}
	if got, err := c.Choose(UsageSignIn, "", "de"); err != nil || got.Content != "SignIn/de" {
		t.Errorf("an empty locale hides the next one: %q, %v", got.Content, err)
	}
	if _, err := new(Catalog).Choose(UsageSignIn, "de"); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("the zero Catalog: %v", err)
	}
}

func TestNewCatalogFaults(t *testing.T) {
	t.Parallel()
	_, err := NewCatalog([]Template{
		{Usage: "signin"},
		{Usage: UsageSignIn, Locale: "de"},
		{Usage: UsageSignIn, Locale: "DE"},
		{Usage: UsageSignIn, Locale: "english"},
		{Usage: UsageSignIn, Locale: "en--US"},
		{Usage: UsageSignIn, Locale: "und"},
		{Usage: UsageSignIn, Locale: "x-house"},
		{Usage: UsageTest},
		{Usage: UsageTest},
		{Usage: UsageGeneric, Locale: "iw"},
		{Usage: UsageGeneric, Locale: "he"},
		{Usage: UsageRegister, Locale: "he"}, // right
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`sms: template at index 0: unknown usage type "signin"`,
		`sms: template at index 2: there is another for SignIn in locale de`,
		`sms: template at index 3: the locale "english" is not a BCP 47 tag with a language`,
		`sms: template at index 4: the locale "en--US" is not a BCP 47 tag with a language`,
		`sms: template at index 5: the locale "und" is not a BCP 47 tag with a language`,
		`sms: template at index 6: the locale "x-house" is not a BCP 47 tag with a language`,
		`sms: template at index 8: there is another for Test without locale`,
		`sms: template at index 10: there is another for Generic in locale he`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestCatalogKeepsTemplates(t *testing.T) {
	t.Parallel()
	ts := []Template{{Usage: UsageSignIn, Locale: "DE-at", Content: "{{code}}"}, {Usage: UsageSignIn, Content: "x"}}
	c, err := NewCatalog(ts)
	if err != nil {
		t.Fatal(err)
	}
	want := ts[0]
	ts[0].Content, ts[1].Content = "changed", "changed"
	if got, err := c.Choose(UsageSignIn, "de-AT"); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v as given", got, err, want)
	}
	if got, err := c.Choose(UsageSignIn); err != nil || got.Content != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestChooseConcurrently(t *testing.T) {
	t.Parallel()
	c := catalogOf(t, "SignIn", "SignIn/de", "SignIn/zh-TW", "Generic/fr")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, l := range []string{"", "de-CH", "zh-HK", "ta", "!", "de"} {
				if _, err := c.Choose(UsageSignIn, l, "de"); err != nil {
					t.Errorf("%q: %v", l, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzChoose(f *testing.F) {
	for _, l := range []string{"", "de", "zh-Hant-TW", "en-u-nu-arab-x-a", "i-klingon", "sl-nedis", "*", "a-b-c", "und-Latn", "\xff", "x-"} {
		f.Add(l, "en")
	}
	c := catalogOf(f, "SignIn", "SignIn/de", "SignIn/en-GB", "SignIn/zh-TW", "SignIn/sr-Latn")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, err := c.Choose(UsageSignIn, a, b)
		if err != nil || got.Usage != UsageSignIn {
			t.Fatalf("Choose(%q, %q) = %+v, %v", a, b, got, err)
		}
		again, err := c.Choose(UsageTest, a, b)
		if !errors.Is(err, ErrNoTemplate) || again != (Template{}) {
			t.Fatalf("Choose of a usage without template = %+v, %v", again, err)
		}
	})
}

func TestChooseAllocates(t *testing.T) {
	c := catalogOf(t, "SignIn", "SignIn/de", "Generic")
	for _, locale := range []string{"", "de"} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := c.Choose(UsageSignIn, locale); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("Choose with locale %q makes %v allocations, want none", locale, n)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	c := catalogOf(b, "SignIn", "SignIn/de", "SignIn/fr", "SignIn/es", "SignIn/pt-BR", "SignIn/zh-TW", "Generic")
	for _, bm := range []struct {
		name    string
		locales []string
	}{
		{"none", nil},
		{"exact", []string{"de"}},
		{"region", []string{"de-CH"}},
		{"unknown", []string{"fi-FI", "sv"}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Choose(UsageSignIn, bm.locales...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
