// Package secret holds values that must not be shown: tokens, keys, message
// bodies.
//
// A [String] prints as "[redacted]" with every verb of fmt, in JSON, in text
// and in log/slog, also from inside another struct's unexported fields, where
// fmt cannot call methods. Reveal is the one way out, so a search for Reveal
// finds every place where a secret leaves its wrapper.
//
// The zero String holds the empty string.
package secret
