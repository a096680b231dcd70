// Package webhook delivers events to apps, signed as Standard Webhooks says
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
//
// Events are rows of the store's outbox, written in the transaction of what they
// tell. For each app with an endpoint a [Deliverer] claims what is due, a few at a
// time, and posts it:
//
//	2xx             delivered: the row is deleted, and the next of its key is due
//	410             given up at once
//	anything else   again after 5 s, 5 min, … (schedule.go); after ten tries, or
//	                four days, given up, which the log tells
//
// A claim has a lease: a process that dies leaves the event to the next. So an
// event arrives at least once, and those of one verification in their order.
//
// Apps do not wait for each other. An endpoint that fails again and again is left
// alone for up to a minute at a time, but for one event that asks whether it is
// back.
//
// The URLs are apps' own, the network is the operator's: guard.go keeps a request
// from reaching it, by the address that is dialled and not by the name.
package webhook
