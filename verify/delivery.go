package verify

import (
	"context"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// delivered is what news of a send come to.
type delivered struct {
	v       *Verification
	another bool    // they are of another text than the send's
	news    [1]news // where changed
	changed bool
}

// RecordDelivery takes what a connector's provider says of a send, by a callback
// or when it was asked. The caller has made sure that it is the provider who
// says so. News that come twice, late or out of order change nothing; nor do
// news of another text than the one that the send is known to be.
//
// Errors: ErrNotFound for a send that does not exist or went through another
// connector, and the store's.
func (s *Service) RecordDelivery(ctx context.Context, connectorName, sendID string, u connector.StatusUpdate) error {
	id, ok := parentOf(sendID)
	if !ok {
		return ErrNotFound
	}
	alone := func(v *Verification) bool { return v.settled(v.send(sendID)) }
	result, err := s.store.Do(ctx, Op{ID: id, AnyApp: true, Alone: alone, Decide: func(now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
		send := v.send(sendID)
		if send == nil || send.Connector != connectorName {
			return Decision{}, ErrNotFound
		}
		c := &delivered{v: v, another: send.ProviderID != "" && send.ProviderID != u.ProviderID}
		d.Result = c
		if !c.another && s.heard(&d, v, sub, send, report{word{status: u.Status}, u.ProviderID, u.Err}, now) {
			c.changed, c.news[0] = true, newsOf(send)
			d.Verification, d.Subject = v, sub.ifTouched()
		}
		return d, nil
	}})
	if err != nil {
		return err
	}
	c := result.(*delivered)
	if c.changed {
		s.announce(ctx, c.v, c.news[:])
	}
	if c.another {
		// Two texts under one send: the provider made one of them by itself, or a
		// request that nobody made was answered.
		s.log.LogAttrs(ctx, slog.LevelWarn, "delivery of another text", slog.String("send", sendID), slog.String("connector", connectorName))
	}
	return nil
}

// settled reports whether the number's subject has nothing of a send, so that
// news of it need not look there. Only a text of which it is not known whether the
// provider has it may hold others back, and only messages are remembered for the
// others of their number.
func (v *Verification) settled(send *Send) bool {
	return send == nil || !v.Supplied && rank(send.Status) >= rank(connector.StatusAccepted)
}

// parentOf is the id of the record that a send belongs to.
func parentOf(sendID string) (string, bool) {
	if len(sendID) < idLength+2 || sendID[idLength] != '.' || !validID(sendID[:idLength]) {
		return "", false
	}
	return sendID[:idLength], true
}
