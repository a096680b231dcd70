package twilio

import (
	"bufio"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

const usualHead = "HTTP/1.1 201 CREATED\r\nDate: Thu, 24 Aug 2023 05:01:45 GMT\r\nContent-Type: application/json;charset=utf-8\r\n" +
	"Content-Length: 17\r\nConnection: keep-alive\r\nTwilio-Request-Id: RQ00000000000000000000000000000000\r\n\r\n"

// takes holds plainHead to net/http: what it takes, net/http takes for the same. It
// reports whether it took it.
func takes(t *testing.T, text string) bool {
	t.Helper()
	h, ok := plainHead([]byte(text))
	if !ok {
		return false
	}
	r := bufio.NewReader(strings.NewReader(text))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Errorf("%.400q: net/http does not take it: %v", text, err)
		return true
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != h.status || resp.ContentLength != int64(h.length) || resp.Close || len(resp.TransferEncoding) > 0 || r.Buffered() != len(text)-h.size {
		t.Errorf("%.400q: %+v; net/http: %d with %d, %d behind the head", text, h, resp.StatusCode, resp.ContentLength, r.Buffered())
	}
	return true
}

func TestPlainHead(t *testing.T) {
	t.Parallel()
	swap := func(old, now string) string { return strings.Replace(usualHead, old, now, 1) + `{"sid": "SM0000"}` }
	for text, want := range map[string]bool{
		swap("", ""):                                       true,
		swap(" CREATED", ""):                               true,
		swap(" CREATED", " "):                              true,
		swap("201", "200"):                                 true,
		swap("Connection: keep-alive\r\n", ""):             true,
		swap("Content-Length: 17", "content-length:\t17 "): true,

		swap("201", "204"):                              false,
		swap("201", "20"):                               false,
		swap("201 ", "2010 "):                           false,
		swap("201", "302"):                              false,
		swap("201", "100"):                              false,
		swap("HTTP/1.1", "HTTP/1.0"):                    false,
		swap("HTTP/1.1", "HTTP/2.0"):                    false,
		swap("CREATED", "CRE\nATED"):                    false,
		swap("CREATED", "CRE\x00ATED"):                  false,
		swap("keep-alive", "close"):                     false,
		swap("keep-alive", "keep-alive, close"):         false,
		swap("keep-alive", "upgrade"):                   false,
		swap("Date", " Date"):                           false,
		swap("Date:", "Date :"):                         false,
		swap("Date:", "Date"):                           false,
		swap("Date: ", "Date: x\n"):                     false,
		swap("Content-Length: 17\r\n", ""):              false,
		swap("17", "+17"):                               false,
		swap("17", "-17"):                               false,
		swap("17", "1 7"):                               false,
		swap("17", "17, 17"):                            false,
		swap("17", ""):                                  false,
		swap("17", "9999999999"):                        false,
		swap("17", "17\r\nContent-Length: 17"):          false,
		swap("17", "17\r\nCONTENT-LENGTH: 18"):          false,
		swap("17", "17\r\nTransfer-Encoding: chunked"):  false,
		swap("17", "17\r\ntransfer-encoding: identity"): false,
		swap("17", "17\r\n folded: 17"):                 false,
		swap("\r\n\r\n", "\n\n"):                        false,
		swap("\r\n\r\n", "\r\n"):                        false,
		"":                                              false,
		"H":                                             false,
	} {
		if got := takes(t, text); got != want {
			t.Errorf("%.400q: taken: %t", text, got)
		}
	}
}

// TestPlainHeadNeverDiffers spoils heads at random.
func TestPlainHeadNeverDiffers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"\r\n", "\n", "\r", ":", " ", "\t", "0", "1", "2", "\x00", "é", ",", "close", "chunked", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "x"}
	taken := 0
	for range 40_000 {
		text := usualHead
		for range 1 + random.IntN(3) {
			from := random.IntN(len(text))
			to := min(len(text), from+random.IntN(3))
			piece := ""
			if random.IntN(4) > 0 {
				piece = pieces[random.IntN(len(pieces))]
			}
			text = text[:from] + piece + text[to:]
		}
		if takes(t, text) {
			taken++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if taken < 1000 {
		t.Errorf("only %d heads were plain", taken)
	}
}
