package twilio

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// serverEnv makes the test binary a server for the benchmark, so that the
// server's CPU is not counted as the client's.
const serverEnv = "SIXDIGIT_BENCH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		if err := serveBenchmark(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveBenchmark answers every request as Twilio answers a send. It prints its
// URL, and ends with its parent: standard input closes then.
func serveBenchmark() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Twilio-Request-Id", "RQ"+strings.Repeat("5", 32))
		w.Header().Set("Twilio-Concurrent-Requests", "1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, createdJSON)
	})}
	fmt.Printf("http://%s\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// createdJSON is Twilio's answer to a send through a Messaging Service.
const createdJSON = `{"account_sid": "AC00000000000000000000000000000000", "api_version": "2010-04-01", "body": "Your sign-in code is 123456. Do not tell it to anybody.", "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "date_sent": null, "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000", "direction": "outbound-api", "error_code": null, "error_message": null, "from": null, "messaging_service_sid": "MG00000000000000000000000000000000", "num_media": "0", "num_segments": "0", "price": null, "price_unit": null, "sid": "SM0123456789abcdef0123456789abcdef", "status": "accepted", "subresource_uris": {"media": "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/SM0123456789abcdef0123456789abcdef/Media.json"}, "tags": null, "to": "+14155552671", "uri": "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/SM0123456789abcdef0123456789abcdef.json"}`
