package twiliosim

import (
	"fmt"
	"net/http"
	"strconv"
)

// apiError is Twilio's error body.
type apiError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

type codeText struct {
	status int
	text   string // a format; its verbs take the offending values
}

// codeTexts are the errors the simulator gives by its own judgement. The words
// follow Twilio's; clients should act on the code alone, as Twilio advises.
// Nothing writes to this table.
var codeTexts = map[int]codeText{
	20001: {400, "Missing required parameter %s in the post body"},
	20003: {401, "Authenticate"},
	20004: {405, "Method not allowed"},
	20008: {403, "Resource not accessible with Test Account Credentials"},
	20404: {404, "The requested resource %s was not found"},
	20422: {400, "Invalid Parameter: %s"},
	20429: {429, "Too Many Requests"},
	20500: {500, "An internal server error has occurred"},
	20503: {503, "Service is temporarily unavailable"},
	21211: {400, "Invalid 'To' Phone Number: %s"},
	21212: {400, "Invalid From Number (caller ID): %s"},
	21265: {400, "'To' number cannot be a Short Code: %s"},
	21266: {400, "'To' and 'From' number cannot be the same: %s"},
	21267: {400, "Alphanumeric Sender ID cannot be used as the 'From' number on trial accounts: %s"},
	21404: {400, "Trial accounts are allowed only one Twilio number. To purchase additional numbers, please upgrade."},
	21408: {400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: %s"},
	21421: {400, "PhoneNumber is invalid: %s"},
	21422: {400, "PhoneNumber is not available: %s"},
	21451: {400, "AreaCode is invalid: %s"},
	21452: {400, "No phone numbers found in area code %s"},
	21602: {400, "Message body is required."},
	21603: {400, "A 'From' phone number is required."},
	21604: {400, "A 'To' phone number is required."},
	21606: {400, "The From phone number %s is not a valid, SMS-capable inbound phone number or short code for your account."},
	21608: {400, "The number %s is unverified. Trial accounts cannot send messages to unverified numbers; verify it in the console, or purchase a Twilio number to send messages to unverified numbers"},
	21609: {400, "The 'StatusCallback' URL %s is not a valid URL."},
	21610: {400, "Attempt to send to unsubscribed recipient"},
	21611: {400, "This 'From' number %s has exceeded the maximum number of queued messages"},
	21612: {400, "The 'To' phone number: %s, is not currently reachable using the 'From' phone number: %s via SMS."},
	21614: {400, "To number: %s, is not a mobile number"},
	21617: {400, "The concatenated message body exceeds the 1600 character limit"},
	21620: {400, "Invalid media URL(s)"},
	21623: {400, "Number of media files exceeds allowed limit"},
	21624: {400, "The ValidityPeriod %s is invalid; it must be an integer from 1 to 36000 seconds"},
	21631: {400, "Phone Number Requires an Address but the 'AddressSid' parameter was empty."},
	21654: {400, "ContentSid Required"},
	21655: {400, "The ContentSid is Invalid"},
	21656: {400, "The ContentVariables Parameter is invalid"},
	21659: {400, "'From' %s is not a Twilio phone number or Short Code country mismatch"},
	21701: {400, "The Messaging Service does not exist"},
	21703: {400, "The Messaging Service does not have a phone number available to send a message"},
	21704: {400, "The Messaging Service contains no phone numbers."},
	21705: {400, "The Messaging Service Sid %s is invalid"},
	21710: {409, "Phone Number or Short Code is already in the Messaging Service."},
	21711: {400, "Phone Number or Short Code is not associated with the Messaging Service."},
	21712: {409, "Phone Number or Short Code is associated with another Messaging Service."},
	21713: {400, "The Messaging Service use case %s is invalid"},
	21714: {400, "Number pool size limit reached"},
	21715: {400, "The Phone Number does not have the required capabilities for the Messaging Service"},
	21910: {400, "Invalid From and To pair. From and To should be of the same channel"},
	30409: {400, "This message cannot be canceled"},
	35114: {400, "Scheduling does not support this timestamp"},
	63007: {400, "Twilio could not find a Channel with the specified From address"},
}

// deliveryTexts are the words of error_message for codes of the later life of
// a message. Nothing writes to this table.
var deliveryTexts = map[int]string{
	21703: "The Messaging Service does not have a phone number available to send a message",
	21704: "The Messaging Service contains no phone numbers",
	30001: "Queue overflow",
	30002: "Account suspended",
	30003: "Unreachable destination handset",
	30004: "Message blocked",
	30005: "Unknown destination handset",
	30006: "Landline or unreachable carrier",
	30007: "Message filtered",
	30008: "Unknown error",
	30010: "Message price exceeds max price",
	30032: "Toll-free number has not been verified",
	30034: "Message from an unregistered number",
	30036: "Validity period expired",
	30450: "Message delivery blocked",
}

// refuse builds the error of a code in the table.
func refuse(code int, values ...any) *apiError {
	t, ok := codeTexts[code]
	if !ok {
		t = codeText{http.StatusBadRequest, "Request failed"}
	}
	text := t.text
	if len(values) > 0 {
		text = fmt.Sprintf(text, values...)
	}
	return newAPIError(t.status, code, text)
}

func newAPIError(status, code int, text string) *apiError {
	return &apiError{
		Code: code, Status: status, Message: text,
		MoreInfo: "https://www.twilio.com/docs/errors/" + strconv.Itoa(code),
	}
}
