package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How the load learns the codes that were sent: the simulator's process tells each
// number and code in a line on its standard output, before it answers the text. So
// whoever waits for a start has its code by then. A line costs a microsecond or two
// of the simulator, where a call for it would cost dozens, and nothing of the service.

// codeWithin is how long a code may take: it is there before the start's answer.
const codeWithin = 5 * time.Second

// tap stands before the simulator.
type tap struct {
	next http.Handler
	out  io.Writer
	on   atomic.Bool
}

func (t *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.on.Load() && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Messages.json") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		if form, err := url.ParseQuery(string(body)); err == nil {
			_, _ = fmt.Fprintf(t.out, "%s %s %s\n", tellCode, form.Get("To"), codeIn(form.Get("Body")))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	t.next.ServeHTTP(w, r)
}

// codeIn is the code in a text of the bench's template.
func codeIn(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// codeBook is where codes are waited for.
type codeBook struct {
	mu      sync.Mutex
	waiting map[string]chan string
}

func newCodeBook() *codeBook { return &codeBook{waiting: map[string]chan string{}} }

// tell hands a code to whoever waits for it.
func (b *codeBook) tell(number, code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.waiting[number]; ok {
		c <- code
		delete(b.waiting, number)
	}
}

// expect is to be called before the number's text is sent, and forget afterwards.
func (b *codeBook) expect(number string) <-chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan string, 1)
	b.waiting[number] = c
	return c
}

func (b *codeBook) forget(number string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, number)
}

var errNoCode = errors.New("the simulator did not tell the code of a text")

func await(ctx context.Context, codes <-chan string) (string, error) {
	select { // it is there already, nearly always: no timer for it
	case code := <-codes:
		return code, nil
	default:
	}
	late := time.NewTimer(codeWithin)
	defer late.Stop()
	select {
	case code := <-codes:
		return code, nil
	case <-late.C:
		return "", errNoCode
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// wrong is a code that is not the right one: its last digit is another.
func wrong(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}
