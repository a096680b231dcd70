package twilioverify

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/twilio/twilio-go/rest/verify/v2"
)

const document = "../../docs/twilio-verify.md"

// section returns what stands below a marker, up to the next empty line but one.
func section(t *testing.T, text, marker string) (before, table, after string) {
	t.Helper()
	before, rest, ok := strings.Cut(text, "<!-- "+marker+" -->\n")
	if !ok {
		t.Fatalf("%s has no marker %q", document, marker)
	}
	end := 0
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		end += len(line)
	}
	return before + "<!-- " + marker + " -->\n", rest[:end], rest[end:]
}

func (o operation) table() string {
	var b strings.Builder
	b.WriteString("| parameter | use | what it does |\n|---|---|---|\n")
	for _, p := range o.parameters {
		note := p.note
		if p.harmless != "" {
			note += "; `" + p.harmless + "` is taken"
		}
		if p.use == refused {
			note = strings.ToUpper(note[:1]) + note[1:] + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.name, p.use, note)
	}
	return b.String()
}

func errorTable() string {
	var b strings.Builder
	b.WriteString("| code | HTTP status | message | `Retry-After` |\n|---|---|---|---|\n")
	for _, a := range answerTable() {
		retry := ""
		if a.status == 429 || a.code == codeUnavailable {
			retry = "yes"
		}
		fmt.Fprintf(&b, "| %d | %d | %s | %s |\n", a.code, a.status, a.message, retry)
	}
	return b.String()
}

// TestDocument holds the document's tables to the code's.
func TestDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	tables := map[string]string{"errors": errorTable()}
	for _, o := range operations() {
		if o.name != "Update a service" { // it has those of Create a service
			tables["table: "+o.name] = o.table()
		}
	}
	for marker, want := range tables {
		before, got, after := section(t, text, marker)
		if *update {
			text = before + want + after
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", marker, diff)
		}
	}
	if *update {
		if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]any{
		"Service": Service{}, "Verification": Verification{}, "Check": Check{}, "Attempt": Attempt{}, "Summary": Summary{},
	} {
		_, table, _ := section(t, text, "fields: "+name)
		var rows []string
		for line := range strings.Lines(table) {
			if field, ok := strings.CutPrefix(line, "| `"); ok {
				field, _, _ = strings.Cut(field, "`")
				rows = append(rows, field)
			}
		}
		if diff := cmp.Diff(tags(reflect.TypeOf(value)), rows); diff != "" {
			t.Errorf("fields of %s (-code +document):\n%s", name, diff)
		}
	}
}

// tags are the names of a struct's fields on the wire.
func tags(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// TestSDKKnowsNoMore holds the tables to what Twilio's SDK can ask for and reads.
func TestSDKKnowsNoMore(t *testing.T) {
	t.Parallel()
	all := map[string][]string{}
	for _, o := range operations() {
		for _, p := range o.parameters {
			all[o.name] = append(all[o.name], p.name)
		}
	}
	for name, params := range map[string]any{
		"Create a service": sdk.CreateServiceParams{}, "Update a service": sdk.UpdateServiceParams{}, "List services": sdk.ListServiceParams{},
		"Start a verification": sdk.CreateVerificationParams{}, "Update a verification": sdk.UpdateVerificationParams{},
		"Check a code": sdk.CreateVerificationCheckParams{}, "List attempts": sdk.ListVerificationAttemptParams{},
		"Summarize attempts": sdk.FetchVerificationAttemptsSummaryParams{},
	} {
		theirs := slices.DeleteFunc(tags(reflect.TypeOf(params)), func(name string) bool { return name == "limit" }) // the SDK's own
		ours := slices.DeleteFunc(slices.Clone(all[name]), func(name string) bool { return name == "Page" || name == "PageToken" })
		slices.Sort(theirs)
		slices.Sort(ours)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s (-SDK +ours):\n%s", name, diff)
		}
	}
	for name, pair := range map[string][2]any{
		"service": {sdk.VerifyV2Service{}, Service{}}, "verification": {sdk.VerifyV2Verification{}, Verification{}},
		"check": {sdk.VerifyV2VerificationCheck{}, Check{}}, "attempt": {sdk.VerifyV2VerificationAttempt{}, Attempt{}},
		"summary": {sdk.VerifyV2VerificationAttemptsSummary{}, Summary{}},
	} {
		theirs, ours := tags(reflect.TypeOf(pair[0])), tags(reflect.TypeOf(pair[1]))
		slices.Sort(theirs)
		slices.Sort(ours)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("the fields of a %s (-SDK +ours):\n%s", name, diff)
		}
	}
}
