//go:build race || !linux

package costs

import (
	"os"
	"strings"
	"testing"
)

// The race detector allocates on its own account, and the figures are Linux's: with
// it, or elsewhere, nothing is measured here. Then it is scripts/test.sh, that is
// `make test` and CI, that measures without the detector.
func TestMeasuredWithoutRaceDetector(t *testing.T) {
	script, err := os.ReadFile("../../scripts/test.sh")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(script)) {
		if strings.Contains(line, "test -json") && strings.Contains(line, "-count=1 ./internal/costs") && !strings.Contains(line, "-race") {
			return
		}
	}
	t.Error("scripts/test.sh does not run ./internal/costs by itself, uncached and without -race: nothing would guard what a call costs")
}
