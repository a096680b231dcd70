package main

import (
	"context"
	"fmt"
	"net/http"
)

// Texts with a code that the caller made: ordered through the API, or by an auth
// server through its hook.

// messageSide orders texts through POST /v1/messages on the first n replicas.
func (s *site) messageSide(n int) *side {
	one := s.side(n)
	one.call = func(ctx context.Context, _ int) error {
		body := fmt.Appendf(nil, `{"to":%q,"usage_type":"SignIn","payload":{"code":"123456"}}`, s.world.fresh())
		return s.world.send(ctx, jsonLetter(s.url(n)+"/v1/messages", s.key, body, http.StatusCreated), nil)
	}
	return one
}

// hookWord is what the auth server and the config agree on.
const hookWord = "of-the-benchmark-alone"

// hookSide orders texts as Ory Kratos' courier does, with the body that
// docs/integrations/kratos.jsonnet makes. 204 says that the text is on its way: what
// is refused for good is 200 there.
func (s *site) hookSide(n int) *side {
	one := s.side(n)
	one.call = func(ctx context.Context, _ int) error {
		body := fmt.Appendf(nil, `{"to":%q,"code":"123456","template_type":"login_code_valid","message_type":"sms","locale":null}`, s.world.fresh())
		return s.world.send(ctx, jsonLetter(s.url(n)+"/hooks/kratos", hookWord, body, http.StatusNoContent), nil)
	}
	return one
}
