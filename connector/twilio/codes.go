package twilio

import (
	"slices"

	"github.com/sixdigit/sixdigit/connector"
)

// row is what one of Twilio's error codes means for somebody who sends codes.
type row struct {
	code    int
	kind    connector.Kind
	actions connector.Action
	advice  connector.Advice
	meaning string // in our words, for the operator
}

// Short names, so that the table reads as one.
const (
	nobody      = connector.KindInvalidRecipient
	unreachable = connector.KindUnreachable
	optedOut    = connector.KindOptedOut
	blocked     = connector.KindBlocked
	fraud       = connector.KindFraud
	filtered    = connector.KindFiltered
	geo         = connector.KindGeo
	throttled   = connector.KindThrottled
	auth        = connector.KindAuth
	account     = connector.KindAccount
	sender      = connector.KindSender
	passing     = connector.KindTemporary
	unclear     = connector.KindUnclassified

	none     = connector.Action(0)
	retry    = connector.ActRetry
	failover = connector.ActFailover
	tell     = connector.ActTell
	page     = connector.ActPage

	sayCheck   = connector.AdviceCheckNumber
	sayMobile  = connector.AdviceNotMobile
	sayOptOut  = connector.AdviceOptedOut
	sayCountry = connector.AdviceCountry
	sayOther   = connector.AdviceOtherMethod
	sayWait    = connector.AdviceWait
	sayFault   = connector.AdviceOurFault
	sayTooMany = connector.AdviceTooMany
)

