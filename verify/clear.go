package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/phone"
)

// ClearLimits gives a locked-out person back their tries: it forgets the
// counters of the number, the app's own and the overall ones, and the failures
// of the number, under every key of the ring; and that it has opted out of the
// named connectors, who refuse it anyway if it has. Pending
// verifications keep the checks and sends that they have used up.
//
// It needs no Service: an operator's command has no connector.
func ClearLimits(ctx context.Context, store Store, keys *Keyring, l *Limits, app string, to phone.Number, connectors ...string) error {
	if to.IsZero() {
		return &InvalidError{"to", "number_invalid", "no phone number in E.164 form"}
	}
	number := to.E164()
	for _, k := range keys.byID {
		place := k.place(number)
		counters := []LimitKey{
			k.limitKey(l.AppNumber, app, place), k.limitKey(l.AppNumberDaily, app, place),
			k.limitKey(l.Number, "", place), k.limitKey(l.NumberDaily, "", place),
		}
		for _, name := range connectors {
			counters = append(counters, k.limitKey(Limit{Name: LimitOptedOut}, name, place))
		}
		_, err := store.Do(ctx, Op{Subject: k.subject(app, to), Decide: func(_ time.Time, sub *Subject, _ *Verification) (Decision, error) {
			d := Decision{Clear: counters}
			if sub.Failures > 0 {
				sub.forgive()
				d.Subject = sub
			}
			return d, nil
		}})
		if err != nil {
			return fmt.Errorf("verify: clear the limits: %w", err)
		}
	}
	return nil
}
