package phone

import "github.com/nyaruka/phonenumbers"

// LineType is the kind of line that a range of numbers is assigned to. It is
// what the number plan says, not what a carrier knows: a ported number may be
// of another kind.
type LineType string

// The line types. Where a plan does not tell mobile from fixed (as in North
// America) the type is TypeFixedOrMobile.
const (
	TypeUnknown       LineType = "unknown"
	TypeMobile        LineType = "mobile"
	TypeFixed         LineType = "fixed"
	TypeFixedOrMobile LineType = "fixed_or_mobile"
	TypeTollFree      LineType = "toll_free"
	TypePremium       LineType = "premium"
	TypeSharedCost    LineType = "shared_cost"
	TypeVoIP          LineType = "voip"
	TypePersonal      LineType = "personal"
	TypePager         LineType = "pager"
	TypeUAN           LineType = "uan"
	TypeVoicemail     LineType = "voicemail"
)

func lineType(t phonenumbers.PhoneNumberType) LineType {
	switch t {
	case phonenumbers.MOBILE:
		return TypeMobile
	case phonenumbers.FIXED_LINE:
		return TypeFixed
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return TypeFixedOrMobile
	case phonenumbers.TOLL_FREE:
		return TypeTollFree
	case phonenumbers.PREMIUM_RATE:
		return TypePremium
	case phonenumbers.SHARED_COST:
		return TypeSharedCost
	case phonenumbers.VOIP:
		return TypeVoIP
	case phonenumbers.PERSONAL_NUMBER:
		return TypePersonal
	case phonenumbers.PAGER:
		return TypePager
	case phonenumbers.UAN:
		return TypeUAN
	case phonenumbers.VOICEMAIL:
		return TypeVoicemail
	default:
		return TypeUnknown
	}
}
