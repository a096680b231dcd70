package secret_test

import (
	"encoding/json"
	"fmt"

	"github.com/sixdigit/sixdigit/secret"
)

func Example() {
	var config struct {
		User  string
		Token secret.String
	}
	if err := json.Unmarshal([]byte(`{"User":"ann","Token":"correct horse"}`), &config); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", config)
	out, _ := json.Marshal(config)
	fmt.Println(string(out))
	fmt.Println(len(config.Token.Reveal()))
	// Output:
	// {User:ann Token:[redacted]}
	// {"User":"ann","Token":"[redacted]"}
	// 13
}
