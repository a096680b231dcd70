package app_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/app"
)

// callersCode is a code that the caller made; no other test draws it.
const callersCode = "8401739265"

// messageOf is the body of a message.
func messageOf(to string) map[string]any {
	return map[string]any{
		"to": to, "usage_type": "SignIn", "client_ip": "203.0.113.7",
		"payload": map[string]any{"code": callersCode, "user": map[string]any{"name": "Persephone Quux"}},
	}
}

func (w *world) messageStatus(id string) any {
	w.t.Helper()
	_, v := w.call("GET", "/v1/messages/"+id, nil)
	return v["status"]
}

// record is a record as it stands in its table, once nothing newer is in the redo
// log; that of "" is the only one.
func (w *world) record(id string) map[string]any {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "data", "sixdigit.db")+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	w.until("the redo log to be empty", func() bool {
		for _, name := range []string{"sixdigit.db-redo0", "sixdigit.db-redo1"} {
			file, err := os.ReadFile(filepath.Join(w.dir, "data", name))
			if err != nil {
				w.t.Fatal(err)
			}
			const header = 4096
			if len(file) > header && len(bytes.Trim(file[header:], "\x00")) > 0 {
				return false
			}
		}
		return true
	})
	var data string
	if err := db.QueryRowContext(w.t.Context(), "SELECT CAST(data AS TEXT) FROM verifications WHERE ? IN (id, '')", id).Scan(&data); err != nil {
		w.t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(data), &record); err != nil {
		w.t.Fatal(err)
	}
	return record
}

// A message goes the way of a verification's text, and what happened on it can
// be read afterwards.
func TestMessages(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorld(t, func(c *app.Config) { config = *c })
	status, v := w.call("POST", "/v1/messages", messageOf(person), "Idempotency-Key", "sign-in-1")
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, v["code"])
	}
	id := v["id"].(string)
	if texts := w.sim.Messages(person); len(texts) != 1 || texts[0].Body != "Your secret code is "+callersCode+"." {
		t.Errorf("the phone has %+v", texts)
	}
	w.until("the message to arrive", func() bool { return w.messageStatus(id) == "delivered" })
	_, v = w.call("GET", "/v1/messages/"+id, nil)
	var history []string
	for _, h := range v["sends"].([]any)[0].(map[string]any)["history"].([]any) {
		history = append(history, h.(map[string]any)["status"].(string))
	}
	if want := []string{"sending", "accepted", "sent", "delivered"}; !cmp.Equal(history, want) {
		t.Errorf("its history is %v, want %v", history, want)
	}
	if status, again := w.call("POST", "/v1/messages", messageOf(person), "Idempotency-Key", "sign-in-1"); status != http.StatusCreated || again["id"] != id || w.creates() != 1 {
		t.Errorf("the same call again: %d %v, %d texts", status, again["id"], w.creates())
	}

	// Nothing is checked here, and another app sees nothing.
	for _, c := range [][2]string{{"GET", ""}, {"POST", "/check"}, {"POST", "/resend"}, {"DELETE", ""}} {
		if status, _ := w.call(c[0], "/v1/verifications/"+id+c[1], bodyFor(c[1])); status != http.StatusNotFound {
			t.Errorf("%s /v1/verifications/{id}%s of a message: %d", c[0], c[1], status)
		}
	}
	_, other, err := app.CreateKey(t.Context(), config, app.KeySpec{Name: "rival"})
	if err != nil {
		t.Fatal(err)
	}
	w.key = other.Reveal()
	if status, _ := w.call("GET", "/v1/messages/"+id, nil); status != http.StatusNotFound {
		t.Errorf("another app's message: %d", status)
	}
	if all := strings.Join(w.answers, ""); strings.Contains(all, callersCode) || strings.Contains(all, "Quux") {
		t.Error("an answer holds what the message said")
	}
}

func bodyFor(action string) any {
	if action == "/check" {
		return map[string]any{"code": callersCode}
	}
	return nil
}

// What a message says is on the disk for as long as it may have to be said
// again, sealed, and not longer.
func TestMessageIsSealedAndWiped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if isCreate(r) {
			if w.record("")["sealed"] == nil {
				t.Error("a message on its way is not kept")
			}
		}
		sim.ServeHTTP(rw, r)
	})
	if status, v := w.call("POST", "/v1/messages", messageOf(person)); status != http.StatusCreated {
		t.Fatalf("%d %v", status, v["code"])
	}
	if w.record("")["sealed"] != nil {
		t.Error("a message that was accepted is still kept")
	}
	w.stop()
	for _, file := range databaseFiles(t, filepath.Join(w.dir, "data")) {
		if strings.Contains(file.text, callersCode) || strings.Contains(file.text, "Quux") {
			t.Errorf("%s holds what the message said", file.name)
		}
	}
}
