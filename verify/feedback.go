package verify

import (
	"context"
	"log/slog"
	"time"
)

// Feedback is how far the word has come that a text's code was used.
type Feedback string

// The feedbacks.
const (
	FeedbackNone   Feedback = ""       // the provider was not promised any
	FeedbackWanted Feedback = "wanted" // promised with the text
	FeedbackOwed   Feedback = "owed"   // the code was used
	FeedbackDone   Feedback = "done"   // the provider was told, once
)

// oweFeedback remembers to tell the provider that the code of its text was
// used: the newest text with the present code.
func (v *Verification) oweFeedback(now time.Time) {
	for i := len(v.Sends) - 1; i >= 0; i-- {
		send := &v.Sends[i]
		if send.Generation != v.Generation {
			return
		}
		if send.Feedback == FeedbackWanted && send.ProviderID != "" {
			send.Feedback, send.NextAt = FeedbackOwed, now
			return
		}
	}
}

func (s *Service) doFeedback(ctx context.Context, t *task) {
	r := s.route(t.send.Connector)
	if r.reads.Wait(ctx) != nil {
		return
	}
	if err := r.feedback.Feedback(ctx, t.send.ProviderID, true); err != nil {
		s.log.LogAttrs(ctx, slog.LevelInfo, "feedback", slog.String("send", t.send.ID), slog.String("error", plainly(err)))
	}
}
