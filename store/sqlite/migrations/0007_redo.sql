-- +goose Up

-- What a transaction changed, as one value, until its rows stand in their tables:
-- a page or two instead of one for each row. Who opens the database brings them
-- there. seq is never used again.
CREATE TABLE redo (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    rows BLOB    NOT NULL
) STRICT;

-- A program of the version before, which knows nothing of the log, would write over
-- what stands in it. It must not write at all: these names it does not know.
ALTER TABLE verifications RENAME COLUMN ended TO ended_at;
ALTER TABLE subjects RENAME COLUMN quiet TO quiet_from;
ALTER TABLE counters RENAME COLUMN expires TO expires_at;
ALTER TABLE idems RENAME COLUMN expires TO expires_at;
