package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// startSide starts verifications of the numbers on the first n replicas.
func (s *site) startSide(n int, to numbers) *side {
	one := s.side(n)
	one.call = func(ctx context.Context, _ int) error { return s.startOne(ctx, n, to(), nil) }
	return one
}

// started is a verification as the API answers it.
type started struct {
	ID     string `json:"id"`
	To     string `json:"to"`
	Status string `json:"status"`
	Left   int    `json:"attempts_left"`
	Sends  []struct {
		ID         string `json:"id"`
		Status     string `json:"status"`
		ProviderID string `json:"provider_id"`
	} `json:"sends"`
}

// startOne starts a verification and decodes it into v.
func (s *site) startOne(ctx context.Context, n int, to string, v *started) error {
	body := fmt.Appendf(nil, `{"to":%q,"usage_type":"SignIn"}`, to)
	l := jsonLetter(s.url(n)+"/v1/verifications", s.key, body, http.StatusCreated)
	if v == nil {
		return s.world.send(ctx, l, nil)
	}
	return s.world.send(ctx, l, v)
}

// startMany starts so many verifications, on all replicas, and hands on each.
func (s *site) startMany(ctx context.Context, want int, each func(v started) error) error {
	var left atomic.Int64
	left.Store(int64(want))
	_, err := load(ctx, manyCallers, time.Hour, func(ctx context.Context, _ int) error {
		if left.Add(-1) < 0 {
			return errDry
		}
		var v started
		if err := s.startOne(ctx, len(s.replicas), s.world.fresh(), &v); err != nil {
			return err
		}
		return each(v)
	}, s.side(1).who)
	return errors.Join(err, ctx.Err())
}

// read reads a verification from the first n replicas, into v unless it is nil.
func (s *site) read(ctx context.Context, n int, id string, v *started) error {
	l := letter{method: http.MethodGet, url: s.url(n) + "/v1/verifications/" + id, authorization: "Bearer " + s.key, want: http.StatusOK}
	if v == nil {
		return s.world.send(ctx, l, nil)
	}
	return s.world.send(ctx, l, v)
}

// checkOf is the check of a code on the first n replicas.
func (s *site) checkOf(n int, id, code string) letter {
	return jsonLetter(s.url(n)+"/v1/verifications/"+id+"/check", s.key, []byte(`{"code":"`+code+`"}`), http.StatusOK)
}
