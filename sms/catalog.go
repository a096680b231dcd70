package sms

import (
	"errors"
	"fmt"

	"golang.org/x/text/language"
)

// ErrNoTemplate says that a catalog has no template for a usage: none that
// suits the locale, none without locale, and no Generic one either.
var ErrNoTemplate = errors.New("sms: template not found")

// Bounds on what Choose reads of a request. RFC 5646 asks for room for tags of
// 35 characters; a browser lists a handful of languages.
const (
	maxLocale  = 64
	maxLocales = 16
)

// Template is one text for one usage and one locale.
type Template struct {
	Usage   UsageType
	Locale  string // BCP 47; "" serves every locale
	Content string // with placeholders, see Render
}

// Catalog holds templates and chooses among them. It never changes and may be
// used by many goroutines at once. The zero Catalog has no templates.
type Catalog struct {
	usages map[UsageType]*variants
}

// variants are the templates of one usage.
type variants struct {
	neutral   *Template                    // the one without locale, or nil
	byLocale  map[string]Template          // by canonical locale
	languages map[language.Base]*languages // by the language they are in
}

// languages are the templates in the varieties of one language: regions,
// scripts, spellings.
type languages struct {
	tags      []language.Tag
	templates []Template // of the tag at the same index
	matcher   language.Matcher
}

// NewCatalog makes a catalog. It reports, all at once, every template whose
// usage is unknown, whose locale is not a BCP 47 tag with a language, or whose
// usage and canonical locale an earlier template has. ("iw-il" and "he-IL" are
// one locale.) The index in an error's text counts from 0.
func NewCatalog(ts []Template) (*Catalog, error) {
	c := &Catalog{usages: map[UsageType]*variants{}}
	var faults []error
	for i, t := range ts {
		if err := c.add(t); err != nil {
			faults = append(faults, fmt.Errorf("sms: template at index %d: %w", i, err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, v := range c.usages {
		for _, l := range v.languages {
			l.matcher = language.NewMatcher(l.tags)
		}
	}
	return c, nil
}

func (c *Catalog) add(t Template) error {
	if !t.Usage.Known() {
		return fmt.Errorf("unknown usage type %q", t.Usage)
	}
	v := c.usages[t.Usage]
	if v == nil {
		v = &variants{byLocale: map[string]Template{}, languages: map[language.Base]*languages{}}
		c.usages[t.Usage] = v
	}
	if t.Locale == "" {
		if v.neutral != nil {
			return fmt.Errorf("there is another for %s without locale", t.Usage)
		}
		v.neutral = &t
		return nil
	}
	tag, base, err := parseLocale(t.Locale)
	if err != nil {
		return fmt.Errorf("the locale %q is not a BCP 47 tag with a language", t.Locale)
	}
	locale := tag.String()
	if _, dup := v.byLocale[locale]; dup {
		return fmt.Errorf("there is another for %s in locale %s", t.Usage, locale)
	}
	v.byLocale[locale] = t
	l := v.languages[base]
	if l == nil {
		l = &languages{}
		v.languages[base] = l
	}
	l.tags = append(l.tags, tag)
	l.templates = append(l.templates, t)
	return nil
}

// Choose returns the template for u and the person's locales, best liked
// first: the usage's own template in the first of these languages that it has,
// else its template without locale, else the same among the Generic ones. The
// error is ErrNoTemplate.
//
// Among the varieties of one language the closest is chosen: de-CH gets de,
// and zh-HK gets zh-TW rather than zh-CN. Another language never is, though
// its speakers often read it too: that is what the template without locale is
// for. A locale that is empty or no language tag is passed over, as is
// everything after the first 16.
func (c *Catalog) Choose(u UsageType, locales ...string) (Template, error) {
	var wishes []language.Tag
	parsed := false
	for _, usage := range [...]UsageType{u, UsageGeneric} {
		v := c.usages[usage]
		if v == nil {
			continue
		}
		if len(locales) > 0 && len(v.byLocale) > 0 {
			if t, ok := v.byLocale[locales[0]]; ok {
				return t, nil // the usual case, without parsing
			}
			if !parsed {
				wishes, parsed = parseLocales(locales), true
			}
			if t, ok := v.match(wishes); ok {
				return t, nil
			}
		}
		if v.neutral != nil {
			return *v.neutral, nil
		}
	}
	return Template{}, ErrNoTemplate
}

// match returns the closest template in the first of the languages that v has.
func (v *variants) match(wishes []language.Tag) (Template, bool) {
	for _, wish := range wishes {
		base, _ := baseOf(wish)
		l := v.languages[base]
		if l == nil {
			continue
		}
		// No confidence is a script that the language's readers do not share:
		// Hindi in Latin letters for Hindi. Low is one that they mostly do:
		// traditional for simplified Chinese, Cyrillic for Latin Serbian.
		if _, i, confidence := l.matcher.Match(wish); confidence >= language.Low {
			return l.templates[i], true
		}
	}
	return Template{}, false
}

// parseLocales returns the tags of those locales that name a language. A tag
// with a subtag that is well formed but unknown serves without it.
func parseLocales(locales []string) []language.Tag {
	var tags []language.Tag
	for _, s := range locales[:min(len(locales), maxLocales)] {
		if s == "" || len(s) > maxLocale {
			continue
		}
		tag, err := language.All.Parse(s)
		var unknown language.ValueError
		if err != nil && !errors.As(err, &unknown) {
			continue
		}
		if _, ok := baseOf(tag); ok {
			tags = append(tags, tag)
		}
	}
	return tags
}

// norwegian and nynorsk are one language in two spellings; its readers share
// both. Bokmål's own tag, nb, is canonically no.
var (
	norwegian = language.MustParseBase("no")
	nynorsk   = language.MustParseBase("nn")
)

// baseOf returns the language of a tag in canonical form; false for none, as
// in "und-US" and private tags.
func baseOf(tag language.Tag) (language.Base, bool) {
	base, _, _ := tag.Raw()
	if base == nynorsk {
		return norwegian, true
	}
	return base, base != language.Base{}
}
