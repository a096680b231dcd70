// Package memory keeps verifications in memory: for tests, and for trying the
// service out. Whatever ends the process ends its records.
//
//	Do ──> lock ──> verify.Batch of one operation on maps ──> unlock
//
// It behaves as the other stores do, as the suite in store/storetest shows, and
// is the shortest thing that does.
package memory