// codes is sorted by code. Nothing writes to it. The codes and what they mean
// are those of Twilio's error dictionary, https://www.twilio.com/docs/api/errors;
// Twilio splits codes into finer ones without notice, so what is not here falls
// back on the HTTP status (see refusal) or on where it turned up (see failure).
//
// A code may arrive in the answer to a send or, later, in a status callback:
// with a Messaging Service many of the first kind become the second.
var codes = [...]row{
	{10001, account, failover | page, sayFault, "the account is not active"},
	{11200, sender, page, sayFault, "our callback URL does not answer Twilio"},
	{14107, throttled, page, sayTooMany, "more than 15 messages in 30 s between two numbers: a loop?"},

	{20003, auth, failover | page, sayFault, "account, token or key is wrong, or the account is closed, or the region is another"},
	{20005, account, failover | page, sayFault, "the account is not active"},
	{20006, auth, failover | page, sayFault, "access is denied"},
	{20008, auth, page, sayFault, "these are test credentials"},
	{20010, account, failover | page, sayFault, "the account may not do this"},
	{20404, sender, page, sayFault, "no such account, service or message"},
	{20422, sender, page, sayFault, "a parameter is invalid"},
	{20429, throttled, retry | failover, sayWait, "too many requests at once"},
	{20500, passing, failover, sayWait, "an internal error: the message may have been sent"},
	{20503, passing, failover, sayWait, "the service is unavailable: the message may have been sent"},

	{21211, nobody, tell, sayCheck, "To is not a phone number"},
	{21212, sender, failover | page, sayFault, "From is not a phone number"},
	{21214, nobody, failover | tell, sayCheck, "To cannot be reached by voice"},
	{21215, geo, tell, sayCountry, "voice to this country is not enabled"},
	{21216, fraud, tell, sayOther, "To is on Twilio's block list for voice"},
	{21217, nobody, failover | tell, sayCheck, "To is not a phone number"},
	{21265, nobody, tell, sayCheck, "To is a short code"},
	{21266, nobody, tell, sayCheck, "To and From are the same number"},
	{21267, account, page, sayFault, "a trial account may not use this sender"},
	{21408, geo, tell | page, sayCountry, "texts to this country are not enabled in the geo permissions"},
	{21601, sender, failover | page, sayFault, "From cannot send texts"},
	{21602, sender, page, sayFault, "the message has no body"},
	{21603, sender, failover | page, sayFault, "From is missing"},
	{21604, nobody, tell, sayCheck, "To is missing"},
	{21606, sender, failover | page, sayFault, "From is no sender of this account for this destination"},
	{21607, account, page, sayFault, "a trial account may not use this sender"},
	{21608, account, page, sayFault, "a trial account sends to verified numbers only, and this is none"},
	{21609, sender, page, sayFault, "the callback URL is invalid"},
	{21610, optedOut, failover | tell, sayOptOut, "the person has answered STOP"},
	{21611, throttled, retry | failover, sayWait, "this sender has more than 10 h of messages in its queue"},
	{21612, unreachable, failover, sayMobile, "no route leads from this sender to this number"},
	{21614, unreachable, failover | tell, sayMobile, "To is not a mobile number"},
	{21616, sender, failover | page, sayFault, "From matches several senders"},
	{21617, sender, page, sayFault, "the body is longer than 1,600 characters"},
	{21618, filtered, failover | tell | page, sayOther, "every carrier filters this body"},
	{21619, sender, page, sayFault, "the message has no content"},
	{21624, sender, page, sayFault, "the validity period is out of range"},
	{21635, unreachable, failover | tell, sayMobile, "To is a landline"},
	{21654, sender, page, sayFault, "content variables without a content template"},
	{21655, sender, page, sayFault, "the content template is invalid"},
	{21656, sender, page, sayFault, "the content variables are invalid"},
	{21657, sender, failover | page, sayFault, "this kind of sender is not supported in the destination"},
	{21658, sender, page, sayFault, "the content variables are too long"},
	{21659, sender, failover | page, sayFault, "From is not a number of Twilio's, or a short code of another country"},
	{21660, sender, failover | page, sayFault, "From belongs to another account"},
	{21661, sender, failover | page, sayFault, "From cannot send texts to this destination"},
	{21664, sender, page, sayFault, "the fallback sender is misused"},
	{21666, sender, page, sayFault, "the fallback sender is misused"},
	{21667, sender, page, sayFault, "the fallback sender is misused"},
	{21701, sender, failover | page, sayFault, "the Messaging Service is missing"},
	{21702, sender, failover | page, sayFault, "the Messaging Service is unavailable"},
	{21703, sender, failover | page, sayFault, "no sender of the Messaging Service reaches this number"},
	{21704, sender, page, sayFault, "the Messaging Service has no senders"},
	{21705, sender, failover | page, sayFault, "the Messaging Service is invalid"},
	{21708, sender, page, sayFault, "the alphanumeric sender is missing"},
	{21709, sender, page, sayFault, "the alphanumeric sender is not allowed in this service"},
	{21710, sender, none, sayFault, "the number is in this service already"},
	{21711, sender, page, sayFault, "the sender is not in this service"},
	{21712, sender, none, sayFault, "the number is in another service"},

	{30001, throttled, retry | failover, sayWait, "the queue overflowed"},
	{30002, account, failover | page, sayFault, "the account was suspended"},
	{30003, unreachable, retry | failover, sayOther, "the phone is off or has no signal"},
	{30004, blocked, failover | tell, sayOther, "the number is blocked: a do-not-disturb register, an opt-out or the carrier"},
	{30005, nobody, tell, sayCheck, "the number is unknown or inactive"},
	{30006, unreachable, failover | tell, sayMobile, "a landline, or a carrier that cannot be reached"},
	{30007, filtered, failover | page, sayOther, "the carrier or Twilio filtered the text"},
	{30008, unclear, retry | failover, sayOther, "the carrier gave no reason"},
	{30010, sender, page, sayFault, "the price is over the limit that was set"},
	{30017, passing, retry | failover, sayWait, "the carrier's network is congested"},
	{30018, sender, failover | page, sayFault, "the sender needs a registration in this country"},
	{30020, passing, retry | failover, sayWait, "an internal error of Twilio's"},
	{30021, passing, retry | failover, sayWait, "an internal error of Twilio's"},
	{30022, throttled, failover | page, sayWait, "the campaign's rate at the US carriers is used up"},
	{30023, throttled, failover | page, sayWait, "the brand's daily cap at the US carriers is used up"},
	{30024, sender, failover | page, sayFault, "the carrier does not know the sender yet"},
	{30027, throttled, failover | page, sayWait, "the campaign's daily cap at the US carriers is used up"},
	{30032, sender, failover | page, sayFault, "the toll-free number is not verified"},
	{30033, sender, failover | page, sayFault, "the US campaign is suspended"},
	{30034, sender, failover | page, sayFault, "the US number is not registered for a campaign"},
	{30035, sender, failover | page, sayFault, "the US number is still being registered"},
	{30036, passing, none, sayWait, "the message's validity ended in the queue"},
	{30037, account, page, sayFault, "outbound texts are disabled for the account"},
	{30038, blocked, none, sayOther, "the recipient is a Twilio number, where codes are blanked out"},
	{30045, sender, page, sayFault, "the validity period is out of range"},
	{30410, passing, retry | failover, sayWait, "the carrier did not answer in time"},
	{30450, fraud, tell, sayOther, "SMS pumping protection blocks the number, for 15 to 30 min as a rule"},
	{30453, fraud, tell, sayOther, "SMS pumping protection blocks the number for some hours"},
	{30500, passing, retry | failover, sayWait, "an internal error of Twilio's"},
	{30640, blocked, tell, sayOther, "the compliance toolkit blocks the message"},

	{57012, sender, page, sayFault, "our callback URL refuses Twilio's signature"},

	{60200, nobody, tell, sayCheck, "a parameter is invalid"},
	{60202, throttled, tell, sayTooMany, "too many checks of one code"},
	{60203, throttled, tell, sayTooMany, "too many codes to one number"},
	{60205, unreachable, failover, sayMobile, "To is a landline"},
	{60212, throttled, retry, sayWait, "too many verifications of one number at once"},
	{60220, geo, page, sayCountry, "texts to China need Twilio's approval"},
	{60223, sender, page, sayFault, "the channel is disabled"},
	{60238, fraud, tell | page, sayOther, "Twilio does not allow this verification"},
	{60410, fraud, tell, sayOther, "fraud guard blocks the number's prefix for 12 h"},
	{60605, geo, tell, sayCountry, "verifications to this country are not enabled in the geo permissions"},

	{63001, sender, failover | page, sayFault, "the channel refuses our credentials"},
	{63003, nobody, failover, sayOther, "the channel knows no such recipient"},
	{63007, sender, failover | page, sayFault, "the channel has no such sender"},
	{63012, passing, failover, sayWait, "the channel's provider has an internal error"},
	{63015, account, page, sayFault, "the recipient has not joined the channel's sandbox"},
	{63016, sender, failover | page, sayFault, "outside the channel's 24 h window only templates may be sent"},
	{63018, throttled, failover, sayWait, "the channel's rate is used up"},
	{63020, sender, failover | page, sayFault, "the business account at Meta is in order no more"},
	{63024, nobody, failover, sayOther, "the recipient is not on the channel"},
	{63032, optedOut, failover, sayOther, "WhatsApp does not deliver to this person"},
	{63033, optedOut, failover, sayOther, "the person has blocked us on the channel"},
	{63038, throttled, failover, sayWait, "the account's daily limit is used up"},
	{63041, sender, failover | page, sayFault, "the channel has paused the template"},
	{63042, sender, failover | page, sayFault, "the channel has disabled the template"},

	{90007, sender, page, sayFault, "the validity period is out of range"},
	{90010, account, failover | page, sayFault, "the account is not active"},
	{572005, account, page, sayFault, "a trial account sends to verified numbers only, and this is none"},
}

// lookup finds the row of a code. ok is false for a code that is not in the
// table, 0 included.
func lookup(code int) (r row, ok bool) {
	i, ok := slices.BinarySearchFunc(codes[:], code, func(r row, code int) int { return r.code - code })
	if !ok {
		return row{}, false
	}
	return codes[i], true
}
