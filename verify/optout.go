package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
)

// Whoever answers STOP gets no more texts from that sender, and each try costs a
// request that the provider refuses. So an opt-out is remembered, for one
// connector and number, and after a day tried again: the provider is who knows.
// It stands among the counters of the number, as a guard, taken in the transaction of
// the send.

// LimitOptedOut is the guard's name.
const LimitOptedOut = "opted_out"

// optOutLife is for how long an opt-out is remembered.
const optOutLife = 24 * time.Hour

func (s *Service) optOutKey(name string, to phone.Number) LimitKey {
	keys := s.keys.current
	return keys.limitKey(Limit{Name: LimitOptedOut}, name, keys.place(to.E164()))
}

func (s *Service) optOutGuard(name string, to phone.Number) Charge {
	return Charge{Limit: Limit{Name: LimitOptedOut, Burst: 1}, Key: s.optOutKey(name, to), Guard: true}
}

// optOut are the rows to write when a send shows that the person opted out.
func (s *Service) optOut(send *Send, v *Verification, now time.Time) []LimitRow {
	if send.Error == nil || send.Error.Kind != connector.KindOptedOut {
		return nil
	}
	return []LimitRow{optOutRow(s.optOutKey(send.Connector, v.To), now)}
}

func optOutRow(key LimitKey, now time.Time) LimitRow {
	until := now.Add(optOutLife)
	return LimitRow{Key: key, Value: until.UnixMicro(), ExpiresAt: until}
}

// refusedBefore turns the guard's refusal into what the provider would say.
func refusedBefore(err error) error {
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Name != LimitOptedOut {
		return err
	}
	return &RefusedError{Cause: optedOut()}
}

func optedOut() *connector.Error {
	return &connector.Error{
		Kind: connector.KindOptedOut, Outcome: connector.OutcomeRefused, Advice: connector.AdviceOptedOut,
		Actions: connector.ActFailover | connector.ActTell, Err: errors.New("the person has opted out"),
	}
}

// decideOptedOut gives up what waits for somebody who has opted out.
func (s *Service) decideOptedOut(now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
	c := &claimed{v: v}
	cause := optedOut()
	for i := range v.Sends {
		if send := &v.Sends[i]; send.parked() && s.heard(&d, v, sub, send, reportOf(connector.Receipt{}, cause), now) {
			c.news = append(c.news, newsOf(send))
		}
	}
	if !v.mayArrive() {
		v.end(sub, now, StatusCanceled, ReasonSendRejected)
	}
	d.Set = nil // it is known
	d.Result, d.Verification, d.Subject = c, v, sub.ifTouched()
	return d, nil
}

// RecordReply takes what a person texted back to one of a connector's numbers: a
// STOP is an opt-out at once, a START ends one. The caller has made sure that it
// comes from the provider.
//
// Errors: the store's.
func (s *Service) RecordReply(ctx context.Context, connectorName string, r connector.Reply) error {
	if r.Consent == connector.ConsentNone || r.From.IsZero() {
		return nil
	}
	key := s.optOutKey(connectorName, r.From)
	_, err := s.persist(ctx, Op{Subject: s.keys.Subject("", r.From), Decide: func(now time.Time, _ *Subject, _ *Verification) (Decision, error) {
		if r.Consent == connector.ConsentStart {
			return Decision{Clear: []LimitKey{key}}, nil
		}
		return Decision{Set: []LimitRow{optOutRow(key, now)}}, nil
	}})
	if err != nil {
		return fmt.Errorf("verify: record a reply: %w", err)
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "reply", slog.String("connector", connectorName), slog.String("consent", string(r.Consent)), slog.Any("from", r.From))
	return nil
}
