package phone_test

import (
	"fmt"

	"github.com/sixdigit/sixdigit/phone"
)

func Example() {
	n, err := phone.Parse("+44 (0)20 7946 0018")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("printed:", n)
	fmt.Println("sent to:", n.E164())
	fmt.Println(n.Region(), n.CountryCode(), n.Type(), n.Assigned())

	_, err = phone.Parse("020 7946 0018")
	fmt.Println(err)
	// Output:
	// printed: +44********18
	// sent to: +442079460018
	// GB 44 fixed true
	// phone: the number does not start with + and the country calling code
}

func ExampleParseDigits() {
	n, err := phone.ParseDigits("14155552671")
	fmt.Println(n.E164(), err)
	// Output: +14155552671 <nil>
}
