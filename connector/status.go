package connector

// Status is how far a text has come. Providers' finer words map onto these.
type Status string

// The statuses, in the order in which a text passes through them. The last
// four are final.
const (
	StatusSending     Status = "sending"     // we are posting it
	StatusUnknown     Status = "unknown"     // posted; the answer was lost
	StatusAccepted    Status = "accepted"    // the provider has it
	StatusSent        Status = "sent"        // the carrier has it
	StatusDelivered   Status = "delivered"   // the carrier says the phone has it
	StatusUndelivered Status = "undelivered" // the carrier could not deliver it
	StatusFailed      Status = "failed"      // the provider could not hand it on
	StatusRejected    Status = "rejected"    // the provider never took it
)

// Final reports whether nothing more is to be expected. Many carriers send no
// delivery receipts: their texts end at StatusSent, which is not final.
func (s Status) Final() bool {
	switch s {
	case StatusDelivered, StatusUndelivered, StatusFailed, StatusRejected:
		return true
	default:
		return false
	}
}
