package costs

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"hash"
	"net"
	"strconv"
	"testing"
)

// What is called, and by whom.
const (
	appName       = "shop"
	publicURL     = "https://verify.example.com"
	connectorName = "twilio" // the service's name for the only one
)

// id is a verification's.
type id [26]byte

// caller calls the service, one call after the other on one connection. Nothing
// that it does for a call allocates, unless the call fails.
type caller struct {
	conn    net.Conn
	key     string
	out, in []byte
	form    []byte // a callback's body
	text    []byte // what is signed of it
	mac     hash.Hash
	sum     []byte
	body    []byte // of the last answer
	numbers int    // used so far
}

func newCaller(t testing.TB, address, key string) *caller {
	t.Helper()
	c := &caller{
		key: key, out: make([]byte, 0, 4<<10), in: make([]byte, 16<<10), form: make([]byte, 0, 1<<10), text: make([]byte, 0, 1<<10),
		mac: hmac.New(sha1.New, []byte(token)), sum: make([]byte, 0, sha1.Size),
	}
	var err error
	if c.conn, err = net.Dial("tcp", address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

// areas are area codes of North America: numbers in them are valid.
var areas = [...]int{212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231}

// appendNumber adds the i-th number: each is of another block of 10,000, as the
// limits count them, than those before it.
func appendNumber(b []byte, i int) []byte {
	const exchanges = 8 * 90 // 210 to 299 without the last ten, and so on
	area, exchange, line := areas[i%len(areas)], i/len(areas)%exchanges, i/len(areas)/exchanges
	b = strconv.AppendInt(append(b, '1'), int64(area), 10)
	b = strconv.AppendInt(b, int64(200+exchange/90*100+exchange%90), 10)
	b = append(b, "0000"...)
	for at := len(b) - 1; line > 0; at, line = at-1, line/10 {
		b[at] += byte(line % 10)
	}
	return b
}

// begin writes the head of a request; end sends it with its body and reads the
// answer, whose status must be the one that is wanted.
func (c *caller) begin() {
	c.out = append(c.out[:0], "POST "...)
}

func (c *caller) end(contentType string, body []byte, want int) error {
	c.out = append(c.out, "Content-Type: "...)
	c.out = append(c.out, contentType...)
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	for n := 0; ; {
		read, err := c.conn.Read(c.in[n:])
		n += read
		if err != nil {
			return err
		}
		body, whole, err := bodyOf(c.in[:n])
		switch {
		case err != nil:
			return err
		case whole:
			c.body = body
			status, err := strconv.Atoi(string(c.in[len("HTTP/1.1 "):][:3]))
			if err != nil || status != want {
				return fmt.Errorf("answered %d instead of %d: %s", status, want, body)
			}
			return nil
		}
	}
}

const headers = " HTTP/1.1\r\nHost: service\r\nUser-Agent: costs\r\nAccept-Encoding: gzip\r\n"

// json makes a call of the API.
func (c *caller) json(body []byte, want int) error {
	c.out = append(c.out, headers...)
	c.out = append(c.out, "Authorization: Bearer "...)
	c.out = append(c.out, c.key...)
	c.out = append(c.out, "\r\n"...)
	return c.end("application/json", body, want)
}

// start starts a verification of a number that was not used before.
func (c *caller) start() (v id, err error) {
	c.begin()
	c.out = append(c.out, "/v1/verifications"...)
	return c.started(`","usage_type":"SignIn"}`)
}

// message has a text sent with a code of the caller's, to such a number.
func (c *caller) message() (id, error) {
	c.begin()
	c.out = append(c.out, "/v1/messages"...)
	return c.started(`","usage_type":"SignIn","payload":{"code":"840173"}}`)
}

func (c *caller) started(rest string) (v id, err error) {
	c.numbers++
	c.form = append(appendNumber(append(c.form[:0], `{"to":"+`...), c.numbers), rest...)
	if err := c.json(c.form, 201); err != nil {
		return v, err
	}
	_, found, ok := bytes.Cut(c.body, []byte(`"id":"`))
	if !ok || copy(v[:], found) < len(v) {
		return v, fmt.Errorf("no id in %s", c.body)
	}
	return v, nil
}

// check brings a code for a verification, which must be right or wrong.
func (c *caller) check(v id, code [6]byte, right bool) error {
	c.begin()
	c.out = append(c.out, "/v1/verifications/"...)
	c.out = append(c.out, v[:]...)
	c.out = append(c.out, "/check"...)
	c.form = append(append(append(c.form[:0], `{"code":"`...), code[:]...), `"}`...)
	if err := c.json(c.form, 200); err != nil {
		return err
	}
	want := []byte(`{"valid":false`)
	if right {
		want = []byte(`{"valid":true`)
	}
	if !bytes.HasPrefix(c.body, want) {
		return fmt.Errorf("the check came to %s", c.body)
	}
	return nil
}

// fields are those of a callback besides the number, in the order in which they
// are signed.
var fields = [...][2]string{
	{"AccountSid", account}, {"ApiVersion", "2010-04-01"}, {"MessageSid", providersID}, {"MessageStatus", "delivered"},
	{"MessagingServiceSid", sender}, {"SmsSid", providersID}, {"SmsStatus", "delivered"},
}

// callback says that the first text of a verification has been delivered.
func (c *caller) callback(v id) error {
	c.begin()
	at := len(c.out)
	c.out = append(append(append(c.out, "/callbacks/"+connectorName+"/"...), v[:]...), ".1"...)
	c.text = append(append(c.text[:0], publicURL...), c.out[at:]...)
	c.form = c.form[:0]
	for _, f := range fields {
		c.form = append(append(append(append(c.form, f[0]...), '='), f[1]...), '&')
		c.text = append(append(c.text, f[0]...), f[1]...)
	}
	c.form = append(c.form, "To=%2B14155550100"...)
	c.text = append(c.text, "To+14155550100"...)
	c.mac.Reset()
	_, _ = c.mac.Write(c.text)
	c.sum = c.mac.Sum(c.sum[:0])
	c.out = append(append(c.out, headers...), "X-Twilio-Signature: "...)
	c.out = append(base64.StdEncoding.AppendEncode(c.out, c.sum), "\r\n"...)
	return c.end("application/x-www-form-urlencoded", c.form, 204)
}
