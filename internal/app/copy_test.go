package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	_ "modernc.org/sqlite"
)

// TestCopy moves a service to PostgreSQL and back while a person has a code, and
// another process has died with a text on its way.
func TestCopy(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorldOf(t, func(w *world, c *app.Config) {
		w.env = map[string]string{app.KeyEnv: serverKey}
		c.Limits = map[string]app.LimitConfig{"app_number": {Burst: 2, Every: time.Hour}}
		config = *c
	})
	const other = "+14155550135"
	pending := w.start(person)
	code := w.code(person)
	check := "/v1/verifications/" + pending + "/check"
	w.call("POST", check, map[string]any{"code": wrong(code)})
	w.start(other)
	_, open := w.call("POST", "/v1/verifications", startOf(other), "Idempotency-Key", "open")
	_, done := w.call("POST", "/v1/messages", messageOf(person), "Idempotency-Key", "done")
	w.settles(pending, "delivered")

	url := shared.Server(t).Database(t) + "&connect_timeout=30"
	if _, err := app.Copy(t.Context(), secret.New(config.Data), secret.New(url)); err == nil || !strings.Contains(err.Error(), "stop the service first") {
		t.Errorf("a copy from under a service: %v", err)
	}
	w.stop()
	openIdem(t, filepath.Join(config.Data, "sixdigit.db"), open["id"].(string))
	copied, err := app.Copy(t.Context(), secret.New(config.Data), secret.New(url))
	if err != nil {
		t.Fatal(err)
	}
	if c := copied.Rows; c.Verifications != 4 || c.Subjects != 2 || c.Idems != 2 || c.APIKeys != 1 || c.Counters == 0 {
		t.Errorf("copied: %+v", c)
	}

	asBefore := func(where string) {
		t.Helper()
		if status, v := w.call("POST", "/v1/verifications", startOf(other), "Idempotency-Key", "open"); status != http.StatusConflict || v["code"] != "idempotency_key_in_flight" {
			t.Errorf("%s: a call that is in flight: %d %v", where, status, v["code"])
		}
		if status, v := w.call("POST", "/v1/messages", messageOf(person), "Idempotency-Key", "done"); status != http.StatusCreated || v["id"] != done["id"] {
			t.Errorf("%s: a call that was made before: %d %v", where, status, v["id"])
		}
		if status, v := w.call("POST", "/v1/verifications", startOf(other)); status != http.StatusTooManyRequests {
			t.Errorf("%s: a start beyond the limit: %d %v", where, status, v["code"])
		}
	}
	embedded := config
	config.Store, config.Data = app.NewStore(url), filepath.Join(w.dir, "nothing")
	w.run(config)
	asBefore("PostgreSQL")
	if _, v := w.call("POST", check, map[string]any{"code": wrong(code)}); v["valid"] != false || v["attempts_left"] != 3.0 {
		t.Errorf("a second wrong code: %v", v)
	}
	w.stop()
	if _, err := os.Stat(config.Data); err == nil {
		t.Error("a service on PostgreSQL with its key in the environment made a data folder")
	}

	embedded.Data = filepath.Join(w.dir, "back")
	if _, err := app.Copy(t.Context(), secret.New(url), secret.New(embedded.Data)); err != nil {
		t.Fatal(err)
	}
	w.run(embedded)
	asBefore("SQLite again")
	if _, v := w.call("POST", check, map[string]any{"code": code}); v["valid"] != true || v["attempts_left"] != 2.0 {
		t.Errorf("the right code at last: %v", v)
	}
	w.stop()
	if _, err := app.Copy(t.Context(), secret.New(embedded.Data), secret.New(url)); err == nil || !strings.Contains(err.Error(), "not empty: it has 4 verifications, ") ||
		!strings.Contains(err.Error(), "; name another") || strings.ContainsAny(err.Error(), "{}") || strings.Contains(err.Error(), "postgres: ") {
		t.Errorf("a copy over another: %v", err)
	}
}

