package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scripts can only tell success from failure; this table tells 1 from 2.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.json", `{"accountSID": "AC00000000000000000000000000000000", "authToken": "11111111111111111111111111111111",
		"fromMessagingServiceSID": "MG00000000000000000000000000000000", "baseURL": "http://127.0.0.1:1",
		"templates": [{"usageType": "Test", "content": "{{code}}"}]}`)
	bad := file("bad.json", `{}`)
	cases := []struct {
		args string
		want int
	}{
		{"", 0},
		{"--help", 0},
		{"version", 0},
		{"--version", 0},
		{"help", 0},
		{"connector schema", 0},
		{"connector check " + good, 0},
		{"connector check " + bad, 2},
		{"connector check --json " + bad, 2},
		{"connector check " + filepath.Join(dir, "missing.json"), 2},
		{"connector check", 2},
		{"connector", 2},
		{"frobnicate", 2},
		{"version --frobnicate", 2},
		{"connector send " + bad + " --to +14155550134", 2},
		{"connector send " + good + " --to 555", 2},
		{"connector send " + good + " --to +14155550134", 1}, // port 1 refuses
		{"connector send " + good + " --to +14155550134 --usage SignIn", 1},
		{"twilio-sim --listen 127.0.0.1:notaport", 1},
		{"migrate --data " + filepath.Join(dir, "none"), 1},
		{"migrate --store postgres://127.0.0.1:1/codes", 1},
		{"migrate --store postgres://u:p@127.0.0.1:1/codes", 2},
		{"keys list --store codes", 2},
		{"keys list --data " + filepath.Join(dir, "none"), 1},
		{"keys list --data postgres://127.0.0.1:1/codes", 2},
		{"copy --from " + dir + " --to postgrs://u:p@127.0.0.1:1/codes", 2},
		{"limits clear --help", 0},
		{"copy", 2},
		{"copy --from " + dir + " --to " + filepath.Join(dir, "none"), 1},
		{"limits clear --app shop --to +14155550134 --store postgres://127.0.0.1:1/codes --data " + filepath.Join(dir, "none"), 2}, // no server key
	}
	for _, c := range cases {
		var out, errs strings.Builder
		got := run(t.Context(), strings.Fields(c.args), streams{strings.NewReader(""), &out, &errs})
		if got != c.want {
			t.Errorf("sixdigit %s: status %d, want %d\n%s%s", c.args, got, c.want, &out, &errs)
		}
		if got == exitFailed && errs.Len() == 0 {
			t.Errorf("sixdigit %s failed in silence", c.args)
		}
	}
}

// A reader that went away (sixdigit … | head) is a failure, not a success.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var errs strings.Builder
	got := run(context.Background(), []string{"connector", "schema"}, streams{strings.NewReader(""), failingWriter{}, &errs})
	if got != exitFailed {
		t.Errorf("status %d, want %d", got, exitFailed)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
