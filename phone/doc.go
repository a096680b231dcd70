// Package phone holds phone numbers in E.164 form.
//
//	input                 Parse            ParseDigits
//	+1 (415) 555-2671     +14155552671     +14155552671
//	14155552671           ErrNoPlus        +14155552671
//	+1 415                ErrTooShort      ErrTooShort
//
// A number is accepted when its country calling code exists and its length is
// possible there. Whether its range is assigned is told by [Number.Assigned]
// and decides nothing here: number plans grow faster than any library's copy
// of them, and a person whose range was opened last month has a right number.
//
// A [Number] prints, logs and marshals masked. [Number.E164] is the one way
// out.
package phone
