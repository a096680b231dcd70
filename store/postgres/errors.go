package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sixdigit/sixdigit/verify"
)

// unavailable wraps an error of the database, so that verify.ErrUnavailable is
// found in it. It tells what Explain does: servers and causes, no user and no
// value.
func unavailable(step string, err error) error {
	if errors.Is(err, verify.ErrUnavailable) {
		return err
	}
	return &unavailableError{step, err}
}

type unavailableError struct {
	step string
	err  error
}

// Error describes the failure.
func (e *unavailableError) Error() string {
	return fmt.Sprintf("postgres: %s: %v: %s", e.step, verify.ErrUnavailable, Explain(e.err))
}

// Unwrap returns verify.ErrUnavailable and the cause.
func (e *unavailableError) Unwrap() []error { return []error{verify.ErrUnavailable, e.err} }

// Codes of PostgreSQL (its documentation, appendix A).
const (
	codeMismatch      = "22012" // see unless
	codeUnique        = "23505"
	codeReadOnly      = "25006"
	codeNoStatement   = "26000" // a pooler has handed us another connection
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codePrivilege     = "42501"
	codeNoTable       = "42P01"
	codeTableExists   = "42P07"
	codeLockWait      = "55P03"
	codePlanChanged   = "0A000" // the tables were changed by a newer version
	codeInternal      = "XX000" // also: a partition went while a statement was about to look into it
)

// code returns the code of an error of PostgreSQL, "" when it is not one.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// refused reports whether the server refused a statement, and with it the
// transaction. After any other error, also a fatal one, nobody knows what the
// server has done.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.SeverityUnlocalized == "ERROR" || e.SeverityUnlocalized == "" && e.Severity == "ERROR")
}

// again reports whether a transaction that failed is worth another run, on the
// same connection or a new one.
func again(err error) bool {
	switch code(err) {
	case codeMismatch, codeNoTable, codePrivilege, codeUnique, codeSerialization, codeDeadlock, codeLockWait, codeNoStatement, codePlanChanged, codeInternal, codeReadOnly:
		return true
	}
	return !refused(err)
}

// timedOut reports whether a server was waited for in vain, also by one that was
// to connect to it.
func timedOut(err error) bool {
	return pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)
}
