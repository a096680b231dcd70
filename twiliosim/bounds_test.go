package twiliosim

import (
	"fmt"
	"strings"
	"testing"
)

// What a client can make the simulator keep is bounded.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	long := strings.Repeat("x", 10_000)
	for range maxKept + 5 {
		s.reg.newKey(s.ids, long, false)
	}
	if n := len(s.reg.keys); n != maxKept || len(s.reg.keys[0].name) != maxName {
		t.Errorf("%d keys with names of %d", n, len(s.reg.keys[0].name))
	}
	var e *apiError
	acct := &account{}
	for i := 0; e == nil && i < maxKept+5; i++ {
		_, e = s.reg.buy(s.ids, params{"PhoneNumber": {fmt.Sprintf("+1415%07d", 2_000_000+i)}}, acct)
	}
	if e == nil || e.Code != 20422 || len(s.reg.numbers) != maxKept {
		t.Errorf("%d numbers, then %v", len(s.reg.numbers), e)
	}
	if e := s.checkTo(params{}, acct, &message{to: "messenger:" + long}); e == nil || e.Code != 21211 {
		t.Errorf("a To of %d bytes: %v", len(long), e)
	}
}
