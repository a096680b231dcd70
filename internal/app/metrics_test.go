package app

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sixdigit/sixdigit/connector"
)

// The guide lists every metric of ours, and none that there is not.
func TestGuideListsEveryMetric(t *testing.T) {
	t.Parallel()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		newMetrics().registry.Describe(descriptions)
		close(descriptions)
	}()
	var have []string
	name := regexp.MustCompile(`fqName: "(sixdigit_\w+)"`)
	for d := range descriptions {
		if found := name.FindStringSubmatch(d.String()); found != nil {
			have = append(have, found[1])
		}
	}
	guide, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(guide)) {
		if strings.HasPrefix(line, "| `sixdigit_") {
			for _, word := range regexp.MustCompile("`(sixdigit_\\w+)`").FindAllStringSubmatch(line, -1) {
				told = append(told, word[1])
			}
		}
	}
	slices.Sort(have)
	slices.Sort(told)
	if diff := cmp.Diff(have, told); diff != "" || len(have) < 15 {
		t.Errorf("metrics and guide differ:\n%s", diff)
	}
}

// A connector is warned of from a refusal that is our fault until a success; what
// Twilio says of a number changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	for i, step := range []struct {
		name string
		kind connector.Kind
		want []string // of each warning, the beginning after "the connector "
	}{
		{"main", connector.KindInvalidRecipient, nil},
		{"spare", connector.KindSender, []string{"spare refuses texts: sender: "}},
		{"main", connector.KindAuth, []string{"main refuses texts: auth: ", "spare refuses texts: sender: "}},
		{"main", connector.KindTemporary, []string{"main refuses texts: auth: ", "spare refuses texts: sender: "}},
		{"main", connector.KindAccount, []string{"main refuses texts: account: ", "spare refuses texts: sender: "}},
		{"spare", "", []string{"main refuses texts: account: "}},
		{"main", connector.KindOptedOut, []string{"main refuses texts: account: "}},
		{"main", "", nil},
	} {
		m.SendDone(step.name, "US", connector.StatusAccepted, step.kind, 0)
		got := m.refusals()
		ok := len(got) == len(step.want)
		for j := 0; ok && j < len(got); j++ {
			ok = strings.HasPrefix(got[j], "the connector "+step.want[j])
		}
		if !ok {
			t.Errorf("step %d, %s %s: %q, want %q", i, step.name, step.kind, got, step.want)
		}
	}
}
