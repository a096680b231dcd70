package sms

import (
	"errors"

	"golang.org/x/text/language"
)

var errLocale = errors.New("sms: the locale is not a BCP 47 tag with a language")

// ParseLocale reads the locale of a template, a BCP 47 tag that names a
// language, and returns its canonical form: "iw-il" and "he-IL" are one locale.
func ParseLocale(s string) (canonical string, err error) {
	tag, _, err := parseLocale(s)
	if err != nil {
		return "", err
	}
	return tag.String(), nil
}

func parseLocale(s string) (language.Tag, language.Base, error) {
	tag, err := language.All.Parse(s)
	base, ok := baseOf(tag)
	if err != nil || !ok {
		return language.Und, language.Base{}, errLocale
	}
	return tag, base, nil
}
