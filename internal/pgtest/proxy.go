package pgtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sixdigit/sixdigit/internal/nettest"
)

// Cut is where a connection is cut.
type Cut int

// The cuts.
const (
	CutNowhere   Cut = iota
	CutBefore        // the COMMIT never arrives at the server
	CutBetween       // it arrives, and nobody waits for what comes of it
	CutAfter         // it is done, and its answer does not arrive
	CutAndSilent     // like CutAfter, but the client's connection stays open, and silent
)

// Proxy is a way to a server, over a loopback port, that can be cut.
type Proxy struct {
	socket, addr string

	mu   sync.Mutex
	cut  func() Cut
	open map[net.Conn]bool
	shut bool            // to newcomers
	gate chan struct{}   // closed while the proxy lets through what it is sent
	life context.Context // until the test ends
}

// NewProxy returns a proxy that ends with the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	p := &Proxy{
		socket: filepath.Join(s.dir, fmt.Sprintf(".s.PGSQL.%d", s.port)), cut: func() Cut { return CutNowhere },
		open: map[net.Conn]bool{}, gate: make(chan struct{}),
	}
	life, end := context.WithCancel(context.Background())
	p.life = life
	close(p.gate)
	p.addr = strings.TrimPrefix(nettest.RawServer(t, p.serve), "http://")
	t.Cleanup(end)
	return p
}

// URL is the address of a database by way of the proxy.
func (p *Proxy) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(User), Host: p.addr, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// AtCommit lets cut choose, at each COMMIT, where the connection is cut.
func (p *Proxy) AtCommit(cut func() Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

// CutAll cuts every connection there is now.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		nettest.Reset(conn)
	}
}

// Refuse cuts every connection and lets none be made, until resume is called: who
// tries is cut off at once.
func (p *Proxy) Refuse() (resume func()) {
	p.mu.Lock()
	p.shut = true
	p.mu.Unlock()
	p.CutAll()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shut = false
	}
}

// Silence holds back whatever is sent, in both ways, until resume is called: a
// network that has fallen silent. Connections can be made, as far as anybody
// can tell.
func (p *Proxy) Silence() (resume func()) {
	gate := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shut
}

// pass waits until the proxy is not silent.
func (p *Proxy) pass() {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	select {
	case <-gate:
	case <-p.life.Done():
	}
}

func (p *Proxy) keep(conns ...net.Conn) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = true
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range conns {
			delete(p.open, c)
		}
	}
}

// serve is one connection through the proxy.
func (p *Proxy) serve(client net.Conn) {
	p.pass()
	server, err := (&net.Dialer{}).DialContext(p.life, "unix", p.socket)
	if err == nil && p.refuses() {
		_ = server.Close()
		err = net.ErrClosed
	}
	if err != nil {
		nettest.Reset(client)
		return
	}
	l := &link{p: p, client: client, server: server, commits: map[string]bool{}}
	forget := p.keep(client, server)
	defer forget()
	var wg sync.WaitGroup
	wg.Go(l.up)
	wg.Go(l.down)
	wg.Wait()
}

// link is a connection in both its halves.
type link struct {
	p              *Proxy
	client, server net.Conn
	commits        map[string]bool // prepared statements that commit, by name; up's alone

	mu      sync.Mutex
	pending Cut // what is to happen at the answer to a COMMIT
}

func (l *link) close() {
	nettest.Reset(l.client)
	nettest.Reset(l.server)
}

// up carries the client's messages.
func (l *link) up() {
	defer l.close()
	in := bufio.NewReader(l.client)
	for first, whole := true, true; ; first = false {
		kind, message, err := read(in, first)
		if err != nil {
			return
		}
		// What is sent in one piece, up to a Sync, arrives in one piece.
		if whole {
			l.p.pass()
		}
		whole = kind == 0 || kind == 'S' || kind == 'Q' || kind == 'p' // a password
		cut := CutNowhere
		if l.isCommit(kind, message) {
			l.p.mu.Lock()
			choose := l.p.cut
			l.p.mu.Unlock()
			cut = choose()
		}
		if cut == CutBefore {
			return
		}
		if cut != CutNowhere {
			l.mu.Lock()
			l.pending = cut
			l.mu.Unlock()
		}
		if _, err := l.server.Write(message); err != nil {
			return
		}
		if cut == CutBetween {
			// Whatever belongs to it goes on its way as well.
			_, _ = io.CopyN(l.server, in, int64(in.Buffered()))
			return
		}
	}
}

// isCommit reports whether a message runs a COMMIT: as a text, or as a
// statement that was prepared before.
func (l *link) isCommit(kind byte, message []byte) bool {
	if kind == 0 {
		return false
	}
	body := message[5:]
	switch kind {
	case 'Q':
		return commits(body)
	case 'P':
		name, query, _ := bytes.Cut(body, []byte{0})
		l.commits[string(name)] = commits(query)
	case 'B':
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		return l.commits[string(name)]
	}
	return false
}

func commits(query []byte) bool {
	text, _, _ := bytes.Cut(query, []byte{0})
	return bytes.HasSuffix(bytes.ToLower(bytes.TrimSpace(text)), []byte("commit"))
}

// down carries the server's messages.
func (l *link) down() {
	in := bufio.NewReader(l.server)
	for {
		kind, message, err := read(in, false)
		l.mu.Lock()
		cut := l.pending
		l.mu.Unlock()
		switch {
		case err != nil:
			l.close()
			return
		case kind == 'C' && cut >= CutAfter && bytes.HasPrefix(message[5:], []byte("COMMIT")):
			if cut == CutAndSilent {
				_ = l.server.Close()
				return // up goes on until the client has had enough
			}
			l.close()
			return
		}
		l.p.pass()
		if _, err := l.client.Write(message); err != nil {
			l.close()
			return
		}
	}
}

// read reads one message, as it is on the wire. The first of a connection has
// no kind.
func read(in *bufio.Reader, first bool) (kind byte, message []byte, err error) {
	head := 5
	if first {
		head = 4
	}
	message = make([]byte, head)
	if _, err := io.ReadFull(in, message); err != nil {
		return 0, nil, err
	}
	if !first {
		kind = message[0]
	}
	size := int(binary.BigEndian.Uint32(message[head-4:])) - 4
	if size < 0 || size > 1<<30 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	message = slices.Concat(message, make([]byte, size))
	_, err = io.ReadFull(in, message[head:])
	return kind, message, err
}
