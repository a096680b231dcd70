package memory_test

import (
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ testing.TB, now func() time.Time) storetest.Instance {
		return storetest.Instance{Store: memory.New(now)}
	})
}
