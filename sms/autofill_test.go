package sms

import (
	"errors"
	"strings"
	"testing"
)

type originTest struct {
	name               string
	body, domain, code string
	want               string
	err                error
}

func checkOrigins(t *testing.T, tests []originTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := WithOrigin(tt.body, tt.domain, tt.code)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestWithOrigin(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	checkOrigins(t, []originTest{
		{"plain", "Your code is 123456.", "example.com", "123456", "Your code is 123456.\n@example.com #123456", nil},
		{"nothing before", "", "example.com", "123456", "@example.com #123456", nil},
		{"white space at the end goes", "Code 1. \r\n\n\t", "example.com", "1", "Code 1.\n@example.com #1", nil},
		{"line breaks inside stay", "a\r\n\nb", "example.com", "1", "a\r\n\nb\n@example.com #1", nil},
		{"capitals", "a", "Login.EXAMPLE.com", "aB9", "a\n@login.example.com #aB9", nil},
		{"punycode", "a", "xn--bcher-kva.example", "1", "a\n@xn--bcher-kva.example #1", nil},
		{"one label", "a", "localhost", "1", "a\n@localhost #1", nil},
		{"digits in labels", "a", "1.2a", "1", "a\n@1.2a #1", nil},
		{"signs in the code", "a", "example.com", "G-12_3.4", "a\n@example.com #G-12_3.4", nil},
		{"longest label", "a", long + ".com", "1", "a\n@" + long + ".com #1", nil},
		{"there already", "a\n@example.com #1\n", "example.com", "1", "a\n@example.com #1", nil},
		{"another line, with text behind it", "@other.com #9 is yours", "example.com", "1", "", errOrigin},
		{"mention before the end", "@x #1\nbye", "example.com", "1", "@x #1\nbye\n@example.com #1", nil},
		{"no code behind", "@x #", "example.com", "1", "@x #\n@example.com #1", nil},
	})
}

func TestWithOriginErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	checkOrigins(t, []originTest{
		{"another line", "a\n@example.com #2", "example.com", "1", "", errOrigin},
		{"another domain", "a\n@other.com #1", "example.com", "1", "", errOrigin},
		{"no domain", "a", "", "1", "", errDomain},
		{"port", "a", "example.com:443", "1", "", errDomain},
		{"scheme", "a", "https://example.com", "1", "", errDomain},
		{"path", "a", "example.com/login", "1", "", errDomain},
		{"user", "a", "me@example.com", "1", "", errDomain},
		{"space", "a", "example.com ", "1", "", errDomain},
		{"line break", "a", "example.com\n@evil.com", "1", "", errDomain},
		{"trailing dot", "a", "example.com.", "1", "", errDomain},
		{"empty label", "a", "example..com", "1", "", errDomain},
		{"hyphen first", "a", "-a.com", "1", "", errDomain},
		{"hyphen last", "a", "a-.com", "1", "", errDomain},
		{"underscore", "a", "a_b.com", "1", "", errDomain},
		{"IPv4", "a", "192.0.2.1", "1", "", errDomain},
		{"IPv4 in hexadecimal", "a", "example.0x7f", "1", "", errDomain},
		{"IPv6", "a", "[2001:db8::1]", "1", "", errDomain},
		{"letters outside ASCII", "a", "bücher.example", "1", "", errDomain},
		{"Kelvin sign", "a", "\u212Aey.com", "1", "", errDomain},
		{"label too long", "a", long + "a.com", "1", "", errDomain},
		{"name too long", "a", strings.Repeat(long+".", 4) + "com", "1", "", errDomain},
		{"no code", "a", "example.com", "", "", errCode},
		{"white space in the code", "a", "example.com", "12 34", "", errCode},
		{"line break in the code", "a", "example.com", "1\n@evil.com #1", "", errCode},
		{"NBSP in the code", "a", "example.com", "12\u00a034", "", errCode},
		{"sign of the format in the code", "a", "example.com", "#1", "", errCode},
		{"control in the code", "a", "example.com", "1\x7f", "", errCode},
	})
}

