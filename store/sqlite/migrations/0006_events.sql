-- +goose Up

-- What apps are to be told by their webhooks: a row is written in the transaction
-- of what it tells, and deleted when it was delivered or given up. seq is never
-- used again, so that it rises with the order of commits. due is when it is to be
-- sent, or sent again; zero while an older one of its key is there. tries counts
-- the claims, epoch tells one claim from the next.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL,
    app     TEXT    NOT NULL,
    type    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    created INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    payload BLOB    NOT NULL
) STRICT;

CREATE INDEX events_due ON events (app, due) WHERE due > 0;

CREATE INDEX events_key ON events (key);
