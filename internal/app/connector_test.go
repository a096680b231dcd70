package app

import (
	"io/fs"
	"net"
	"testing"
)

func TestModeWarnings(t *testing.T) {
	t.Parallel()
	for mode, want := range map[fs.FileMode]int{0o600: 0, 0o640: 0, 0o660: 0, 0o644: 1, 0o602: 1, 0o666: 2, fs.ModeNamedPipe | 0o666: 0} {
		if got := modeWarnings(mode, false); len(got) != want {
			t.Errorf("mode %04o: %v, want %d warnings", mode, got, want)
		}
	}
	// A simulated Twilio's token is no secret; nobody else's is taken for one.
	for baseURL, want := range map[string]int{
		"http://127.0.0.1:8010": 0, "http://[::1]:8010": 0, "http://localhost:8010": 0,
		"": 1, "https://api.twilio.com": 1, "http://localhost.example:8010": 1, "http://127.0.0.1.example": 1, "%": 1,
	} {
		if got := modeWarnings(0o644, loopbackURL(baseURL)); len(got) != want {
			t.Errorf("%q: %v, want %d warnings", baseURL, got, want)
		}
		if got := modeWarnings(0o602, loopbackURL(baseURL)); len(got) != 1 {
			t.Errorf("%q, for all to write: %v", baseURL, got)
		}
	}
}

func TestLocalURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ip       string
		want     string
		loopback bool
	}{
		{"127.0.0.1", "http://127.0.0.1:8010", true},
		{"::1", "http://[::1]:8010", true},
		{"0.0.0.0", "http://127.0.0.1:8010", false},
		{"::", "http://127.0.0.1:8010", false},
		{"192.0.2.1", "http://192.0.2.1:8010", false},
	} {
		addr := &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 8010}
		if got := localURL(addr); got != c.want || loopback(addr) != c.loopback {
			t.Errorf("%s: %s, %v", c.ip, got, loopback(addr))
		}
	}
}
