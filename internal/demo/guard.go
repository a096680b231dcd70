package demo

import (
	"net"
	"net/http"
	"strings"
)

// guard keeps other sites out. The page shows codes, so it answers only under
// host names of this machine: a site that points its own name here (DNS
// rebinding) learns nothing. And no other site's page may post its forms or
// read it, which includes those of other ports of this machine.
func guard(next http.Handler) http.Handler {
	posts := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !localHost(r.Host):
			http.Error(w, "This host name is not one of the demo's: open it as localhost or 127.0.0.1.", http.StatusForbidden)
		case posts.Check(r) != nil || foreignRead(r):
			http.Error(w, "Requests from other sites are refused.", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if ip := net.ParseIP(name); ip != nil {
		return ip.IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// foreignRead reports whether another site's page reads from here. A person who
// follows a link to the page is welcome.
func foreignRead(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}

// clientIP is the address of the person's device, which the service's limits
// count by. An app behind a proxy asks its proxy instead.
func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}
