// Package access says who calls: apps, their API keys, and what a key may do.
//
//	sd_<id>_<secret>     id 13, secret 52 letters and digits: 64 and 256 random bits
//
// A key is shown once, by [Create]. What is kept is its id and the SHA-256 of its
// secret. A slow hash would add nothing: it protects secrets that can be
// guessed, and nobody guesses 256 bits. The fixed form lets scanners of source
// code find a key that was committed by mistake.
//
// [Authenticator] reads an Authorization header:
//
//	form ─> key by id (remembered for seconds) ─> hash, in constant time ─> revoked? expired? ─> [Caller]
//
// A key works from the moment it is stored, by whatever process, and stops
// within seconds of being revoked. Ids are no secrets; an id that exists may be
// told from one that does not by the clock, and that is worth nothing.
package access
