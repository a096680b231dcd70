package demo

import (
	"fmt"
	"net/http"
	"time"
)

// words tells the person who signs in what went wrong. The app has its own
// words for every code of the service; a refused text brings its advice along.
func (p *problem) words() string {
	switch p.Code {
	case "number_invalid":
		return "That is not a phone number. Begin with + and the country, as in +1 415 555 0134."
	case "country_not_allowed":
		return "We send no texts to this country."
	case "number_kind":
		return "We send no texts to numbers of this kind. Use a mobile number."
	case "use_call":
		return "This is a fixed line, which gets no texts. Use a mobile number."
	case "send_rejected":
		return p.Advice
	case "rate_limited":
		return fmt.Sprintf("Too soon or too often. Try again in %s.", wait(time.Duration(p.RetryAfter)*time.Second))
	case "verification_ended":
		return "This code is no longer valid."
	case codeNoAnswer:
		return "The service does not answer. Try again."
	}
	return "Something is wrong on our side (" + p.Code + ")."
}

// sentWords tells what became of a text that was asked for.
func sentWords(x exchange, v verification) string {
	switch {
	case x.Status == http.StatusAccepted:
		return "Nobody can tell yet whether the text went out. If none arrives, ask for another one."
	case v.Joined:
		return "A text is already on its way to " + v.To + "."
	}
	return "A text is on its way to " + v.To + "."
}

func wrongWords(left int) string {
	if left == 1 {
		return "That is not the code. You have one try left."
	}
	return fmt.Sprintf("That is not the code. You have %d tries left.", left)
}

// endWords says why a verification ended without success.
func endWords(status string) string {
	switch status {
	case "exhausted":
		return "That was the last try. The code is worthless now, even the right one."
	case "expired":
		return "The code has expired."
	case "approved":
		return "The code was used already."
	}
	return "This code is no longer valid."
}

// wait rounds up: whoever comes back at the time told must not be early.
func wait(d time.Duration) string {
	s := int((d + time.Second - 1) / time.Second)
	switch {
	case s == 1:
		return "1 second"
	case s < 120:
		return fmt.Sprintf("%d seconds", s)
	}
	return fmt.Sprintf("%d minutes", (s+59)/60)
}
