package hooks

// Logto's connector "HTTP SMS" posts what its other connectors are given. It
// waits for ever and sends an order once; what is not 2xx is an error, and the
// body its text, which the person may see. Its types of texts are ours, but for
// those that are newer.

// readLogto reads an order of Logto.
func readLogto(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		To, Type, IP string
		Payload      map[string]any
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	code, _ := in.Payload["code"].(string)
	locale, _ := in.Payload["locale"].(string)
	return order{to: in.To, code: code, usage: in.Type, locale: locale, clientIP: in.IP, more: in.Payload}, nil
}

func replyLogto(o outcome) reply {
	if o.result.done() {
		return reply{status: 204}
	}
	return reply{status: o.result.status(), body: o.words(), header: o.retryAfter()}
}
