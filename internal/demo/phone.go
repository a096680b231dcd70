package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// text is a message as the simulator tells of it.
type text struct {
	SID       string    `json:"sid"`
	To        string    `json:"to"`
	Body      string    `json:"body"`
	ErrorCode int       `json:"error_code"`
	Created   time.Time `json:"date_created"`
	Statuses  []status  `json:"statuses"` // the first one first
}

type status struct {
	Status string    `json:"status"`
	Time   time.Time `json:"time"`
}

// After is how long after the text was taken it had the status.
func (t text) After(s status) time.Duration {
	return s.Time.Sub(t.Created).Round(time.Millisecond)
}

func (t text) status() string {
	if len(t.Statuses) == 0 {
		return ""
	}
	return t.Statuses[len(t.Statuses)-1].Status
}

// final reports that nothing more will be heard of the text.
func (t text) final() bool {
	switch t.status() {
	case "delivered", "undelivered", "failed", "canceled":
		return true
	}
	return false
}

// Code is the code in the text, as a person finds it; "" if there is none.
func (t text) Code() string {
	words := strings.FieldsFunc(t.Body, func(r rune) bool { return r < '0' || r > '9' })
	for _, w := range words {
		if len(w) >= 6 && len(w) <= 10 {
			return w
		}
	}
	return ""
}

// phone reads the simulated phone.
type phone struct{ simulator http.Handler }

// maxTexts is how many texts the phone shows.
const maxTexts = 10

// texts returns the newest texts to a number, the oldest of them first.
func (p *phone) texts(ctx context.Context, to string) ([]text, error) {
	if to == "" {
		return nil, nil
	}
	q := url.Values{"to": {to}, "limit": {strconv.Itoa(maxTexts)}}
	var body strings.Builder
	status, err := p.get(ctx, "/sim/messages?"+q.Encode(), &body)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("demo: read the phone: status %d: %w", status, err)
	}
	var answer struct{ Messages []text }
	if err := json.Unmarshal([]byte(body.String()), &answer); err != nil {
		return nil, fmt.Errorf("demo: read the phone: %w", err)
	}
	texts := make([]text, 0, len(answer.Messages))
	for i := len(answer.Messages) - 1; i >= 0; i-- {
		texts = append(texts, answer.Messages[i])
	}
	return texts, nil
}

// watch tells of every text that comes or changes, and calls reset when it may
// have missed one, until ctx ends.
func (p *phone) watch(ctx context.Context, changed func(text), reset func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	reader, writer := io.Pipe()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, err := p.get(ctx, "/sim/events", writer)
		_ = writer.CloseWithError(err) // nil ends the lines below
	}()
	lines := bufio.NewScanner(reader)
	lines.Buffer(nil, maxAnswer)
	event := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		var t text
		switch {
		case field == "event":
			event = value
		case field == "data" && event == "reset":
			reset(ctx)
		case field == "data" && json.Unmarshal([]byte(value), &t) == nil:
			changed(t)
		}
	}
	cancel()
	_ = reader.Close()
	<-over
}

// get asks the simulator, in this process.
func (p *phone) get(ctx context.Context, path string, w io.Writer) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	a := &answer{Writer: w, header: http.Header{}, status: http.StatusOK}
	p.simulator.ServeHTTP(a, r)
	return a.status, nil
}

// answer is an http.ResponseWriter that hands the body on.
type answer struct {
	io.Writer
	header http.Header
	status int
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Flush()                 {} // every Write goes through at once
