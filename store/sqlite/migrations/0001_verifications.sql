-- +goose Up

-- Records are JSON in data. What is in a column of its own is what SQL must see,
-- and the number, so that whoever looks for personal data finds it in one place.
-- Times are microseconds since 1970, UTC; zero is none.

-- seq follows the order of creation. So new rows share pages, which a transaction
-- writes whole, and the oldest are found without an index on time.
CREATE TABLE verifications (
    seq     INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    number  TEXT    NOT NULL,
    created INTEGER NOT NULL,
    ended   INTEGER NOT NULL,
    data    BLOB    NOT NULL
) STRICT;

-- From quiet on nothing of the subject is under way; failed is when its last
-- check failed.
CREATE TABLE subjects (
    key    BLOB    NOT NULL PRIMARY KEY,
    quiet  INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    data   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE limits (
    key     BLOB    NOT NULL PRIMARY KEY,
    value   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idems (
    key     BLOB    NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL,
    data    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, written to learn whether the disk can still be written.
CREATE TABLE heartbeat (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;
