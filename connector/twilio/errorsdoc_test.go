package twilio

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
)

// go test ./connector/twilio -run ErrorsDoc -update writes the table anew.
var update = flag.Bool("update", false, "write docs/errors.md from the table of codes")

// docs/errors.md shows the table that the connector classifies by.
func TestErrorsDoc(t *testing.T) {
	const path = "../../docs/errors.md"
	const begin, end = "<!-- codes: go test ./connector/twilio -run ErrorsDoc -update -->\n", "<!-- end -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks its marks", path)
	}
	want := errorsTable()
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+want+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("%s is out of date; write it with -update", path)
	}
	for _, a := range []connector.Advice{sayCheck, sayMobile, sayOptOut, sayCountry, sayOther, sayWait, sayFault, sayTooMany} {
		if !strings.Contains(head, fmt.Sprintf("| `%s` | %s |", a, a.Text(0))) {
			t.Errorf("%s lacks the words of %s", path, a)
		}
	}
	for _, k := range connector.Kinds() {
		if !strings.Contains(head, fmt.Sprintf("| `%s` |", k)) {
			t.Errorf("%s lacks the kind %s", path, k)
		}
	}
}

func errorsTable() string {
	var b strings.Builder
	b.WriteString("| Code | Kind | Calls for | Advice | What it means |\n|---|---|---|---|---|\n")
	for _, r := range codes {
		actions := strings.ReplaceAll(r.actions.String(), ",", ", ")
		fmt.Fprintf(&b, "| [%d](https://www.twilio.com/docs/errors/%[1]d) | %s | %s | `%s` | %s |\n", r.code, r.kind, actions, r.advice, r.meaning)
	}
	return b.String()
}
