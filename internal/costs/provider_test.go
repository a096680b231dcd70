package costs

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The account that the simulated provider has.
const (
	account     = "AC00000000000000000000000000000000"
	token       = "11111111111111111111111111111111"
	sender      = "MG00000000000000000000000000000000"
	providersID = "SM0123456789abcdef0123456789abcdef"
)

// provider answers every text at once, with the same bytes. Nothing that it does
// for a text allocates: what is counted in this process is the service's.
type provider struct {
	url string

	mu   sync.Mutex
	code [6]byte // of the last text
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{}
	ln := listen(t, p.serve)
	p.url = "http://" + ln.Addr().String()
	return p
}

// listen serves connections on loopback until the test ends.
func listen(t testing.TB, serve func(net.Conn)) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.Map
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			all.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		open.Range(func(c, _ any) bool { return c.(net.Conn).Close() == nil || true })
		all.Wait()
	})
	return ln
}

// answer is Twilio's to a text that it takes.
func answer() []byte {
	body := fmt.Sprintf(`{"account_sid": %q, "api_version": "2010-04-01", "body": "Your code is 123456.", "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", `+
		`"date_sent": null, "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000", "direction": "outbound-api", "error_code": null, "error_message": null, `+
		`"from": null, "messaging_service_sid": %q, "num_media": "0", "num_segments": "0", "price": null, "price_unit": null, "sid": %q, "status": "accepted", `+
		`"to": "+14155550100", "uri": "/2010-04-01/Accounts/%s/Messages/%s.json"}`, account, sender, providersID, account, providersID)
	return fmt.Appendf(nil, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nTwilio-Request-Id: RQ%s\r\nTwilio-Concurrent-Requests: 1\r\nContent-Length: %d\r\n\r\n%s",
		strings.Repeat("5", 32), len(body), body)
}

func (p *provider) serve(c net.Conn) {
	said, in, n := answer(), make([]byte, 16<<10), 0
	for {
		read, err := c.Read(in[n:])
		n += read
		if err != nil {
			return
		}
		body, whole, err := bodyOf(in[:n])
		if err != nil {
			return
		}
		if !whole {
			continue
		}
		n = 0
		if _, code, ok := bytes.Cut(body, []byte("code+is+")); ok && len(code) >= len(p.code) {
			p.mu.Lock()
			copy(p.code[:], code)
			p.mu.Unlock()
		}
		if _, err := c.Write(said); err != nil {
			return
		}
	}
}

// last is the code of the last text.
func (p *provider) last() [6]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

var errLength = errors.New("costs: a message without Content-Length")

// bodyOf is the body of an HTTP/1.1 message, once all of it is there.
func bodyOf(message []byte) (body []byte, whole bool, err error) {
	head, body, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return nil, false, nil
	}
	_, rest, ok := bytes.Cut(head, []byte("Content-Length: "))
	if !ok {
		if bytes.HasPrefix(head, []byte("HTTP/1.1 204")) {
			return nil, true, nil
		}
		return nil, false, errLength
	}
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	length, err := strconv.Atoi(string(digits))
	return body, len(body) >= length, err
}
