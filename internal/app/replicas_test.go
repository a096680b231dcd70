package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/internal/pgtest"
)

// serverKey is what the replicas share.
var serverKey = "k1:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

// onPostgres has a world's service use a database. Other tests may keep the
// machine busy for longer than a service waits for a connection.
func (w *world) onPostgres(c *app.Config, url string) {
	w.env = map[string]string{app.KeyEnv: serverKey}
	c.Store = app.NewStore(url + "&connect_timeout=30")
}

// insist makes a call again as long as the service is busy, as it asks to. It
// reports whether it was: then nobody knows what became of the calls before.
func (w *world) insist(method, path string, body any) (status int, v map[string]any, busy bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		status, v = w.call(method, path, body)
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return status, v, busy
		}
		busy = true
	}
}

// newReplicas starts services on one new database, behind a round-robin: callers
// and Twilio reach now this one, now that one. change may be nil.
func newReplicas(t *testing.T, n int, change func(*app.Config)) (w *world, config app.Config) {
	t.Helper()
	w = newWorldOf(t, func(w *world, c *app.Config) {
		w.onPostgres(c, shared.Server(t).Database(t))
		if change != nil {
			change(c)
		}
		config = *c
	})
	targets := []string{w.svc.URL()}
	for len(targets) < n {
		svc, _ := w.launch(config)
		targets = append(targets, svc.URL())
	}
	for _, target := range targets {
		w.raw("GET", target+"/v1/verifications/none", nil) // each knows the key: a crowd of first look-ups has to queue
	}
	balancer := nettest.NewBalancer(t)
	balancer.Lead(t, targets...)
	w.at = balancer.URL
	w.front.lead(w.at)
	return w, config
}

