package twiliosim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// The golden files are Twilio's side of the wire; their README tells what they
// hold. The connector answers to the same files in its own package.
const goldens = "../testdata/twilio"

func readGoldens(t *testing.T, pattern string) map[string]map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(goldens, pattern))
	if err != nil {
		t.Fatal(err)
	}
	const fewest = 20 // a wrong path must not pass as no cases
	if len(paths) < fewest {
		t.Fatalf("%s: %d files, want %d or more", pattern, len(paths), fewest)
	}
	files := map[string]map[string]string{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, f := range archive.Files {
			sections[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		files[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = sections
	}
	return files
}

func decodeGolden(t *testing.T, section string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(section))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("golden section: %v\n%s", err, section)
	}
}

// TestGoldenCreate posts each golden form, by hand, and compares the reply.
func TestGoldenCreate(t *testing.T) {
	answered := 0
	for name, sections := range readGoldens(t, "create/*.txtar") {
		setup := createSetup{}
		decodeGolden(t, sections["simulator"], &setup)
		if setup.None != "" {
			continue // a reply that the simulator never gives; the file says why
		}
		answered++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenCreate(t, sections, setup)
		})
	}
	const fewest = 50
	if answered < fewest {
		t.Errorf("%d files are the simulator's, want %d or more", answered, fewest)
	}
}

// createSetup brings the simulator to the reply of a golden.
type createSetup struct {
	None        string            `json:"none"`
	Auth        string            `json:"auth"`
	PathAccount string            `json:"path_account"`
	Trial       bool              `json:"trial"`
	Unverified  bool              `json:"unverified"`
	Faults      *twiliosim.Faults `json:"faults"`
}

func goldenCreate(t *testing.T, sections map[string]string, setup createSetup) {
	form := url.Values{}
	for line := range strings.Lines(sections["form"]) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if strings.HasPrefix(value, `"`) {
			decodeGolden(t, value, &value)
		}
		form.Add(name, value)
	}
	o := twiliosim.Options{Step: time.Hour, Trial: setup.Trial}
	if !setup.Unverified {
		o.VerifiedNumbers = form["To"]
	}
	r := newRig(t, o)
	if setup.Faults != nil {
		if err := r.sim.SetFaults(*setup.Faults); err != nil {
			t.Fatal(err)
		}
	}
	account := simAccount
	if setup.PathAccount != "" {
		account = setup.PathAccount
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/2010-04-01/Accounts/"+account+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.authorize(t, req, setup.Auth)
	pool := &http.Transport{}
	defer pool.CloseIdleConnections()
	resp, err := pool.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	compareReply(t, sections, resp, body)
}

func (r *rig) authorize(t *testing.T, req *http.Request, who string) {
	t.Helper()
	key := func() (sid, secret string) {
		k := ok[*api.ApiV2010NewKey](t)(r.api.CreateNewKey(&api.CreateNewKeyParams{}))
		return val(k.Sid), val(k.Secret)
	}
	switch who {
	case "":
		req.SetBasicAuth(simAccount, simToken)
	case "none":
	case "wrong-token":
		req.SetBasicAuth(simAccount, strings.Repeat("0", 32))
	case "stranger":
		req.SetBasicAuth("AC"+unknownSID32, simToken)
	case "key":
		req.SetBasicAuth(key())
	case "wrong-key":
		sid, _ := key()
		req.SetBasicAuth(sid, simToken)
	default:
		t.Fatalf("golden auth %q is not known", who)
	}
}

func compareReply(t *testing.T, sections map[string]string, resp *http.Response, body []byte) {
	t.Helper()
	lines := strings.Split(sections["reply"], "\n")
	if got := fmt.Sprintf("HTTP %d", resp.StatusCode); got != lines[0] {
		t.Errorf("%s, want %s: %s", got, lines[0], body)
	}
	m := matcher{t: t, bound: map[string]string{}}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		m.match(name, value, resp.Header.Get(name))
	}
	if resp.Header.Get("Retry-After") != "" && !strings.Contains(sections["reply"], "Retry-After") {
		t.Error("Retry-After is there and was not asked for")
	}
	var want, got any
	decodeGolden(t, sections["body"], &want)
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("the reply is no JSON: %v", err)
	}
	m.match("body", want, got)
}

// matcher compares JSON values in which <kind sample> stands for any value of
// that kind.
type matcher struct {
	t     *testing.T
	bound map[string]string // what each hex sample has turned out to be
}

var placeholder = regexp.MustCompile(`<(hex|date|text|secs|int) ([^>]*)>`)

func (m matcher) match(path string, want, got any) {
	m.t.Helper()
	switch want := want.(type) {
	case map[string]any:
		object, isObject := got.(map[string]any)
		if !isObject {
			m.t.Errorf("%s is %v, want an object", path, got)
			return
		}
		for key := range object {
			if _, known := want[key]; !known {
				m.t.Errorf("%s.%s is there and Twilio has none", path, key)
			}
		}
		for key, w := range want {
			g, there := object[key]
			if !there {
				m.t.Errorf("%s.%s is missing", path, key)
				continue
			}
			m.match(path+"."+key, w, g)
		}
	case string:
		if s, isString := got.(string); !isString || !m.text(want, s) {
			m.t.Errorf("%s is %#v, want %#v", path, got, want)
		}
	default: // numbers and null
		if want != got {
			m.t.Errorf("%s is %#v, want %#v", path, got, want)
		}
	}
}

