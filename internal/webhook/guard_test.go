package webhook

import (
	"net/netip"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	const public, private, never = "public", "private", "never"
	for addr, want := range map[string]string{
		"93.184.215.14": public, "1.1.1.1": public, "100.63.255.255": public, "100.128.0.0": public, "172.15.255.255": public, "172.32.0.1": public,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": public, "2a00:1450:4001:827::200e": public,
		"::ffff:93.184.215.14": public, "64:ff9b::93.184.215.14": public,

		"10.0.0.1": private, "10.255.255.255": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private,
		"100.64.0.1": private, "100.127.255.255": private, "127.0.0.1": private, "127.255.0.1": private,
		"::1": private, "fc00::1": private, "fd12:3456:789a::1": private,
		"::ffff:10.0.0.1": private, "::ffff:7f00:1": private, "64:ff9b::10.0.0.1": private, "64:ff9b::7f00:1": private,

		"169.254.169.254": never, "169.254.0.1": never, "169.254.170.2": never, "::ffff:169.254.169.254": never, "64:ff9b::169.254.169.254": never,
		"fd00:ec2::254": never, "fd20:ce::254": never, "100.100.100.200": never, "fe80::1": never, "fe80::1%eth0": never, "fec0::1": never,
		"0.0.0.0": never, "0.1.2.3": never, "::": never, "::ffff:0.0.0.0": never, "224.0.0.1": never, "239.255.255.255": never, "255.255.255.255": never, "240.0.0.1": never,
		"ff02::1": never, "192.0.0.192": never, "192.0.2.1": never, "198.51.100.7": never, "203.0.113.7": never, "198.18.0.1": never, "192.88.99.1": never,
		"2001:db8::1": never, "3fff::1": never, "5f00::1": never, "100::1": never, "::7f00:1": never, "::10.0.0.1": never,
		"2002:7f00:1::": never, "2002:a00:1::1": never, "2001::1": never, "64:ff9b:1::a00:1": never, "4000::1": never, "2606:2800:220:1::1%1": never,
	} {
		a := netip.MustParseAddr(addr)
		if got := newGuard(false).mayReach(a); got != (want == public) {
			t.Errorf("%s is %s: %t", addr, want, got)
		}
		if got := newGuard(true).mayReach(a); got != (want != never) {
			t.Errorf("%s is %s, and private ones are allowed: %t", addr, want, got)
		}
	}
	for _, bad := range []string{"", "example.com:443", "10.0.0.1", "0x7f000001:443", "2130706433:443"} {
		if newGuard(true).control("tcp", bad, nil) == nil {
			t.Errorf("%q may be dialled", bad)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://app.example.com/hooks?a=b":    "",
		"https://app.example.com:8443":         "",
		"https://93.184.215.14/":               "",
		"http://app.example.com/":              "https",
		"http://127.0.0.1:8080/":               "https",
		"ftp://app.example.com/":               "write a URL",
		"https:///path":                        "write a URL",
		"https://:443/":                        "write a URL",
		"app.example.com":                      "write a URL",
		"https://user:pw@app.example.com/":     "write a URL",
		"https://app.example.com/#x":           "write a URL",
		"https://10.0.0.1/":                    "public internet",
		"https://[::ffff:10.0.0.1]/":           "public internet",
		"https://169.254.169.254/latest":       "public internet",
		"https://app.example.com/\x7f":         "write a URL",
		"":                                     "write a URL",
		"private http://127.0.0.1:8080/hooks":  "",
		"private http://[::1]:8080/hooks":      "",
		"private http://localhost:8080/hooks":  "",
		"private http://10.0.0.1/hooks":        "https",
		"private https://10.0.0.1/hooks":       "",
		"private https://169.254.169.254/":     "public internet",
		"private https://[fe80::1%25eth0]:443": "public internet",
	} {
		url, private := strings.CutPrefix(raw, "private ")
		var text string
		for _, err := range CheckURL(url, private) {
			text += err.Error()
		}
		if (text == "") != (want == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", raw, text, want)
		}
		if strings.Contains(text, "pw") {
			t.Errorf("%s: the fault quotes a password", raw)
		}
	}
}
