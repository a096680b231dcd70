// Package interop asks published packages whether sixdigit agrees with them.
//
//	sms-segments-calculator      sms.Measure and sms.SmartEncode
//	@logto/connector-twilio-sms  the connector: config, template, text, request
//	@logto/connector-http-sms    the hook for Logto, with the service behind it
//	twilio, the Node.js SDK      twiliosim, and the signatures of callbacks
//	the same SDK                 Twilio Verify's API, as internal/app serves it
//	openapi-schema-validator     the OpenAPI document of internal/httpapi
//
// They run in one Node.js process for each test, referee.mjs, which answers
// questions line by line. All that is sent goes to loopback.
//
// It holds tests alone. A plain go test ./... skips them where Node.js or the
// packages are missing and says so; make test installs both, sets
// SIXDIGIT_TEST_ALL, and then a test that cannot run has failed.
package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A test asks for seconds. A referee that still runs after this is stuck, and
// go test itself would end everything a little later.
const refereeTimeout = 8 * time.Minute

// referee is a Node.js process that asks the published packages.
type referee struct {
	t      *testing.T
	mu     sync.Mutex // one question at a time
	in     io.Writer
	out    *bufio.Reader
	stderr *strings.Builder
}

// startReferee starts a referee, or ends the test when that is not possible
// here: as skipped, or as failed where make test has asked for every test.
func startReferee(t *testing.T) *referee {
	t.Helper()
	node, err := findNode()
	if err != nil {
		if os.Getenv("SIXDIGIT_TEST_ALL") != "" {
			t.Fatalf("%v", err)
		}
		t.Skipf("%v; `make interop` installs what is missing", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), refereeTimeout)
	cmd := exec.CommandContext(ctx, node, "referee.mjs")
	// Nothing of ours steers the packages: neither TWILIO_EDGE nor a proxy.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	r := &referee{t: t, stderr: &strings.Builder{}}
	cmd.Stderr = r.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("the referee: %v\n%s", err, r.stderr)
		}
	})
	return r
}

// findNode returns the Node.js command, or why no referee can run here.
func findNode() (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", errors.New("the command node, of Node.js, is missing")
	}
	wanted, err := dependencies("package.json")
	if err != nil {
		return "", err
	}
	for name, version := range wanted {
		var installed struct{ Version string }
		if err := readJSON(filepath.Join("node_modules", name, "package.json"), &installed); err != nil {
			return "", fmt.Errorf("the npm package %s is not installed in interop", name)
		}
		if installed.Version != version {
			return "", fmt.Errorf("the npm package %s installed in interop is %s, not %s", name, installed.Version, version)
		}
	}
	return node, nil
}

func dependencies(path string) (map[string]string, error) {
	var p struct{ Dependencies map[string]string }
	if err := readJSON(path, &p); err != nil {
		return nil, err
	}
	return p.Dependencies, nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// ask puts a question to the function op of the referee, "segments.measure"
// say, and decodes its answer into answer. It may be called by one goroutine
// at a time.
func (r *referee) ask(op string, args map[string]any, answer any) {
	r.t.Helper()
	if err := r.tryAsk(op, args, answer); err != nil {
		r.t.Fatalf("the referee, %s: %v", op, err)
	}
}

func (r *referee) tryAsk(op string, args map[string]any, answer any) error {
	question := map[string]any{"op": op}
	maps.Copy(question, args)
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.in.Write(append(line, '\n')); err != nil {
		return err
	}
	line, err = r.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	var a struct {
		Result json.RawMessage
		Error  string
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return json.Unmarshal(a.Result, answer)
}

// seeded returns the test's source of randomness and prints its seed, which
// SIXDIGIT_TEST_SEED repeats.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SIXDIGIT_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SIXDIGIT_TEST_SEED: %v", err)
		}
	}
	t.Logf("SIXDIGIT_TEST_SEED=%d repeats this run", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// TestLockfile: the lockfile names hashes, not where packages are fetched from.
func TestLockfile(t *testing.T) {
	t.Parallel()
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := readJSON("package-lock.json", &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "") {
			t.Errorf("%s: version %q, integrity %q, resolved %q", name, p.Version, p.Integrity, p.Resolved)
		}
	}
	if len(lock.Packages) < 50 {
		t.Errorf("only %d packages: the test reads the wrong part", len(lock.Packages))
	}
}