func TestWithAppHash(t *testing.T) {
	t.Parallel()
	const hash = "FA+9qCX9VSu"
	text := strings.Repeat("a", maxRetriever-1-hashLen) // with the line exactly 140 bytes
	tests := []struct {
		name       string
		body, hash string
		want       string
		err        error
	}{
		{"plain", "Your code is 123456.", hash, "Your code is 123456.\n" + hash, nil},
		{"nothing before", "", hash, hash, nil},
		{"white space at the end goes", "Code 1. \r\n", hash, "Code 1.\n" + hash, nil},
		{"before the origin line", "a\n@example.com #1", hash, "a\n" + hash + "\n@example.com #1", nil},
		{"only the origin line", "@example.com #1", hash, hash + "\n@example.com #1", nil},
		{"empty line before the origin line", "a\n\n@example.com #1\n", hash, "a\n" + hash + "\n@example.com #1", nil},
		{"there already", "a\n" + hash, hash, "a\n" + hash, nil},
		{"there already, with origin line", "a\n" + hash + "\n@example.com #1", hash, "a\n" + hash + "\n@example.com #1", nil},
		{"a second app", "a\n" + hash, "AAAAAAAAAA/", "a\n" + hash + "\nAAAAAAAAAA/", nil},
		{"140 bytes", text, hash, text + "\n" + hash, nil},

		{"141 bytes", text + "a", hash, "", errLong},
		{"bytes, not characters", text[1:] + "é", hash, "", errLong},
		{"too long with the origin line", text[20:] + "\n@example.com #123456", hash, "", errLong},
		{"short", "a", hash[1:], "", errHash},
		{"long", "a", hash + "x", "", errHash},
		{"base64url", "a", "FA-9qCX9VSu", "", errHash},
		{"padding", "a", "FA+9qCX9VS=", "", errHash},
		{"line break", "a", "FA+9\nCX9VSu", "", errHash},
		{"11 bytes outside ASCII", "a", "FA+9qCX9Vé", "", errHash},
		{"none", "a", "", "", errHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := WithAppHash(tt.body, tt.hash)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestOriginAfterHashKeepsAndroidLimit(t *testing.T) {
	t.Parallel()
	body, err := WithAppHash(strings.Repeat("a", 120), "FA+9qCX9VSu")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := WithOrigin(body, "example.com", "123456"); !errors.Is(err, errLong) {
		t.Errorf("got %q, %v, want errLong", got, err)
	}
	// A word of 11 letters at the end is no hash: nothing is said of Android.
	for _, word := range []string{"information", "Information", "INFORMATION"} {
		if _, err := WithOrigin(strings.Repeat("a", 140)+"\n"+word, "example.com", "123456"); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestAutofillErrorsHideTheText(t *testing.T) {
	t.Parallel()
	_, err1 := WithOrigin("text 918273", "exa mple918273", "918273")
	_, err2 := WithOrigin("text 918273", "example.com", "918273 ")
	_, err3 := WithOrigin("a\n@example.com #918273", "example.com", "9182734")
	_, err4 := WithAppHash("text 918273", "918273")
	for _, err := range []error{err1, err2, err3, err4} {
		if err == nil || strings.Contains(err.Error(), "918273") {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("Your code is 123456.", "example.com", "123456", "FA+9qCX9VSu")
	f.Add("a\n@example.com #1\r\n", "Example.com", "1", "AAAAAAAAAA/")
	f.Add("FA+9qCX9VSu", "localhost", "G-1", "FA+9qCX9VSu")
	f.Add("@a #b\n\n@", "1.2.3.4", "#", "abcdefghijk")
	f.Add(strings.Repeat("ä", 60), "xn--a.b", "1", "abcdefghijk")
	f.Fuzz(func(t *testing.T, body, domain, code, hash string) {
		if out, err := WithOrigin(body, domain, code); err == nil {
			checkOrigin(t, out, domain, code)
			if again, err := WithOrigin(out, domain, code); err != nil || again != out {
				t.Fatalf("a second time: %q, %v, want %q", again, err, out)
			}
		}
		if out, err := WithAppHash(body, hash); err == nil {
			if len(out) > maxRetriever || !strings.Contains("\n"+out+"\n", "\n"+hash+"\n") {
				t.Fatalf("WithAppHash(%q, %q) = %q", body, hash, out)
			}
			if again, err := WithAppHash(out, hash); err != nil || again != out {
				t.Fatalf("a second time: %q, %v, want %q", again, err, out)
			}
		}
		// The order of the calls does not matter where both succeed.
		a, errA := chain(body, withOrigin(domain, code), withHash(hash))
		b, errB := chain(body, withHash(hash), withOrigin(domain, code))
		if errA == nil && errB == nil && a != b {
			t.Fatalf("origin first: %q, hash first: %q", a, b)
		}
		if errA == nil {
			checkOrigin(t, a, domain, code)
			before, _ := cutLastLine(a)
			if _, last := cutLastLine(before); last != hash {
				t.Fatalf("the line before the last of %q is not %q", a, hash)
			}
		}
	})
}

// checkOrigin reads out as a browser does: the last line, an "@", the host, a
// space, a "#" and the code.
func checkOrigin(t *testing.T, out, domain, code string) {
	t.Helper()
	line := out[strings.LastIndex(out, "\n")+1:]
	if line != "@"+strings.ToLower(domain)+" #"+code || strings.HasSuffix(out, "\n") {
		t.Fatalf("%q does not end in a line for %q and %q", out, domain, code)
	}
	if strings.ContainsAny(domain, ":/@[]% \n") || strings.ContainsAny(code, "#@ \t\r\n") {
		t.Fatalf("%q has a domain or a code that it must not have", line)
	}
	for i := range len(line) {
		if line[i] >= 0x80 {
			t.Fatalf("%q is not ASCII", line)
		}
	}
}

type step func(string) (string, error)

func withOrigin(domain, code string) step {
	return func(s string) (string, error) { return WithOrigin(s, domain, code) }
}

func withHash(hash string) step {
	return func(s string) (string, error) { return WithAppHash(s, hash) }
}

func chain(s string, steps ...step) (string, error) {
	for _, f := range steps {
		var err error
		if s, err = f(s); err != nil {
			return "", err
		}
	}
	return s, nil
}
