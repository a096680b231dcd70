package sms

// UsageType says what a text is for. It is case-sensitive, as the connector
// JSON has it.
type UsageType string

// The usage types of the connector JSON. A usage that has no template of its
// own falls back to UsageGeneric; UsageTest is the operator's trial send.
const (
	UsageRegister                 UsageType = "Register"
	UsageSignIn                   UsageType = "SignIn"
	UsageTest                     UsageType = "Test"
	UsageForgotPassword           UsageType = "ForgotPassword"
	UsageGeneric                  UsageType = "Generic"
	UsageOrganizationInvitation   UsageType = "OrganizationInvitation"
	UsageUserPermissionValidation UsageType = "UserPermissionValidation"
	UsageBindNewIdentifier        UsageType = "BindNewIdentifier"
	UsageMfaVerification          UsageType = "MfaVerification"
	UsageBindMfa                  UsageType = "BindMfa"
)

// UsageTypes returns every known usage type, in the order in which help texts
// list them. The slice is the caller's own.
func UsageTypes() []UsageType {
	return []UsageType{
		UsageRegister, UsageSignIn, UsageTest, UsageForgotPassword, UsageGeneric,
		UsageOrganizationInvitation, UsageUserPermissionValidation,
		UsageBindNewIdentifier, UsageMfaVerification, UsageBindMfa,
	}
}

// Known reports whether u is one of UsageTypes.
func (u UsageType) Known() bool {
	switch u {
	case UsageRegister, UsageSignIn, UsageTest, UsageForgotPassword, UsageGeneric,
		UsageOrganizationInvitation, UsageUserPermissionValidation,
		UsageBindNewIdentifier, UsageMfaVerification, UsageBindMfa:
		return true
	}
	return false
}
