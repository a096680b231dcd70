package app

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// listen opens addr. Where addr asks for no port of its own and the usual one
// is taken, fallback takes a free one.
func listen(ctx context.Context, addr string, fallback bool) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil && fallback {
		ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; name another address, as --listen 127.0.0.1:0 for a free port", addr, netCause(err))
	}
	return ln, nil
}

// localURL is where this machine reaches the listener: a listener on every
// address is reached on the loopback one.
func localURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr.String()
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func netCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
