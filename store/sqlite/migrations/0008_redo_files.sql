-- +goose Up

-- The redo log is in two files beside the database: redone is the generation up to
-- which its rows are in the tables, and the database that the files must name.
CREATE TABLE redone (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    database   BLOB    NOT NULL
) STRICT;
INSERT INTO redone (one, generation, database) VALUES (1, 0, randomblob(16));

-- What stood in the log when it was a table, and, from now on, rows that their
-- tables refuse, as damaged ones do. A program of the version before does not know
-- the name, and can write no more.
ALTER TABLE redo RENAME TO refused;
