package connectorjson

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// CodePlaceholder is the name that every template holds in double curly
// brackets, where the code goes.
const CodePlaceholder = "code"

// sampleCode stands in for a code where a template is measured: codes are
// digits, which take one unit each in both encodings.
const sampleCode = "123456"

// payloadNames returns what callers send beside the code. A placeholder of another
// name works only for callers who send it.
func payloadNames() []string { return []string{CodePlaceholder, "link", "locale", "uiLocales"} }

// readTemplates returns one template for each element, the zero Template where
// the element has faults, so that indexes stay those of the file.
func readTemplates(n *node) (templates []sms.Template, faults []connector.Fault) {
	elems, ok := n.value.([]*node)
	field := Field{Type: FieldTemplates, Required: true}
	switch {
	case !ok:
		return nil, []connector.Fault{fault(n.path(), wrongType(n, "an array"), field.Fix())}
	case len(elems) == 0:
		return nil, []connector.Fault{fault(n.path(), "is empty", field.Fix())}
	}
	first := map[string]string{} // usage type and locale, to the path that had it first
	for _, e := range elems {
		t, fs := readTemplate(e)
		faults = append(faults, fs...)
		if len(fs) > 0 {
			templates = append(templates, sms.Template{})
		} else {
			templates = append(templates, t)
		}
		if t.Usage == "" || faulty(fs, e.path()+"/locale") {
			continue // nothing to compare with the others
		}
		locale, _ := sms.ParseLocale(t.Locale) // "" for none
		key := string(t.Usage) + " " + locale
		if at, twice := first[key]; twice {
			faults = append(faults, fault(e.path(), "has the usage type and locale of "+at, "keep one of the two, or give them different locales"))
			continue
		}
		first[key] = e.path()
	}
	return templates, faults
}

func faulty(faults []connector.Fault, path string) bool {
	return slices.ContainsFunc(faults, func(f connector.Fault) bool { return f.Path == path })
}

func readTemplate(n *node) (t sms.Template, faults []connector.Fault) {
	members, ok := n.value.([]member)
	if !ok {
		return t, []connector.Fault{fault(n.path(), "is "+n.typeName()+", not an object", `write {"usageType": …, "content": …}`)}
	}
	var usage, content bool
	for _, m := range members {
		switch m.name {
		case "usageType":
			usage = true
			faults = append(faults, readUsage(m.node, &t)...)
		case "content":
			content = true
			faults = append(faults, readContent(m.node, &t)...)
		case "locale":
			faults = append(faults, readLocale(m.node, &t)...)
		default:
			faults = append(faults, unknownFault(m.path(), "template field", m.name, []string{"usageType", "content", "locale"}))
		}
	}
	if !usage {
		faults = append(faults, fault(n.path()+"/usageType", "is missing", usageFix()))
	}
	if !content {
		faults = append(faults, fault(n.path()+"/content", "is missing", contentFix))
	}
	return t, faults
}

const contentFix = `write the text of the message with {{code}} where the code goes, as "Your code is {{code}}."`

func usageFix() string { return "write one of " + strings.Join(usageNames(), ", ") }

func usageNames() []string {
	var names []string
	for _, u := range sms.UsageTypes() {
		names = append(names, string(u))
	}
	return names
}

func readUsage(n *node, t *sms.Template) []connector.Fault {
	s, ok := n.value.(string)
	switch {
	case !ok:
		return []connector.Fault{fault(n.path(), "is "+n.typeName()+", not a string", usageFix())}
	case s == "":
		return []connector.Fault{fault(n.path(), "is empty", usageFix())}
	case !sms.UsageType(s).Known():
		return []connector.Fault{unknownFault(n.path(), "usage type", s, usageNames())}
	}
	t.Usage = sms.UsageType(s)
	return nil
}

func readContent(n *node, t *sms.Template) []connector.Fault {
	s, ok := n.value.(string)
	switch {
	case !ok:
		return []connector.Fault{fault(n.path(), "is "+n.typeName()+", not a string", contentFix)}
	case strings.TrimSpace(s) == "":
		return []connector.Fault{fault(n.path(), "is empty", contentFix)}
	case !sms.UsesPlaceholder(s, CodePlaceholder):
		return []connector.Fault{fault(n.path(), "has no {{code}}", "put {{code}} where the code goes: without it nobody gets a code")}
	}
	if length := sms.BodyLength(sample(s)); length > sms.MaxBody {
		return []connector.Fault{fault(n.path(), fmt.Sprintf("makes a message of %d characters", length), fmt.Sprintf("shorten it to %d: longer ones are refused", sms.MaxBody))}
	}
	t.Content = s
	return nil
}

