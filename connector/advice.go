package connector

import (
	"fmt"
	"time"
)

// Advice is what to tell the person who waits for a text. Apps that speak other
// languages translate by this key; Text is the English.
type Advice string

// The advices. Fraud, filters and blocks share AdviceOtherMethod: whoever
// probes for them learns nothing.
const (
	AdviceCheckNumber Advice = "check_number"
	AdviceNotMobile   Advice = "not_mobile"
	AdviceOptedOut    Advice = "opted_out"
	AdviceCountry     Advice = "country"
	AdviceOtherMethod Advice = "other_method"
	AdviceWait        Advice = "wait"
	AdviceOurFault    Advice = "our_fault"
	AdviceTooMany     Advice = "too_many"
)

// Advices returns every advice.
func Advices() []Advice {
	return []Advice{
		AdviceCheckNumber, AdviceNotMobile, AdviceOptedOut, AdviceCountry,
		AdviceOtherMethod, AdviceWait, AdviceOurFault, AdviceTooMany,
	}
}

// Text returns the advice in English. wait is how long until a next try makes
// sense; 0 when nobody knows.
func (a Advice) Text(wait time.Duration) string {
	switch a {
	case AdviceCheckNumber:
		return "That number doesn't look right. Check it and try again."
	case AdviceNotMobile:
		return "We can't text this number. Use a mobile number or another method."
	case AdviceOptedOut:
		return "This number has opted out of our texts. Text START to our number, or use another method."
	case AdviceCountry:
		return "We can't send codes to this country yet."
	case AdviceOtherMethod:
		return "We can't send a code to this number right now. Try another method, or try later."
	case AdviceWait:
		if wait <= 0 {
			return "We are busy; your code may take a moment."
		}
		return fmt.Sprintf("We are busy; your code may take a moment. You can ask again in %s.", roughly(wait))
	case AdviceTooMany:
		if wait <= 0 {
			return "Too many tries. Wait a while and try again."
		}
		return fmt.Sprintf("Too many tries. Try again in %s.", roughly(wait))
	default:
		return "Something is wrong on our side. Try another method."
	}
}

// roughly rounds up: whoever comes back at the time told must not be early.
func roughly(d time.Duration) string {
	if s := int((d + time.Second - 1) / time.Second); s < 60 {
		return plural(s, "second")
	}
	return plural(int((d+time.Minute-1)/time.Minute), "minute")
}

func plural(n int, unit string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", unit)
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
