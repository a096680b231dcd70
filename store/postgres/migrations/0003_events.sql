-- +goose Up

-- What apps are to be told by their webhooks: a row is written in the transaction
-- of what it tells, and deleted when it was delivered or given up. seq rises with
-- the commits of one key, which come one after the other. due is when it is to be
-- sent, or sent again; zero while an older one of its key is there. tries counts
-- the claims, epoch tells one claim from the next. Rows come and go: the table is
-- cleaned early, or the index of what is due would be full of what was.
CREATE TABLE events (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      text   NOT NULL,
    app     text   NOT NULL,
    type    text   NOT NULL,
    key     text   NOT NULL,
    created bigint NOT NULL,
    due     bigint NOT NULL,
    tries   bigint NOT NULL,
    epoch   bigint NOT NULL,
    payload bytea  NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX events_due ON events (app, due) WHERE due > 0;

CREATE INDEX events_key ON events (key, seq);
