package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/internal/pgtest"
)

// TestPostgresCommands takes an embedded store to PostgreSQL by the command line,
// as docs/postgres.md says, and serves it there.
func TestPostgresCommands(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	url, data := server.Database(t), filepath.Join(t.TempDir(), "data")
	command := func(want string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		status := run(t.Context(), args, streams{strings.NewReader(""), &out, &errs})
		if status != 0 || !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%q: status %d, want %q\n%s%s", args, status, want, &out, &errs)
		}
	}
	command(`^postgres://.*/test1: the tables were made; they are at version \d+\n$`, "migrate", "--store", url)
	command(`: the tables are at version \d+; nothing to do\n$`, "migrate", "--store", url)
	command(`^sd_`, "keys", "create", "--data", data, "--name", "shop")
	command(`^copied from .*sixdigit\.db to postgres://.*/test1\n +0 verifications\n( .*\n){3} +1 api_keys\n +0 services\n +0 events\n$`, "copy", "--from", data, "--to", url)
	command(` app shop  name shop `, "keys", "list", "--store", url)
	command(`^sd_`, "keys", "create", "--store", url, "--name", "bank")
	command(``, "limits", "clear", "--store", url, "--data", data, "--app", "shop", "--to", "+14155550134")

	s := newSite(t, "", nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	status := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		// The server key is where the embedded store's was.
		status <- run(ctx, []string{"serve", "--config", s.config, "--data", data, "--store", url}, streams{strings.NewReader(""), in, &errs})
		_ = in.Close()
	}()
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "answers on") {
		t.Errorf("serve: %q, %v", line[:n], err)
	}
	stop()
	if got := <-status; got != 0 || !strings.Contains(errs.String(), "msg=database at=postgres://") {
		t.Errorf("serve: status %d\n%s", got, &errs)
	}
}