// openIdem leaves the idempotency key of a verification as a process does that is
// killed while its text is on its way.
func openIdem(t *testing.T, file, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var key, data []byte
	if err := db.QueryRow(`SELECT key, data FROM idems WHERE instr(CAST(data AS TEXT), ?) > 0`, id).Scan(&key, &data); err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	record["open"] = time.Now().Add(time.Hour)
	if data, err = json.Marshal(record); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE idems SET data = ? WHERE key = ?`, data, key); err != nil {
		t.Fatal(err)
	}
}

// With a database that others share, a key of one's own would be worth nothing.
func TestSharedStoreNeedsAKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &world{t: t, dir: dir}
	w.write("twilio.json", simToken, "http://127.0.0.1:1")
	c := app.DefaultConfig()
	c.Connector, c.Countries, c.Data = w.file("twilio.json"), []string{"US"}, w.file("data")
	c.Store = app.NewStore("postgres://u:hunter2@127.0.0.1:1/codes?connect_timeout=1")
	open := func(env map[string]string) error {
		_, err := app.NewService(t.Context(), c, func(name string) string { return env[name] }, jsonLog(io.Discard))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error is %v", err)
		}
		return err
	}
	var fault *app.ConfigError
	if err := open(nil); !errors.As(err, &fault) || !strings.Contains(err.Error(), app.KeyEnv) || !strings.Contains(err.Error(), filepath.Join("data", "key", "server.key")) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("the data folder was made")
	}
	const refused = "the database postgres://127.0.0.1:1/codes: cannot connect: "
	if err := open(map[string]string{app.KeyEnv: serverKey}); errors.As(err, &fault) || !strings.Contains(err.Error(), refused) {
		t.Errorf("with a key in the environment: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(c.Data, "key"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.writeFile(filepath.Join("data", "key", "server.key"), serverKey+"\n")
	if err := open(nil); errors.As(err, &fault) || !strings.Contains(err.Error(), refused) {
		t.Errorf("with a key in a file: %v", err)
	}
	for _, run := range []func() error{
		func() error { _, err := app.ListKeys(t.Context(), c); return err },
		func() error { _, err := app.Migrate(t.Context(), c); return err },
		func() error {
			_, err := app.Copy(t.Context(), c.Store.String, secret.New(w.file("copy")))
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), refused) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a database that is out of reach: %v", err)
		}
	}
	if _, err := os.Stat(w.file("copy")); err == nil {
		t.Error("a copy that was refused has made its folder")
	}
}

// Two places fail: the error names the one that did.
func TestCopyNamesWhoFailed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	if _, err := app.Copy(t.Context(), secret.New(none), secret.New("host=127.0.0.1 port=1 dbname=codes")); err == nil || !strings.Contains(err.Error(), "no service has run in "+none) {
		t.Errorf("from nothing: %v", err)
	}
	full := filepath.Join(dir, "full")
	c := app.DefaultConfig()
	c.Data = full
	if _, _, err := app.CreateKey(t.Context(), c, app.KeySpec{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	_, err := app.Copy(t.Context(), secret.New(full), secret.New("host=127.0.0.1 port=1 dbname=codes"))
	if err == nil || !strings.Contains(err.Error(), "the database postgres://127.0.0.1:1/codes: cannot connect") {
		t.Errorf("to nowhere: %v", err)
	}
	copied, err := app.Copy(t.Context(), secret.New(full), secret.New(filepath.Join(dir, "copy")))
	if want := (transfer.Counts{APIKeys: 1}); err != nil || copied.Rows != want {
		t.Errorf("%+v, %v", copied, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := app.Copy(canceled, secret.New(full), secret.New(filepath.Join(dir, "other"))); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	c.Data = "postgres://u:hunter2@h/db"
	for name, run := range map[string]func() error{
		"--to: no address":         func() error { return copyTo(t, full, "") },
		"--to: no port":            func() error { return copyTo(t, full, "postgres://u:hunter2@h:x/db") },
		"--to: postgrs:// is":      func() error { return copyTo(t, full, "postgrs://u:hunter2@h/db") },
		"--to: POSTGRES:// is":     func() error { return copyTo(t, full, "POSTGRES://u:hunter2@h/db") },
		"--to: …:// is":            func() error { return copyTo(t, full, "u:hunter2@h://db") },
		"--from: postgres+x:// is": func() error { return copyTo(t, "postgres+x://u:hunter2@h/db", full) },
		"data: this is":            func() error { _, err := app.ListKeys(t.Context(), c); return err },
	} {
		var fault *app.ConfigError
		flag, _, _ := strings.Cut(name, " no ")
		if err := run(); !errors.As(err, &fault) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, folder := range []string{"postgrs:", "POSTGRES:", "postgres:", "postgres+x:"} {
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("the folder %s was made", folder)
		}
	}
}

func copyTo(t *testing.T, from, to string) error {
	t.Helper()
	_, err := app.Copy(t.Context(), secret.New(from), secret.New(to))
	return err
}

// TestCommandsThatNeedAService runs commands where none has run, and without the
// key of one that has: they say so, and make nothing.
func TestCommandsThatNeedAService(t *testing.T) {
	t.Parallel()
	c := app.DefaultConfig()
	c.Data = filepath.Join(t.TempDir(), "typo")
	to, err := phone.Parse("+14155550134")
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	clearing := func() error { return app.ClearLimits(t.Context(), c, none, "shop", to) }
	for name, run := range map[string]func() error{
		"keys list":    func() error { _, err := app.ListKeys(t.Context(), c); return err },
		"migrate":      func() error { _, err := app.Migrate(t.Context(), c); return err },
		"limits clear": clearing,
	} {
		if err := run(); err == nil || err.Error() != "no service has run in "+c.Data+": no such file or directory" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("the folder was made")
	}
	if _, _, err := app.CreateKey(t.Context(), c, app.KeySpec{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	if err := clearing(); err != nil {
		t.Errorf("with the service's key: %v", err)
	}
	file := filepath.Join(c.Data, "key", "server.key")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, store := range []string{"", "postgres://127.0.0.1:1/codes?connect_timeout=1"} {
		c.Store = app.NewStore(store)
		var fault *app.ConfigError
		if err := clearing(); !errors.As(err, &fault) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "openssl") {
			t.Errorf("without the key, on %q: %v", store, err)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a key was made")
	}
}
