package connectortest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) { Run(t, plainHarness("")) }

// flaws are what a connector may do wrong, and the part of Run that has to
// find it.
var flaws = map[string]string{
	"own transport":              "accepts",
	"no id":                      "accepts",
	"shows itself":               "accepts",
	"no type":                    "statuses",
	"no text":                    "statuses",
	"no advice":                  "statuses",
	"own kind":                   "statuses",
	"own outcome":                "statuses",
	"retry beside maybe":         "statuses",
	"retries":                    "statuses/503",
	"follows redirects":          "statuses/307",
	"quotes the provider":        "statuses/400",
	"5xx as refused":             "statuses/500",
	"401 as sender":              "statuses/401",
	"no status":                  "statuses/400",
	"no wait":                    "statuses/429_Retry-After_\"7\"",
	"negative wait":              "statuses/429_Retry-After_\"-5\"",
	"any 2xx":                    "answers_without_meaning/empty",
	"a receipt beside the error": "answers_without_meaning/html",
	"lost as never sent":         "lost_answers/closed",
	"url.Error":                  "lost_answers/reset",
	"no cause":                   "lost_answers/canceled",
	"never sent as lost":         "never_sent/connection_refused",
	"silent on certificates":     "never_sent/certificate_not_trusted",
	"sends when it is over":      "never_sent/canceled_before",
	"replays":                    "no_replay",
	"no signature":               "callbacks/no_header",
	"signs the body alone":       "callbacks/another_host",
	"own sentinel":               "callbacks/no_body",
	"quotes callbacks":           "callbacks/a_body_of_garbage",
	"reads it wrongly":           "callbacks",
	"replies unsigned":           "replies/no_header",
	"quotes replies":             "replies/a_body_of_garbage",
	"says who beside the error":  "replies/another_word",
	"STOP is START":              "replies",
	"finds nothing":              "finder",
	"maybe of a look":            "finder",
	"quotes the id":              "finder",
	"feedback is deaf":           "feedback",
}

const flawedEnv = "SIXDIGIT_TEST_FLAWED"

// TestRunFindsFlaws runs TestFlawed in another process, where it has to fail.
func TestRunFindsFlaws(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestFlawed$", "-test.v")
	cmd.Env = append(os.Environ(), flawedEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("every flawed connector passes")
	}
	for flaw, part := range flaws {
		failed := fmt.Sprintf("--- FAIL: TestFlawed/%s/%s (", strings.ReplaceAll(flaw, " ", "_"), part)
		if !strings.Contains(string(out), failed) {
			t.Errorf("%s: %s does not fail", flaw, part)
		}
	}
	for _, never := range []string{"panic:", "DATA RACE", "unknown flaw"} {
		if strings.Contains(string(out), never) {
			t.Errorf("the output holds %q:\n%s", never, out)
		}
	}
}

// TestFlawed does nothing but in that process: each flawed connector meets the
// part that has to find it.
func TestFlawed(t *testing.T) {
	if os.Getenv(flawedEnv) == "" {
		return
	}
	for flaw, where := range flaws {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(where, "/")
			s := &suite{h: plainHarness(flaw)}
			for _, p := range s.parts() {
				if strings.ReplaceAll(p.name, " ", "_") == name {
					t.Run(p.name, p.run)
				}
			}
		})
	}
}
