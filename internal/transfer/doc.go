// Package transfer is what two stores agree on when one hands its rows to the
// other, as `sixdigit copy` has them do.
//
//	Source ── Rows, some hundred at a time ──> the other store's Import
//
// Rows are as they are kept: nothing is decoded, so that a record which a store
// can no longer read travels too, and nothing of any record is lost. What a
// store keeps in columns of its own it takes from the record again
// (CreatedIn, SubjectIn).
package transfer
