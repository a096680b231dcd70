package connector

import (
	"context"
	"errors"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// Sender sends texts. Its methods may be called by many goroutines at once.
type Sender interface {
	// Send hands m to the provider once; it never repeats a request that the
	// provider may have processed. It returns when the provider has answered
	// or ctx is done, whichever is first. Every error is an *Error; a Receipt
	// beside one has at most the id of a text that the provider made and refused.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// StatusParser reads a provider's status callbacks.
type StatusParser interface {
	// ParseStatus checks that in comes from the provider, and only then reads
	// it. Its errors are ErrSignature, ErrMalformed or ErrUnknownStatus,
	// perhaps wrapped; they never hold what in holds.
	ParseStatus(in Inbound) (StatusUpdate, error)
}

// Finder asks the provider what it knows of texts already sent.
type Finder interface {
	// Find returns the texts to m.To with m's body that the provider took at
	// or after since, newest first. It allows for what the provider does to a
	// body on its way. Every error is an *Error.
	Find(ctx context.Context, m Message, since time.Time) ([]Found, error)
	// Fetch returns the text with the provider's id. Every error is an *Error.
	Fetch(ctx context.Context, providerID string) (Found, error)
}

// FeedbackSender tells the provider whether a text did its work.
type FeedbackSender interface {
	// Feedback reports that the code of the text with this id was used
	// (confirmed) or not. Every error is an *Error.
	Feedback(ctx context.Context, providerID string, confirmed bool) error
}

// ReplyParser reads the texts that people send back.
type ReplyParser interface {
	// ParseReply checks that in comes from the provider, and only then reads
	// it. Its errors are ErrSignature or ErrMalformed, perhaps wrapped; they
	// never hold what in holds.
	ParseReply(in Inbound) (Reply, error)
}

// Message is one text to one person.
type Message struct {
	To   phone.Number
	Body secret.String // 1 to 1,600 characters

	// CallbackURL is where the provider reports the text's progress; "" asks
	// for no reports.
	CallbackURL string
	// Validity is how long the provider may try before it gives up; 0 leaves
	// it to the connector's config. A code's text should not outlive the code;
	// one whose time is over, a negative Validity, is not sent.
	Validity time.Duration
	// WantFeedback announces that Feedback will be called for this text.
	WantFeedback bool
}

// Receipt says that the provider took a text.
type Receipt struct {
	ProviderID string // the provider's id of the text
	Status     Status // StatusAccepted as a rule; what the provider knows by then
}

// Found is a text as the provider has it.
type Found struct {
	ProviderID string
	Status     Status
	Created    time.Time // when the provider took it, to the second
	Err        *Error    // why it was not delivered, or nil
}

// Inbound is a request from a provider, as plain data.
type Inbound struct {
	// PublicURL is the URL that the provider was given, with scheme, host, path
	// and query. It comes from configuration, never from the request.
	PublicURL string
	// Header has its names in canonical form, as http.Header has; it is plain data
	// so that who only hands it on needs no net/http.
	Header map[string][]string
	Body   []byte
}

// StatusUpdate is what a status callback says.
type StatusUpdate struct {
	ProviderID string
	Status     Status
	Err        *Error // why it was not delivered, or nil
}

// Reply is a text that a person sent to one of our numbers.
type Reply struct {
	From    phone.Number
	Consent Consent
}

// Consent is what a reply says about getting more texts.
type Consent string

// The consents.
const (
	ConsentNone  Consent = ""      // the reply says nothing about it
	ConsentStop  Consent = "stop"  // no more texts, please
	ConsentStart Consent = "start" // texts are welcome again
)

// Errors of ParseStatus and ParseReply.
var (
	ErrSignature     = errors.New("connector: the callback's signature is missing or wrong")
	ErrMalformed     = errors.New("connector: the callback is not what the provider sends")
	ErrUnknownStatus = errors.New("connector: the callback's status is not one we know")
)
