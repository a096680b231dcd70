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

// The words of package connector, short so that the table reads as one.
const (
	kindInvalidRecipient = connector.KindInvalidRecipient
	kindUnreachable      = connector.KindUnreachable
	kindOptedOut         = connector.KindOptedOut
	kindBlocked          = connector.KindBlocked
	kindFraud            = connector.KindFraud
	kindFiltered         = connector.KindFiltered
	kindGeo              = connector.KindGeo
	kindThrottled        = connector.KindThrottled
	kindAuth             = connector.KindAuth
	kindAccount          = connector.KindAccount
	kindSender           = connector.KindSender
	kindTemporary        = connector.KindTemporary
	kindUnclassified     = connector.KindUnclassified

	actRetry    = connector.ActRetry
	actFailover = connector.ActFailover
	actTell     = connector.ActTell
	actPage     = connector.ActPage

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
	{10001, kindAccount, actFailover | actPage, sayFault, "the account is not active"},
	{11200, kindSender, actPage, sayFault, "our callback URL does not answer Twilio"},
	{14107, kindThrottled, actPage, sayTooMany, "more than 15 messages in 30 s between two numbers: a loop?"},

	{20003, kindAuth, actFailover | actPage, sayFault, "account, token or key is wrong, or the account is closed, or the region is another"},
	{20005, kindAccount, actFailover | actPage, sayFault, "the account is not active"},
	{20006, kindAuth, actFailover | actPage, sayFault, "access is denied"},
	{20008, kindAuth, actPage, sayFault, "these are test credentials"},
	{20010, kindAccount, actFailover | actPage, sayFault, "the account may not do this"},
	{20404, kindSender, actPage, sayFault, "no such account, service or message"},
	{20422, kindSender, actPage, sayFault, "a parameter is invalid"},
	{20429, kindThrottled, actRetry | actFailover, sayWait, "too many requests at once"},
	{20500, kindTemporary, actFailover, sayWait, "an internal error: the message may have been sent"},
	{20503, kindTemporary, actFailover, sayWait, "the service is unavailable: the message may have been sent"},

	{21211, kindInvalidRecipient, actTell, sayCheck, "To is not a phone number"},
	{21212, kindSender, actFailover | actPage, sayFault, "From is not a phone number"},
	{21214, kindInvalidRecipient, actFailover | actTell, sayCheck, "To cannot be reached by voice"},
	{21215, kindGeo, actTell, sayCountry, "voice to this country is not enabled"},
	{21216, kindFraud, actTell, sayOther, "To is on Twilio's block list for voice"},
	{21217, kindInvalidRecipient, actFailover | actTell, sayCheck, "To is not a phone number"},
	{21265, kindInvalidRecipient, actTell, sayCheck, "To is a short code"},
	{21266, kindInvalidRecipient, actTell, sayCheck, "To and From are the same number"},
	{21267, kindAccount, actPage, sayFault, "a trial account may not use this sender"},
	{21408, kindGeo, actTell | actPage, sayCountry, "texts to this country are not enabled in the geo permissions"},
	{21601, kindSender, actFailover | actPage, sayFault, "From cannot send texts"},
	{21602, kindSender, actPage, sayFault, "the message has no body"},
	{21603, kindSender, actFailover | actPage, sayFault, "From is missing"},
	{21604, kindInvalidRecipient, actTell, sayCheck, "To is missing"},
	{21606, kindSender, actFailover | actPage, sayFault, "From is no sender of this account for this destination"},
	{21607, kindAccount, actPage, sayFault, "a trial account may not use this sender"},
	{21608, kindAccount, actPage, sayFault, "a trial account sends to verified numbers only, and this is none"},
	{21609, kindSender, actPage, sayFault, "the callback URL is invalid"},
	{21610, kindOptedOut, actFailover | actTell, sayOptOut, "the person has answered STOP"},
	{21611, kindThrottled, actRetry | actFailover, sayWait, "this sender has more than 10 h of messages in its queue"},
	{21612, kindUnreachable, actFailover, sayMobile, "no route leads from this sender to this number"},
	{21614, kindUnreachable, actFailover | actTell, sayMobile, "To is not a mobile number"},
	{21616, kindSender, actFailover | actPage, sayFault, "From matches several senders"},
	{21617, kindSender, actPage, sayFault, "the body is longer than 1,600 characters"},
	{21618, kindFiltered, actFailover | actTell | actPage, sayOther, "every carrier filters this body"},
	{21619, kindSender, actPage, sayFault, "the message has no content"},
	{21624, kindSender, actPage, sayFault, "the validity period is out of range"},
	{21635, kindUnreachable, actFailover | actTell, sayMobile, "To is a landline"},
	{21654, kindSender, actPage, sayFault, "content variables without a content template"},
	{21655, kindSender, actPage, sayFault, "the content template is invalid"},
	{21656, kindSender, actPage, sayFault, "the content variables are invalid"},
	{21657, kindSender, actFailover | actPage, sayFault, "this kind of sender is not supported in the destination"},
	{21658, kindSender, actPage, sayFault, "the content variables are too long"},
	{21659, kindSender, actFailover | actPage, sayFault, "From is not a number of Twilio's, or a short code of another country"},
	{21660, kindSender, actFailover | actPage, sayFault, "From belongs to another account"},
	{21661, kindSender, actFailover | actPage, sayFault, "From cannot send texts to this destination"},
	{21664, kindSender, actPage, sayFault, "the fallback sender is misused"},
	{21666, kindSender, actPage, sayFault, "the fallback sender is misused"},
	{21667, kindSender, actPage, sayFault, "the fallback sender is misused"},
	{21701, kindSender, actFailover | actPage, sayFault, "the Messaging Service is missing"},
	{21702, kindSender, actFailover | actPage, sayFault, "the Messaging Service is unavailable"},
	{21703, kindSender, actFailover | actPage, sayFault, "no sender of the Messaging Service reaches this number"},
	{21704, kindSender, actPage, sayFault, "the Messaging Service has no senders"},
	{21705, kindSender, actFailover | actPage, sayFault, "the Messaging Service is invalid"},
	{21708, kindSender, actPage, sayFault, "the alphanumeric sender is missing"},
	{21709, kindSender, actPage, sayFault, "the alphanumeric sender is not allowed in this service"},
	{21710, kindSender, 0, sayFault, "the number is in this service already"},
	{21711, kindSender, actPage, sayFault, "the sender is not in this service"},
	{21712, kindSender, 0, sayFault, "the number is in another service"},

	{30001, kindThrottled, actRetry | actFailover, sayWait, "the queue overflowed"},
	{30002, kindAccount, actFailover | actPage, sayFault, "the account was suspended"},
	{30003, kindUnreachable, actRetry | actFailover, sayOther, "the phone is off or has no signal"},
	{30004, kindBlocked, actFailover | actTell, sayOther, "the number is blocked: a do-not-disturb register, an opt-out or the carrier"},
	{30005, kindInvalidRecipient, actTell, sayCheck, "the number is unknown or inactive"},
	{30006, kindUnreachable, actFailover | actTell, sayMobile, "a landline, or a carrier that cannot be reached"},
	{30007, kindFiltered, actFailover | actPage, sayOther, "the carrier or Twilio filtered the text"},
	{30008, kindUnclassified, actRetry | actFailover, sayOther, "the carrier gave no reason"},
	{30010, kindSender, actPage, sayFault, "the price is over the limit that was set"},
	{30017, kindTemporary, actRetry | actFailover, sayWait, "the carrier's network is congested"},
	{30018, kindSender, actFailover | actPage, sayFault, "the sender needs a registration in this country"},
	{30020, kindTemporary, actRetry | actFailover, sayWait, "an internal error of Twilio's"},
	{30021, kindTemporary, actRetry | actFailover, sayWait, "an internal error of Twilio's"},
	{30022, kindThrottled, actFailover | actPage, sayWait, "the campaign's rate at the US carriers is used up"},
	{30023, kindThrottled, actFailover | actPage, sayWait, "the brand's daily cap at the US carriers is used up"},
	{30024, kindSender, actFailover | actPage, sayFault, "the carrier does not know the sender yet"},
	{30027, kindThrottled, actFailover | actPage, sayWait, "the campaign's daily cap at the US carriers is used up"},
	{30032, kindSender, actFailover | actPage, sayFault, "the toll-free number is not verified"},
	{30033, kindSender, actFailover | actPage, sayFault, "the US campaign is suspended"},
	{30034, kindSender, actFailover | actPage, sayFault, "the US number is not registered for a campaign"},
	{30035, kindSender, actFailover | actPage, sayFault, "the US number is still being registered"},
	{30036, kindTemporary, 0, sayWait, "the message's validity ended in the queue"},
	{30037, kindAccount, actPage, sayFault, "outbound texts are disabled for the account"},
	{30038, kindBlocked, 0, sayOther, "the recipient is a Twilio number, where codes are blanked out"},
	{30045, kindSender, actPage, sayFault, "the validity period is out of range"},
	{30410, kindTemporary, actRetry | actFailover, sayWait, "the carrier did not answer in time"},
	{30450, kindFraud, actTell, sayOther, "SMS pumping protection blocks the number, for 15 to 30 min as a rule"},
	{30453, kindFraud, actTell, sayOther, "SMS pumping protection blocks the number for some hours"},
	{30500, kindTemporary, actRetry | actFailover, sayWait, "an internal error of Twilio's"},
	{30640, kindBlocked, actTell, sayOther, "the compliance toolkit blocks the message"},

	{57012, kindSender, actPage, sayFault, "our callback URL refuses Twilio's signature"},

	{60200, kindInvalidRecipient, actTell, sayCheck, "a parameter is invalid"},
	{60202, kindThrottled, actTell, sayTooMany, "too many checks of one code"},
	{60203, kindThrottled, actTell, sayTooMany, "too many codes to one number"},
	{60205, kindUnreachable, actFailover, sayMobile, "To is a landline"},
	{60212, kindThrottled, actRetry, sayWait, "too many verifications of one number at once"},
	{60220, kindGeo, actPage, sayCountry, "texts to China need Twilio's approval"},
	{60223, kindSender, actPage, sayFault, "the channel is disabled"},
	{60238, kindFraud, actTell | actPage, sayOther, "Twilio does not allow this verification"},
	{60410, kindFraud, actTell, sayOther, "fraud guard blocks the number's prefix for 12 h"},
	{60605, kindGeo, actTell, sayCountry, "verifications to this country are not enabled in the geo permissions"},

	{63001, kindSender, actFailover | actPage, sayFault, "the channel refuses our credentials"},
	{63003, kindInvalidRecipient, actFailover, sayOther, "the channel knows no such recipient"},
	{63007, kindSender, actFailover | actPage, sayFault, "the channel has no such sender"},
	{63012, kindTemporary, actFailover, sayWait, "the channel's provider has an internal error"},
	{63015, kindAccount, actPage, sayFault, "the recipient has not joined the channel's sandbox"},
	{63016, kindSender, actFailover | actPage, sayFault, "outside the channel's 24 h window only templates may be sent"},
	{63018, kindThrottled, actFailover, sayWait, "the channel's rate is used up"},
	{63020, kindSender, actFailover | actPage, sayFault, "the business account at Meta is in order no more"},
	{63024, kindInvalidRecipient, actFailover, sayOther, "the recipient is not on the channel"},
	{63032, kindOptedOut, actFailover, sayOther, "WhatsApp does not deliver to this person"},
	{63033, kindOptedOut, actFailover, sayOther, "the person has blocked us on the channel"},
	{63038, kindThrottled, actFailover, sayWait, "the account's daily limit is used up"},
	{63041, kindSender, actFailover | actPage, sayFault, "the channel has paused the template"},
	{63042, kindSender, actFailover | actPage, sayFault, "the channel has disabled the template"},

	{90007, kindSender, actPage, sayFault, "the validity period is out of range"},
	{90010, kindAccount, actFailover | actPage, sayFault, "the account is not active"},
	{572005, kindAccount, actPage, sayFault, "a trial account sends to verified numbers only, and this is none"},
}

// aboutDelivery reports whether a code is of the families that tell why a text
// was not delivered, 3xxxx, or not over a channel, 63xxx.
func aboutDelivery(code int) bool { return code/10_000 == 3 || code/1_000 == 63 }

// lookup finds the row of a code. ok is false for a code that is not in the
// table, 0 included.
func lookup(code int) (r row, ok bool) {
	i, ok := slices.BinarySearchFunc(codes[:], code, func(r row, code int) int { return r.code - code })
	if !ok {
		return row{}, false
	}
	return codes[i], true
}
