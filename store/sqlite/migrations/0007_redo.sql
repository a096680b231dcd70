-- +goose Up

-- What a transaction changed, as one value, until its rows stand in their tables:
-- a page or two instead of one for each row. Who opens the database brings them
-- there. seq is never used again.
CREATE TABLE redo (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    rows BLOB    NOT NULL
) STRICT;