func readLocale(n *node, t *sms.Template) []connector.Fault {
	const fix = `write a language tag such as "en" or "pt-BR", or leave the field out for the template that serves every language`
	s, ok := n.value.(string)
	switch {
	case !ok:
		return []connector.Fault{fault(n.path(), "is "+n.typeName()+", not a string", fix)}
	case s == "":
		return []connector.Fault{fault(n.path(), "is empty", fix)}
	}
	if _, err := sms.ParseLocale(s); err != nil {
		return []connector.Fault{fault(n.path(), "is not a BCP 47 language tag", fix)}
	}
	t.Locale = s
	return nil
}

func sample(content string) string {
	return sms.Render(content, map[string]any{CodePlaceholder: sampleCode})
}

// Report is what a template makes of a six-digit code.
type Report struct {
	Usage    sms.UsageType `json:"usage_type"`
	Locale   string        `json:"locale"`
	Encoding sms.Encoding  `json:"encoding"`
	Segments int           `json:"segments"` // what the provider bills
	Units    int           `json:"units"`    // septets in GSM-7, UTF-16 units in UCS-2
	ForcedBy string        `json:"forced_by"`
}

// Reports measures each template with a six-digit code, as it is sent:
// after Smart Encoding where smart is set.
func Reports(templates []sms.Template, smart bool) []Report {
	reports := make([]Report, 0, len(templates))
	for _, t := range templates {
		if t.Content == "" {
			continue // it has faults, which stand elsewhere
		}
		body := sample(t.Content)
		if smart {
			body = sms.SmartEncode(body)
		}
		size := sms.Measure(body)
		reports = append(reports, Report{t.Usage, t.Locale, size.Encoding, size.Segments, size.Units, string(size.ForcedBy)})
	}
	return reports
}

// Warnings returns what is probably not meant about the templates of
// the file's templates field: encoding and length that cost money, placeholders
// that few callers fill, usage types that nothing serves.
func Warnings(templates []sms.Template, smart bool) []connector.Warning {
	var warnings []connector.Warning
	for i, t := range templates {
		if t.Content == "" {
			continue
		}
		path := fmt.Sprintf("/templates/%d/content", i)
		r := Reports(templates[i:i+1], smart)[0]
		if r.ForcedBy != "" {
			warnings = append(warnings, warning(path, encodingWarning(r, sample(t.Content), smart)))
		}
		if r.Segments > 1 {
			warnings = append(warnings, warning(path, fmt.Sprintf("is sent and billed as %d segments", r.Segments)))
		}
		for _, name := range sms.Placeholders(t.Content) {
			if !usual(name) {
				warnings = append(warnings, warning(path, fmt.Sprintf("has {{%s}}, which is sent as it stands unless the caller's payload has it", name)))
			}
		}
	}
	return append(warnings, usageWarnings(templates)...)
}

func usual(placeholder string) bool {
	root, _, _ := strings.Cut(placeholder, ".")
	return slices.Contains(payloadNames(), root)
}

func encodingWarning(r Report, body string, smart bool) string {
	text := fmt.Sprintf("%s forces UCS-2: a segment holds 70 characters instead of 160, and this text takes %s", quoteRunes(r.ForcedBy), count(r.Segments, "segment"))
	if after := sms.Measure(sms.SmartEncode(body)); !smart && after.Encoding == sms.EncodingGSM7 {
		text += fmt.Sprintf(`; with "smartEncoded": true it takes %s`, count(after.Segments, "segment"))
	}
	return text
}

func quoteRunes(s string) string {
	var quoted []string
	for _, r := range s {
		quoted = append(quoted, fmt.Sprintf("%q (U+%04X)", string(r), r))
	}
	return strings.Join(quoted, ", ")
}

func usageWarnings(templates []sms.Template) []connector.Warning {
	anyLocale := map[sms.UsageType]bool{}
	someLocale := map[sms.UsageType]bool{}
	for _, t := range templates {
		if t.Content == "" {
			return nil // it has faults; mended, it may serve what seems unserved
		}
		if t.Locale == "" {
			anyLocale[t.Usage] = true
		} else {
			someLocale[t.Usage] = true
		}
	}
	if len(templates) == 0 || anyLocale[sms.UsageGeneric] {
		return nil
	}
	var none, partly []string
	for _, u := range sms.UsageTypes() {
		switch {
		case anyLocale[u]:
		case someLocale[u] || someLocale[sms.UsageGeneric]:
			partly = append(partly, string(u))
		default:
			none = append(none, string(u))
		}
	}
	var warnings []connector.Warning
	if len(none) > 0 {
		warnings = append(warnings, warning("/templates", fmt.Sprintf("no template serves %s: such sends fail with \"template not found\"; a Generic template would serve them", strings.Join(none, ", "))))
	}
	if len(partly) > 0 {
		warnings = append(warnings, warning("/templates", fmt.Sprintf("%s: only people whose language has a template are served, others' sends fail with \"template not found\"; add a template without locale", strings.Join(partly, ", "))))
	}
	return warnings
}

func warning(path, message string) connector.Warning {
	return connector.Warning{Path: path, Message: message}
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
