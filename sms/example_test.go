package sms_test

import (
	"fmt"

	"github.com/sixdigit/sixdigit/sms"
)

// The way of a text from template to body, and what it costs.
func Example() {
	catalog, err := sms.NewCatalog([]sms.Template{
		{Usage: sms.UsageSignIn, Content: "Your sign-in code is {{code}}."},
		{Usage: sms.UsageSignIn, Locale: "pl", Content: "Twój kod logowania to {{code}}."},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	template, err := catalog.Choose(sms.UsageSignIn, "pl-PL", "en")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := sms.Render(template.Content, map[string]any{"code": "123456"})
	body, err = sms.WithOrigin(body, "example.com", "123456")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(body)
	size := sms.Measure(body)
	fmt.Printf("%s, %d units, %d segment, because of %s\n", size.Encoding, size.Units, size.Segments, string(size.ForcedBy))
	// Output:
	// Twój kod logowania to 123456.
	// @example.com #123456
	// UCS-2, 50 units, 1 segment, because of ó
}

func ExampleSmartEncode() {
	body := "“123456” – that’s your code…"
	plain := sms.SmartEncode(body)
	fmt.Println(plain)
	fmt.Println(sms.Measure(body).Encoding, sms.Measure(plain).Encoding)
	// Output:
	// "123456" - that's your code...
	// UCS-2 GSM-7
}

func ExampleWithAppHash() {
	body, err := sms.WithOrigin("Your code is 123456.", "example.com", "123456")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err = sms.WithAppHash(body, "FA+9qCX9VSu")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(body)
	// Output:
	// Your code is 123456.
	// FA+9qCX9VSu
	// @example.com #123456
}
