package twiliosim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// A test of a program that sends texts starts a simulator, lets the program
// send, and reads what arrived.
func Example() {
	sim := twiliosim.New(twiliosim.Options{})
	defer func() { _ = sim.Close() }()
	server := httptest.NewServer(sim)
	defer server.Close()

	account, token := "AC"+strings.Repeat("0", 32), strings.Repeat("1", 32)
	form := url.Values{
		"To":                  {"+14155552671"},
		"MessagingServiceSid": {"MG" + strings.Repeat("0", 32)},
		"Body":                {"Your code is 482913."},
	}
	req, err := http.NewRequest(http.MethodPost, server.URL+"/2010-04-01/Accounts/"+account+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.SetBasicAuth(account, token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := server.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()

	for _, m := range sim.Messages("+14155552671") {
		fmt.Println(resp.StatusCode, m.Status, m.Body)
	}
	// Output: 201 accepted Your code is 482913.
}