func (m matcher) text(want, got string) bool {
	marks := placeholder.FindAllStringSubmatch(want, -1)
	pattern := regexp.QuoteMeta(want)
	for _, mark := range marks {
		shape := map[string]string{"date": `.+`, "text": `(?s:.+)`, "secs": `\d+\.\d+`, "int": `\d+`}[mark[1]]
		if mark[1] == "hex" {
			shape = mark[2][:2] + `[0-9a-f]{32}`
		}
		pattern = strings.Replace(pattern, regexp.QuoteMeta(mark[0]), "("+shape+")", 1)
	}
	found := regexp.MustCompile(`\A` + pattern + `\z`).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, mark := range marks {
		value := found[i+1]
		switch mark[1] {
		case "hex":
			if known, there := m.bound[mark[2]]; there && known != value {
				return false
			}
			m.bound[mark[2]] = value
		case "date":
			at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 +0000", value)
			if err != nil || time.Since(at).Abs() > time.Minute {
				return false
			}
		}
	}
	return true
}

// TestGoldenCallback sends a text to the status of each golden that names one,
// and compares the parameters of the callback that brings it.
func TestGoldenCallback(t *testing.T) {
	compared := 0
	for name, sections := range readGoldens(t, "callback/*.txt") {
		if sections["simulator"] == "" {
			continue // a callback that the simulator does not make
		}
		compared++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenCallback(t, sections)
		})
	}
	const fewest = 8
	if compared < fewest {
		t.Errorf("%d files are the simulator's, want %d or more", compared, fewest)
	}
}

func goldenCallback(t *testing.T, sections map[string]string) {
	var setup struct {
		Service   bool   `json:"service"`
		Status    string `json:"status"`
		ErrorCode int    `json:"error_code"`
	}
	decodeGolden(t, sections["simulator"], &setup)
	want, err := url.ParseQuery(sections["body"])
	if err != nil {
		t.Fatal(err)
	}
	r, rc := newRig(t, twiliosim.Options{PhoneNumber: want.Get("From")}), newReceiver(t)
	f := twiliosim.Faults{ErrorCode: setup.ErrorCode}
	if setup.ErrorCode != 0 {
		f.Outcome = setup.Status
	}
	if err := r.sim.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	p := (&api.CreateMessageParams{}).SetTo(want.Get("To")).SetBody("Your code is 123456.").SetStatusCallback(rc.url + "/cb")
	if setup.Service {
		p.SetMessagingServiceSid(simService)
	} else {
		p.SetFrom(want.Get("From"))
	}
	sid := r.send(t, p)
	all := rc.until(t, setup.Status)
	got := all[len(all)-1].form
	// Most reports of a carrier's say when; which, no page tells.
	got.Del("RawDlrDoneDate")
	want.Del("RawDlrDoneDate")
	for _, name := range []string{"MessageSid", "SmsSid"} {
		want.Set(name, sid)
	}
	if g, w := got.Encode(), want.Encode(); g != w {
		t.Errorf("callback\n%s, want\n%s", g, w)
	}
}

// TestGoldenInbound has a person text what each golden that is the simulator's
// says, and compares the parameters of the request that hands it on.
func TestGoldenInbound(t *testing.T) {
	r, rc := newRig(t, twiliosim.Options{}), newReceiver(t)
	p := (&messaging.UpdateServiceParams{}).SetInboundRequestUrl(rc.url + "/inbound")
	if _, err := r.messaging.UpdateService(simService, p); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for name, sections := range readGoldens(t, "inbound/*.txt") {
		if sections["simulator"] == "" {
			continue // what the simulator never makes
		}
		compared++
		want, err := url.ParseQuery(sections["body"])
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.sim.Reply(want.Get("From"), want.Get("To"), want.Get("Body"))
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"MessageSid", "SmsSid", "SmsMessageSid"} {
			want.Set(field, m.SID)
		}
		if got := rc.receive(t).form; got.Encode() != want.Encode() {
			t.Errorf("%s\n%s, want\n%s", name, got.Encode(), want.Encode())
		}
	}
	const fewest = 12
	if compared < fewest {
		t.Errorf("%d files are the simulator's, want %d or more", compared, fewest)
	}
}

// TestGoldenSignatures lets Twilio's validator judge every vector, so that the
// vectors are Twilio's and not ours; and has the simulator sign those that
// Twilio would.
func TestGoldenSignatures(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(goldens, "signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Why, Token, URL, Signature string
		Params                           [][2]string
		Signs, SDK, Node                 bool
		Accept                           *bool
	}
	decodeGolden(t, string(data), &vectors)
	signs := 0
	for _, v := range vectors {
		body := url.Values{}
		for _, p := range v.Params {
			body.Add(p[0], p[1])
		}
		validator := client.NewRequestValidator(v.Token)
		if got := validator.ValidateBody(v.URL, []byte(body.Encode()), v.Signature); got != v.SDK {
			t.Errorf("%s: Twilio's validator says %v, the vector %v", v.Name, got, v.SDK)
		}
		// Where both of Twilio's libraries agree on a URL without a user or a
		// fragment, which they do not take out, there is no other truth.
		plain := !strings.ContainsAny(v.URL, "@#")
		if plain && v.SDK && v.Node && (v.Accept == nil || !*v.Accept) {
			t.Errorf("%s: Twilio's libraries accept it, the vector does not", v.Name)
		}
		if !v.Signs {
			continue
		}
		signs++
		pairs := slices.Clone(v.Params)
		if got := twiliosim.Sign(v.Token, v.URL, pairs); got != v.Signature {
			t.Errorf("%s: the simulator signs %q, want %q", v.Name, got, v.Signature)
		}
	}
	const fewest = 40
	if signs < fewest {
		t.Errorf("%d vectors are signed, want %d or more", signs, fewest)
	}
}
