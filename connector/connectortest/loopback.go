package connectortest

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
)

// errElsewhere is what LoopbackOnly says to requests for other hosts.
var errElsewhere = errors.New("connectortest: tests call loopback addresses only")

// LoopbackOnly returns a transport that refuses every host but this machine, so
// that no test can spend money. It uses no proxy. Its idle connections are
// closed by http.Client's CloseIdleConnections.
func LoopbackOnly() http.RoundTripper {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		// A name such as localhost may resolve to anything.
		if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().Unmap().IsLoopback() {
			return errElsewhere
		}
		return nil
	}}
	return &loopbackOnly{pool: http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100}}
}

type loopbackOnly struct{ pool http.Transport }

// RoundTrip refuses by name first: asking a name server would leave the
// machine too.
func (l *loopbackOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isLoopback(r.URL.Hostname()) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errElsewhere
	}
	return l.pool.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client's method of that name.
func (l *loopbackOnly) CloseIdleConnections() { l.pool.CloseIdleConnections() }

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
