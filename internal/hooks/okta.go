package hooks

import "github.com/sixdigit/sixdigit/sms"

// Okta's telephony inline hook waits three seconds. It may be set up to send what
// has FAILED by other means: so what may be on its way is PENDING, never a failure
// (https://developer.okta.com/docs/reference/telephony-hook/).

func oktaUsages() map[string]sms.UsageType {
	return map[string]sms.UsageType{
		"com.okta.user.telephony.pre-enrollment": sms.UsageBindMfa, "com.okta.user.telephony.mfa-verification": sms.UsageMfaVerification,
		"com.okta.user.telephony.account-unlock": sms.UsageUserPermissionValidation, "com.okta.user.telephony.password-reset": sms.UsageForgotPassword,
	}
}

// readOkta reads an order of Okta.
func readOkta(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		RequestType string `json:"requestType"`
		Data        struct {
			Context struct {
				Request struct {
					IPAddress string `json:"ipAddress"`
				} `json:"request"`
			} `json:"context"`
			MessageProfile struct {
				PhoneNumber     string `json:"phoneNumber"`
				OTPCode         string `json:"otpCode"`
				DeliveryChannel string `json:"deliveryChannel"`
				Locale          string `json:"locale"`
			} `json:"messageProfile"`
		} `json:"data"`
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	m := &in.Data.MessageProfile
	return order{
		to: m.PhoneNumber, code: m.OTPCode, usage: in.RequestType, locale: m.Locale, channel: m.DeliveryChannel, clientIP: in.Data.Context.Request.IPAddress,
	}, nil
}

type oktaCommands struct {
	Commands []oktaCommand `json:"commands"`
}

type oktaCommand struct {
	Type  string       `json:"type"`
	Value []oktaStatus `json:"value"`
}

type oktaStatus struct {
	Status        string `json:"status"`
	Provider      string `json:"provider"`
	TransactionID string `json:"transactionId,omitempty"`
}

func replyOkta(o outcome) reply {
	s := oktaStatus{"FAILED", "sixdigit", o.id}
	switch o.result {
	case ResultSent, ResultDuplicate:
		s.Status = "SUCCESSFUL"
	case ResultPending:
		s.Status = "PENDING"
	default:
		if !o.result.final() {
			return reply{status: o.result.status(), body: o.words(), header: o.retryAfter()}
		}
	}
	return reply{status: 200, body: oktaCommands{[]oktaCommand{{"com.okta.telephony.action", []oktaStatus{s}}}}}
}
