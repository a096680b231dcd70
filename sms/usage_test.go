package sms

import "testing"

func TestUsageTypes(t *testing.T) {
	t.Parallel()
	seen := map[UsageType]bool{}
	for _, u := range UsageTypes() {
		if !u.Known() {
			t.Errorf("%q is listed but not known", u)
		}
		if seen[u] {
			t.Errorf("%q is listed twice", u)
		}
		seen[u] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d usage types, want the 10 of the connector JSON", len(seen))
	}
	for _, u := range []UsageType{"", "register", "SIGNIN", "Generic ", "Other"} {
		if u.Known() {
			t.Errorf("%q is known", u)
		}
	}
	UsageTypes()[0] = "changed"
	if UsageTypes()[0] != UsageRegister {
		t.Error("UsageTypes hands out its own slice")
	}
}