// TestPostgres goes through a service's day on PostgreSQL: as on SQLite, whatever
// happens behind the store.
func TestPostgres(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorldOf(t, func(w *world, c *app.Config) {
		w.onPostgres(c, shared.Server(t).Database(t))
		config = *c
	})
	id := w.start(person)
	w.settles(id, "delivered")
	code := w.code(person)
	check := "/v1/verifications/" + id + "/check"
	if _, v := w.call("POST", check, map[string]any{"code": wrong(code)}); v["valid"] != false || v["attempts_left"] != 4.0 {
		t.Errorf("a wrong code: %v", v)
	}
	status, m := w.call("POST", "/v1/messages", messageOf("+14155550135"), "Idempotency-Key", "m")
	if status != http.StatusCreated {
		t.Errorf("a message: %d %v", status, m["code"])
	}
	w.until("the message to arrive", func() bool { return w.messageStatus(m["id"].(string)) == "delivered" })
	if text := w.ready(); !strings.Contains(text, `"status":"ready"`) || strings.Contains(text, "warnings") {
		t.Errorf("readyz: %s", text)
	}
	w.stop()
	w.run(config)
	if _, v := w.call("POST", check, map[string]any{"code": code}); v["valid"] != true {
		t.Errorf("the right code after a restart: %v", v)
	}
	if status, again := w.call("POST", "/v1/messages", messageOf("+14155550135"), "Idempotency-Key", "m"); status != http.StatusCreated || again["id"] != m["id"] {
		t.Errorf("the same message again: %d %v", status, again["id"])
	}
	keys, err := app.ListKeys(t.Context(), config)
	if err != nil || len(keys) != 1 || keys[0].Name != "shop" {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// Whatever is counted is counted once, whichever replica is asked.
func TestReplicasGuess(t *testing.T) {
	t.Parallel()
	w, _ := newReplicas(t, 3, nil)
	id := w.start(person)
	code := w.code(person)
	check := "/v1/verifications/" + id + "/check"
	var mu sync.Mutex
	left, unsure := map[any]int{}, 0 // answers to wrong codes that left tries
	parallel(1000, func(int) {
		status, v, busy := w.insist("POST", check, map[string]any{"code": wrong(code)})
		if status != http.StatusOK || v["valid"] != false {
			t.Errorf("%d %v", status, v)
		}
		mu.Lock()
		defer mu.Unlock()
		if v["status"] == "pending" {
			left[v["attempts_left"]]++
		}
		if busy {
			unsure++
		}
	})
	for n, times := range left {
		if times > 1 {
			t.Errorf("%d wrong codes left %v tries", times, n)
		}
	}
	if want := map[any]int{4.0: 1, 3.0: 1, 2.0: 1, 1.0: 1}; unsure == 0 && !cmp.Equal(left, want) {
		t.Errorf("tries left after wrong codes, and how often: %v", left)
	}
	if _, v := w.call("POST", check, map[string]any{"code": code}); v["valid"] != false || v["status"] != "exhausted" {
		t.Errorf("the right code at last: %v", v)
	}

	second := w.start("+14155550135")
	right := w.code("+14155550135")
	var valid, maybe atomic.Int64
	parallel(100, func(int) {
		_, v, busy := w.insist("POST", "/v1/verifications/"+second+"/check", map[string]any{"code": right})
		if v["valid"] == true {
			valid.Add(1)
		}
		if busy {
			maybe.Add(1)
		}
	})
	if n := valid.Load(); n > 1 || n == 0 && maybe.Load() == 0 {
		t.Errorf("the right code was valid %d times", valid.Load())
	}
}

func TestReplicasShareLimitsAndKeys(t *testing.T) {
	t.Parallel()
	const burst = 20
	w, config := newReplicas(t, 2, func(c *app.Config) {
		c.Limits = map[string]app.LimitConfig{"app_ip": {}, "ip": {}, "app_prefix": {}, "prefix": {}, "all_daily": {Burst: burst}}
	})

	var created, refused, maybe atomic.Int64
	parallel(5*burst, func(i int) {
		status, v, busy := w.insist("POST", "/v1/verifications", startOf("+1415555"+pad(100+i)))
		if busy {
			maybe.Add(1)
		}
		switch {
		case status == http.StatusCreated:
			created.Add(1)
		case status == http.StatusTooManyRequests:
			refused.Add(1)
		default:
			t.Errorf("%d %v", status, v["code"])
		}
	})
	if n := created.Load(); n > burst || w.creates() > burst || n < burst && maybe.Load() == 0 {
		t.Errorf("%d were created, %d refused; %d texts", n, refused.Load(), w.creates())
	}

	// A key works everywhere at once, and soon nowhere.
	key, shown, err := app.CreateKey(t.Context(), config, app.KeySpec{Name: "another", App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	w.key = shown.Reveal()
	statuses := func() (all [4]int) {
		for i := range all {
			all[i], _ = w.call("GET", "/v1/verifications/none", nil)
		}
		return all
	}
	if got := statuses(); got != [4]int{404, 404, 404, 404} {
		t.Errorf("with a new key: %v", got)
	}
	if err := app.RevokeKey(t.Context(), config, key.ID); err != nil {
		t.Fatal(err)
	}
	w.until("the key to be refused", func() bool { return statuses() == [4]int{401, 401, 401, 401} })
}

func TestReplicasDoOnce(t *testing.T) {
	t.Parallel()
	w, _ := newReplicas(t, 2, nil)
	var ids sync.Map
	parallel(40, func(i int) {
		to := "+1415555" + pad(100+i%4)
		for {
			status, v := w.call("POST", "/v1/verifications", startOf(to), "Idempotency-Key", "sign-in-"+to[1:])
			if status == http.StatusConflict || status == http.StatusServiceUnavailable { // one of them is still at it
				time.Sleep(time.Millisecond)
				continue
			}
			if first, _ := ids.LoadOrStore(to, v["id"]); status != http.StatusCreated || first != v["id"] {
				t.Errorf("%d %v, and not %v", status, v["id"], first)
			}
			return
		}
	})
	if n := w.creates(); n != 4 {
		t.Errorf("%d texts for 4 people", n)
	}
}

// A replica vanishes after Twilio has taken a text and before that is written
// down. Another one finds the text at Twilio, and sends no second one.
func TestReplicaTakesOver(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	proxy, direct := pgtest.NewProxy(t, server), server.Database(t)
	parsed, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	var config app.Config
	w := newWorldOf(t, func(w *world, c *app.Config) {
		w.onPostgres(c, proxy.URL(strings.TrimPrefix(parsed.Path, "/")))
		c.PublicURL = ""
		config = *c
	})
	posted, resume := make(chan struct{}), func() {}
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if isCreate(r) {
			resume = proxy.Silence() // the replica is not heard of any more
			defer close(posted)
		}
		sim.ServeHTTP(rw, r)
	})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		w.call("POST", "/v1/verifications", startOf(person))
	}()
	<-posted
	w.between(nil)
	id := age(t, direct)
	w.onPostgres(&config, direct)
	first := w.stop
	w.run(config)
	w.settles(id, "delivered")
	if _, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(person)}); v["valid"] != true {
		t.Errorf("the code of the text that was found: %v", v)
	}
	if n := w.creates(); n != 1 {
		t.Errorf("%d texts were sent", n)
	}
	resume() // what the first one says now comes too late
	<-gone
	first()
	if got := w.statuses(id); !cmp.Equal(got, []string{"delivered"}) {
		t.Errorf("at last: %v", got)
	}
}

