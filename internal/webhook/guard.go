package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// errAddress is for an address that must not be reached. It names none: the log of
// one app's failures is no map of the network.
var errAddress = errors.New("webhook: the host's address is not one of the public internet; allow_private allows private ones")

// guard says where requests may go.
type guard struct {
	allowPrivate          bool
	private, never        []netip.Prefix
	translated, handedOut netip.Prefix
}

// newGuard knows the registries of special addresses:
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
func newGuard(allowPrivate bool) *guard {
	return &guard{
		allowPrivate: allowPrivate,
		// The networks that an operator may have endpoints in: RFC 1918, RFC 6598,
		// RFC 4193, and this machine.
		private: prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "127.0.0.0/8", "::1/128"),
		never: prefixes(
			// Where clouds tell machines their credentials.
			"169.254.0.0/16", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32",
			// What is no host of anybody's.
			"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15",
			"224.0.0.0/4", "240.0.0.0/4", "2001:db8::/32", "3fff::/20",
			// What leads elsewhere: 6to4, Teredo and the like.
			"192.88.99.0/24", "2002::/16", "2001::/23"),
		translated: netip.MustParsePrefix("64:ff9b::/96"), // NAT64, RFC 6052
		handedOut:  netip.MustParsePrefix("2000::/3"),     // all of IPv6 that is anybody's
	}
}

// control refuses an address when it is dialled: after the name was resolved, and
// each of its addresses anew, so that a name that means another address the next
// time leads nowhere.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !g.mayReach(to.Addr()) {
		return errAddress
	}
	return nil
}

// mayReach reports whether a request may go to an address.
func (g *guard) mayReach(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false // a zone is an interface of this machine's
	}
	a = a.Unmap()
	if g.translated.Contains(a) {
		// A host without IPv4 reaches it so: what counts is where it leads.
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case within(g.never, a):
		return false
	case within(g.private, a):
		return g.allowPrivate
	}
	return a.Is4() || g.handedOut.Contains(a)
}

func within(all []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
}

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// plainly says what became of a request in words that quote neither URL nor
// address.
func plainly(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host has no address"
	case errors.As(err, &op):
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return fmt.Sprintf("%s: %s", op.Op, errno.Error())
		}
		return op.Op
	default:
		return "the connection broke, or is not one of TLS that can be trusted"
	}
}
