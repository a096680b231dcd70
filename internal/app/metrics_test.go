package app

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
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
