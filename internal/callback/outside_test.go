package callback

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// outsideEnv makes the test binary the provider that calls back, so that its CPU
// is not counted as the service's.
const outsideEnv = "SIXDIGIT_BENCH_OUTSIDE"

const benchCallers = 64

// runOutside is the other process's main. It ends with its parent.
func runOutside() error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		address := in.Text()
		in.Scan()
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		texts := make(chan string, n)
		for range n {
			in.Scan()
			texts <- in.Text()
		}
		close(texts)
		failed := make(chan error, benchCallers)
		for range benchCallers {
			go func() { failed <- callBack(address, texts) }()
		}
		said := "done"
		for range benchCallers {
			if err := <-failed; err != nil {
				said = err.Error()
			}
		}
		fmt.Println(said)
	}
	return in.Err()
}

// callBack reports on texts, on one connection.
func callBack(address string, texts <-chan string) error {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for id := range texts {
		path := statusPath
		if id != "" {
			path = "/callbacks/twilio/" + id
		}
		for _, status := range []string{"sent", "delivered"} {
			if _, err := io.WriteString(conn, benchCallback(path, status)); err != nil {
				return err
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return err
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusNoContent {
				return fmt.Errorf("%s %s: %s %q %w", path, status, resp.Status, answer, err)
			}
		}
	}
	return nil
}

// benchCallback is a request with what Twilio's have.
func benchCallback(path, status string) string {
	sid := textID(path)
	form := pairs{
		{"SmsSid", sid}, {"SmsStatus", status}, {"MessageStatus", status}, {"To", "+14155552671"},
		{"MessagingServiceSid", "MG" + strings.Repeat("0", 32)}, {"MessageSid", sid}, {"AccountSid", account()},
		{"From", "+15005550006"}, {"ApiVersion", "2010-04-01"},
	}
	if status == "delivered" {
		form = append(pairs{{"RawDlrDoneDate", "2308240501"}}, form...)
	}
	body := form.encode()
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: codes.example.com\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"+
		"Content-Type: %s\r\nX-Twilio-Signature: %s\r\nI-Twilio-Idempotency-Token: 0b1c2d3e-4f50-4617-9283-a4b5c6d7e8f9\r\nX-Home-Region: us1\r\n"+
		"Content-Length: %d\r\n\r\n%s", path, formType, twiliosim.Sign(ourToken(), publicURL+path, form), len(body), body)
}

// textID is the provider's id of the text that a URL is for: the part of our own
// id that chance has made.
func textID(callbackURL string) string {
	_, send, _ := strings.Cut(callbackURL, "/callbacks/twilio/")
	return fmt.Sprintf("SM%032x", send[10:26])
}
