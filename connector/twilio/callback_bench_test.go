package twilio

import (
	"testing"

	"github.com/sixdigit/sixdigit/secret"
)

// BenchmarkParseStatus reads one callback, genuine or forged.
func BenchmarkParseStatus(b *testing.B) {
	cfg := testConfig("")
	cfg.AuthTokenSecondary = secret.String{}
	c, err := New(cfg, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	for name, token := range map[string]string{"genuine": testToken, "forged": testSecondary} {
		in := callback(token, callbackURL, callbackForm("sent", ""))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ParseStatus(in); (err == nil) != (name == "genuine") {
					b.Fatal(err)
				}
			}
		})
	}
}
