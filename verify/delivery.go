package verify

import (
	"context"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

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
	result, err := s.store.Do(ctx, Op{ID: id, AnyApp: true, Decide: func(now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
		send := v.send(sendID)
		if send == nil || send.Connector != connectorName {
			return Decision{}, ErrNotFound
		}
		c := &claimed{v: v}
		d.Result = c
		if send.ProviderID != "" && send.ProviderID != u.ProviderID {
			return d, nil
		}
		if s.heard(&d, v, sub, send, report{word{status: u.Status}, u.ProviderID, u.Err}, now) {
			c.news = append(c.news, newsOf(send))
			d.Verification, d.Subject = v, sub.ifTouched()
		}
		return d, nil
	}})
	if err != nil {
		return err
	}
	c := result.(*claimed)
	s.announce(ctx, c.v, c.news)
	if send := c.v.send(sendID); send.ProviderID != "" && send.ProviderID != u.ProviderID {
		// Two texts under one send: the provider made one of them by itself, or a
		// request that nobody made was answered.
		s.log.LogAttrs(ctx, slog.LevelWarn, "delivery of another text", slog.String("send", sendID), slog.String("connector", connectorName))
	}
	return nil
}

// parentOf is the id of the record that a send belongs to.
func parentOf(sendID string) (string, bool) {
	if len(sendID) < idLength+2 || sendID[idLength] != '.' || !validID(sendID[:idLength]) {
		return "", false
	}
	return sendID[:idLength], true
}
