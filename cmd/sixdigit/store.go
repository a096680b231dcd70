package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
)

// storeFlag is the address that a flag gives, or the environment where it gives
// none. Everybody on this machine can read a command line: a password on it is
// refused.
func storeFlag(name, value string) (secret.String, error) {
	if app.HoldsPassword(value) {
		return secret.String{}, &exitError{exitUsage, fmt.Errorf("--%s: a password does not belong on a command line; give the whole URL in %s, or the password alone in PGPASSWORD or in the password file (~/.pgpass, PGPASSFILE)", name, app.StoreEnv)}
	}
	if value == "" {
		value = os.Getenv(app.StoreEnv)
	}
	return secret.New(value), nil
}

type migrateCmd struct {
	configFlags
}

func (migrateCmd) Help() string {
	return `A service does so by itself when it starts. This is for those who want it done
before, or by another user of the database, who may make tables.

Examples:
  sixdigit migrate --data sixdigit-data
  sixdigit migrate --store postgres://owner@db.example.com/sixdigit`
}

func (c migrateCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	m, err := app.Migrate(ctx, config)
	switch {
	case err != nil:
		return err
	case m.Before == m.After:
		_, err = fmt.Fprintf(s.out, "%s: the tables are at version %d; nothing to do\n", m.Store, m.After)
	case m.Before == 0:
		_, err = fmt.Fprintf(s.out, "%s: the tables were made; they are at version %d\n", m.Store, m.After)
	default:
		_, err = fmt.Fprintf(s.out, "%s: the tables went from version %d to %d\n", m.Store, m.Before, m.After)
	}
	return err
}

type copyCmd struct {
	From string `placeholder:"DIR|URL" help:"A data folder, or a PostgreSQL database; SIXDIGIT_STORE where it is left out."`
	To   string `placeholder:"DIR|URL" help:"The same, for the empty one."`
}

func (copyCmd) Help() string {
	return `Verifications with their texts, limits, idempotency keys and API keys go along, all
of them or none: a code that is pending can be checked on the copy. Stop the service
first. The server key is not in a store: the service on the copy needs the same one.

Examples:
  sixdigit copy --from sixdigit-data --to postgres://sixdigit@db.example.com/sixdigit
  sixdigit copy --from postgres://sixdigit@db.example.com/sixdigit --to sixdigit-data`
}

func (c copyCmd) Run(ctx context.Context, s streams) error {
	if c.From == "" && c.To == "" {
		return &exitError{exitUsage, errors.New("copy: name --from and --to; one of them may stand in " + app.StoreEnv)}
	}
	from, err := storeFlag("from", c.From)
	if err != nil {
		return err
	}
	to, err := storeFlag("to", c.To)
	if err != nil {
		return err
	}
	copied, err := app.Copy(ctx, from, to)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "copied from %s to %s\n", copied.From, copied.To)
	for table, n := range copied.Rows.Tables() {
		if err == nil {
			_, err = fmt.Fprintf(s.out, "%12d %s\n", n, table)
		}
	}
	if err != nil {
		return err
	}
	switch {
	case !copied.Shared:
		_, err = fmt.Fprintf(s.err, "Before the service starts, put the server key into %s, or set %s: with another one the codes that are pending are lost.\n", copied.KeyFile, app.KeyEnv)
	case copied.KeyFile != "":
		_, err = fmt.Fprintf(s.err, "Give every replica the server key, which is in %s unless %s has it: with another one the codes that are pending are lost.\n", copied.KeyFile, app.KeyEnv)
	}
	return err
}
