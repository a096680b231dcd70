package costs

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// tap is a way to a PostgreSQL server that counts what is asked on it, from the
// messages themselves
// (https://www.postgresql.org/docs/current/protocol-message-formats.html): the
// store knows nothing of it. What it does for a message does not allocate.
type tap struct {
	url, socket string

	mu     sync.Mutex
	counts counts
}

// newTap leads to the database of a URL that names the server's socket.
func newTap(t testing.TB, database string) *tap {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	p := &tap{socket: q.Get("host") + "/.s.PGSQL." + q.Get("port"), counts: newCounts()}
	ln := listen(t, p.serve)
	u.Host, u.RawQuery = ln.Addr().String(), "sslmode=disable"
	p.url = u.String()
	return p
}

func (p *tap) read() counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts.clone()
}

// serve is one connection.
func (p *tap) serve(client net.Conn) {
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	var down sync.WaitGroup
	defer down.Wait()
	defer server.Close()
	down.Go(func() {
		defer client.Close()
		_, _ = io.CopyBuffer(struct{ io.Writer }{client}, struct{ io.Reader }{server}, make([]byte, 64<<10))
	})
	c := &conversation{tap: p, prepared: map[string]string{}}
	for in := make([]byte, 64<<10); ; {
		n, err := client.Read(in)
		c.hear(in[:n]) // first: an answer comes after it was counted
		if err != nil {
			return
		}
		if _, err := server.Write(in[:n]); err != nil {
			return
		}
	}
}

// conversation is what the client says on a connection.
type conversation struct {
	tap      *tap
	begun    bool
	rest     []byte            // of a message that is not whole yet
	prepared map[string]string // texts by name
}

func (c *conversation) hear(said []byte) {
	c.rest = append(c.rest, said...)
	all := c.rest
	for {
		head := 5
		if !c.begun {
			head = 4 // the first message has no kind
		}
		if len(all) < head {
			break
		}
		size := head - 4 + int(binary.BigEndian.Uint32(all[head-4:]))
		if len(all) < size {
			break
		}
		if c.begun {
			c.count(all[0], all[head:size])
		}
		c.begun, all = true, all[size:]
	}
	c.rest = c.rest[:copy(c.rest, all)]
}

// count counts a message: a text of statements; a statement that is bound to
// arguments, as it was parsed before; the end of what goes to the server in one
// piece.
func (c *conversation) count(kind byte, message []byte) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	first, rest, _ := bytes.Cut(message, []byte{0})
	second, _, _ := bytes.Cut(rest, []byte{0})
	switch kind {
	case 'P':
		c.prepared[string(first)] = strings.TrimSpace(string(second))
	case 'B':
		c.tap.counts.add(c.prepared[string(second)])
	case 'Q':
		c.tap.counts.add(strings.TrimSpace(string(first)))
		c.tap.counts.trips++
	case 'S':
		c.tap.counts.trips++
	}
}
