package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"github.com/sixdigit/sixdigit/secret"
)

// What an operator asks of a database: where it is, at which version, and what
// is wrong with it.

// Where names the servers and the database of a URL, and nothing else of it, as
// postgres://db1:5432,db2:5432/sixdigit. What the URL leaves out comes from the
// environment, as pgx reads it.
func Where(url secret.String) (string, error) {
	c, err := configure(url.Reveal())
	if err != nil {
		return "", err
	}
	hosts := []string{place(c.ConnConfig.Host, c.ConnConfig.Port)}
	for _, f := range c.ConnConfig.Fallbacks { // a host has one with TLS and one without
		if p := place(f.Host, f.Port); !slices.Contains(hosts, p) {
			hosts = append(hosts, p)
		}
	}
	return "postgres://" + strings.Join(hosts, ",") + "/" + c.ConnConfig.Database, nil
}

func place(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// HoldsPassword reports whether a password stands in the URL. It rather finds one
// too many: of a URL that pgx does not understand, too.
func HoldsPassword(address string) bool {
	text := address
	if plain, err := url.QueryUnescape(address); err == nil {
		text = plain
	}
	for _, s := range []string{address, text} {
		if strings.Contains(strings.ReplaceAll(strings.ToLower(s), " ", ""), "password=") {
			return true
		}
	}
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return false
	}
	user := rest[:strings.LastIndexByte(rest, '@')+1]
	return strings.Contains(user, ":")
}

// Migrate brings the tables up to date, as Open does, and returns their version
// before and after. Zero is before the first.
func Migrate(ctx context.Context, url secret.String) (before, after int64, err error) {
	config, err := configure(url.Reveal())
	if err != nil {
		return 0, 0, err
	}
	if before, err = version(ctx, config.ConnConfig); err != nil {
		return 0, 0, err
	}
	if err = migrate(ctx, config.ConnConfig); err != nil {
		return before, before, err
	}
	after, err = version(ctx, config.ConnConfig)
	return before, after, err
}

func version(ctx context.Context, config *pgx.ConnConfig) (v int64, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, unavailable("connect", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+goose.DefaultTablename).Scan(&v)
	switch {
	case code(err) == codeNoTable:
		return 0, nil
	case err != nil:
		return 0, unavailable("read the version of the tables", err)
	}
	return v, nil
}

// troubles are what an operator can do something about, by the code of
// PostgreSQL; the first two characters stand for a class.
var troubles = map[string]string{
	"28":    "it refuses our user, password or certificate (SIXDIGIT_STORE, PGPASSWORD or the password file, and the server's pg_hba.conf)",
	"3D000": "there is no such database; create it",
	"42501": "our user may not do that; its tables must be ours, or granted to us",
	"53100": "its disk is full",
	"53300": "it has no connection left for us: raise its max_connections, or run fewer replicas",
	"57P01": "it is shutting down",
	"57P02": "it has crashed and starts again",
	"57P03": "it is starting up or shutting down",
	"25006": "it takes no writes: a standby, or a server that is being replaced",
	"57014": "it took too long",
	"55P03": "rows are locked for too long by another connection",
	"42P01": "the tables are missing; run sixdigit migrate",
	"42703": "the tables are of another version; run sixdigit migrate",
}

// Explain says for an operator what is wrong with the database: which servers
// said what. It names servers, and no user, password, value or number. Of an
// error that is not the database's it is the text.
func Explain(err error) string {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &connect):
		return "cannot connect: " + explainConnect(connect)
	case errors.As(err, &pg):
		return explainPg(pg)
	case timedOut(err):
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return "the connection was lost: " + op.Err.Error()
	}
	return err.Error()
}

func explainPg(e *pgconn.PgError) string {
	for _, key := range []string{e.Code, e.Code[:min(2, len(e.Code))]} {
		if text, ok := troubles[key]; ok {
			return text + " (SQLSTATE " + e.Code + ")"
		}
	}
	return e.Message + " (SQLSTATE " + e.Code + ")"
}

// explainConnect has one reason for each server that was tried.
func explainConnect(e *pgconn.ConnectError) string {
	var reasons []string
	for _, err := range tries(e.Unwrap()) {
		reason := reasonOf(err)
		// "10.0.0.7:5432 (db1): dial error: …"
		if at, _, ok := strings.Cut(err.Error(), ": "); ok && strings.HasSuffix(at, ")") {
			reason = at + ": " + reason
		}
		if !slices.Contains(reasons, reason) { // a server is tried with TLS and without
			reasons = append(reasons, reason)
		}
	}
	return strings.Join(reasons, "; ")
}

func tries(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if all, ok := e.(interface{ Unwrap() []error }); ok {
			return all.Unwrap()
		}
	}
	return []error{err}
}

func reasonOf(err error) string {
	var (
		pg  *pgconn.PgError
		dns *net.DNSError
		op  *net.OpError
	)
	switch {
	case errors.As(err, &pg):
		return explainPg(pg)
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is not known"
	case timedOut(err):
		return "no answer in time"
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return troubles["25006"]
	case errors.As(err, &op):
		return op.Err.Error()
	}
	// What is left is about TLS, or about an answer that is not PostgreSQL's.
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
