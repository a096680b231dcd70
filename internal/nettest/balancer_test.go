package nettest_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/nettest"
)

const (
	lost = "502 Bad Gateway"
	none = "no answer, or half of one"
)

// visit makes requests and returns what they were answered.
func visit(t *testing.T, url string, times int) (answers []string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range times {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/path?a=b", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			answers = append(answers, none)
			continue
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch {
		case err != nil:
			answers = append(answers, none)
		case resp.StatusCode != http.StatusOK:
			answers = append(answers, resp.Status)
		default:
			answers = append(answers, string(text))
		}
	}
	return answers
}

func TestBalancer(t *testing.T) {
	t.Parallel()
	named := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != "body" || r.RequestURI != "/path?a=b" {
				t.Errorf("%s got %s, %q, %v", name, r.RequestURI, body, err)
			}
			_, _ = io.WriteString(w, name)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	dies := nettest.RawServer(t, func(c net.Conn) {
		nettest.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
	})
	b := nettest.NewBalancer(t)
	for _, tt := range []struct {
		servers, want []string
	}{
		{nil, []string{lost, lost}},
		{[]string{named("a")}, []string{"a", "a"}},
		{[]string{named("b"), named("c"), named("d")}, []string{"d", "b", "c", "d", "b", "c"}}, // it goes on where it was
		{[]string{named("e"), nettest.Refused(t), named("f")}, []string{"f", "e", lost, "f"}},
		{[]string{dies}, []string{none, none}},
		{nil, []string{lost}},
	} {
		b.Lead(t, tt.servers...)
		if got := visit(t, b.URL, len(tt.want)); !cmp.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.servers, got, tt.want)
		}
	}
}
