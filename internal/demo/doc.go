// Package demo shows a newcomer what the connector does: one text for each
// usage type, from the template to the phone.
//
//	template ── code put in ──> Sender ──> provider ──> phone
//	                                          │
//	       transcript <── StatusParser <── callback, signed
//
// It knows the connector by its interfaces and the provider by a URL; the
// program above it puts a simulator behind both.
package demo
