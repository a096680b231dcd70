package transfer_test

import (
	"fmt"
	"testing"

	"github.com/sixdigit/sixdigit/internal/transfer"
)

func TestCountsInWords(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]transfer.Counts{
		"nothing":                    {},
		"1 verification, 2 subjects": {Verifications: 1, Subjects: 2},
		"3 verifications, 1 subject, 14 rows of counters, 2 idempotency keys, 1 API key": {Verifications: 3, Subjects: 1, Counters: 14, Idems: 2, APIKeys: 1},
		"1 row of counters, 1 idempotency key, 7 API keys":                               {Counters: 1, Idems: 1, APIKeys: 7},
	} {
		if got := fmt.Sprintf("%+v", c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
