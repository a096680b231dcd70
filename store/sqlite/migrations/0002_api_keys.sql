-- +goose Up

-- hash is the SHA-256 of the key's secret; scopes are words with a space
-- between; used is a count of days since 1970.
CREATE TABLE api_keys (
    id      TEXT    NOT NULL PRIMARY KEY,
    hash    BLOB    NOT NULL,
    name    TEXT    NOT NULL,
    app     TEXT    NOT NULL,
    scopes  TEXT    NOT NULL,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