// age makes the one verification of a database, and what is leased of it, a
// minute older: a lease lasts longer than a test should. It returns its id.
func age(t *testing.T, database string) (id string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var data []byte
	if err := conn.QueryRow(ctx, `SELECT id, data FROM verifications`).Scan(&id, &data); err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	send := record["sends"].([]any)[0].(map[string]any)
	for _, name := range []string{"lease", "next"} {
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(send[name]))
		if err != nil {
			t.Fatal(err)
		}
		send[name] = at.Add(-time.Minute)
	}
	if data, err = json.Marshal(record); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `UPDATE verifications SET data = $1, due = due - 60000000`, data); err != nil {
		t.Fatal(err)
	}
	return id
}

// The database goes away and comes back. Meanwhile the service says what is wrong
// with it, and nowhere what its password is.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	const password = "hunter2-of-the-database"
	w := newWorldOf(t, func(w *world, c *app.Config) {
		w.onPostgres(c, strings.Replace(server.Database(t), pgtest.User+"@", pgtest.User+":"+password+"@", 1))
	})
	id := w.start(person)
	w.settles(id, "delivered")
	server.Stop()
	for i, wants := range [][]string{{"the connection was lost: ", "cannot connect: "}, {"cannot connect: "}} { // at first it has a connection
		status, text := w.raw("GET", w.svc.PrivateURL()+"/readyz", nil)
		said := slices.ContainsFunc(wants, func(want string) bool { return strings.Contains(string(text), want) })
		if status != http.StatusServiceUnavailable || !said || !strings.Contains(string(text), "/test1") {
			t.Errorf("readyz %d: %d %s, want one of %q and the database", i, status, text, wants)
		}
	}
	if status, v := w.call("POST", "/v1/verifications", startOf("+14155550135")); status != http.StatusServiceUnavailable || v["code"] != "unavailable" {
		t.Errorf("a start: %d %v", status, v["code"])
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	w.until("the service to be ready", func() bool {
		status, _ := w.raw("GET", w.svc.PrivateURL()+"/readyz", nil)
		return status == http.StatusOK
	})
	if _, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(person)}); v["valid"] != true {
		t.Errorf("a check afterwards: %v", v)
	}
	_, metrics := w.raw("GET", w.svc.PrivateURL()+"/metrics", nil)
	for name, text := range map[string]string{"logs": w.logs.String(), "answers": strings.Join(w.answers, "\n"), "metrics": string(metrics)} {
		if strings.Contains(text, password) {
			t.Errorf("the password is in the %s", name)
		}
	}
	if !strings.Contains(w.logs.String(), `"msg":"database","at":"postgres://`) {
		t.Error("the log does not say which database it is")
	}
	if n := len(w.sim.Messages("+14155550135")); n > 0 {
		t.Errorf("%d texts without a database", n)
	}
}

// A newer version adds to the tables while replicas of this one serve: they go
// on, whatever statements they have prepared, and one that stopped may come back;
// until a version comes that this one cannot live with.
func TestReplicasOutliveAMigration(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	w, config := newReplicas(t, 2, nil)
	before := w.start(person)
	code := w.code(person)
	statements := []string{`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`}
	for _, table := range []string{"verifications", "subjects", "counters", "idems", "api_keys", "writers"} {
		statements = append(statements, `ALTER TABLE `+table+` ADD COLUMN later integer NOT NULL DEFAULT 0`, `CREATE INDEX ON `+table+` (later)`)
	}
	server.Exec(t, config.Store.Reveal(), statements...)
	for range 4 {
		w.call("POST", "/v1/verifications/"+before+"/check", map[string]any{"code": wrong(code)})
	}
	if _, v := w.call("POST", "/v1/verifications/"+before+"/check", map[string]any{"code": code}); v["valid"] != true {
		t.Errorf("a code from before: %v", v)
	}
	for i := range 4 {
		w.settles(w.start("+1415555"+pad(200+i), "session", "s"), "delivered")
	}
	restart := func() error {
		s, err := app.NewService(t.Context(), config, func(name string) string { return w.env[name] }, jsonLog(io.Discard))
		if err != nil {
			return err
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		return s.Run(stopped)
	}
	if err := restart(); err != nil {
		t.Errorf("a start of the version before: %v", err)
	}
	server.Exec(t, config.Store.Reveal(), `UPDATE compatible SET oldest = 9999`)
	if err := restart(); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a start of a version that is too old: %v", err)
	}
}
