-- +goose Up

-- Records are JSON in data. What is in a column of its own is what SQL must see,
-- and the number, so that whoever looks for personal data finds it in one place.
-- Times are microseconds since 1970, UTC; zero is none. version is another one
-- whenever the row is written, and never one that it has had: a store decides on
-- rows that it remembers, and finds out by it whether they are still so. Whoever
-- changes a row by hand changes its version too.

-- day is the UTC day that the id begins with, counted from 1970; -1 where the id
-- tells none. Each day has a partition of its own, which is made a week ahead and
-- dropped when all in it is over. A day without one lands in verifications_rest.
-- subject lets one statement find the subjects of verifications; due is when one
-- of the texts is owed something.
CREATE TABLE verifications (
    day     integer          NOT NULL,
    id      text COLLATE "C" NOT NULL,
    subject bytea            NOT NULL,
    number  text             NOT NULL,
    ended   bigint           NOT NULL,
    due     bigint           NOT NULL,
    version bigint           NOT NULL,
    data    bytea            NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);

CREATE INDEX verifications_due ON verifications (due) WHERE due > 0;

CREATE TABLE verifications_rest PARTITION OF verifications DEFAULT;

CREATE INDEX verifications_rest_ended ON verifications_rest (ended);

-- From quiet on nothing of the subject is under way; failed is when its last
-- check failed. Rows that are written again and again leave room in their page:
-- then no index needs to know.
CREATE TABLE subjects (
    key     bytea  NOT NULL PRIMARY KEY,
    quiet   bigint NOT NULL,
    failed  bigint NOT NULL,
    version bigint NOT NULL,
    data    bytea  NOT NULL
) WITH (fillfactor = 70);

-- place is half of an HMAC of what the limits count; expires is when the last of
-- the counters no longer matters.
CREATE TABLE counters (
    place   bigint NOT NULL PRIMARY KEY,
    expires bigint NOT NULL,
    version bigint NOT NULL,
    data    bytea  NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE idems (
    key     bytea  NOT NULL PRIMARY KEY,
    expires bigint NOT NULL,
    version bigint NOT NULL,
    data    bytea  NOT NULL
) WITH (fillfactor = 70);

-- One row for each connection that writes: the number of its last batch. Whoever
-- got no answer to a COMMIT asks here what became of it.
CREATE TABLE writers (
    key   bytea  NOT NULL PRIMARY KEY,
    batch bigint NOT NULL,
    used  bigint NOT NULL,
    asked bigint NOT NULL
) WITH (fillfactor = 20);

-- hash is the SHA-256 of the key's secret; scopes are words with a space
-- between; used is a count of days since 1970.
CREATE TABLE api_keys (
    id      text   NOT NULL PRIMARY KEY,
    hash    bytea  NOT NULL,
    name    text   NOT NULL,
    app     text   NOT NULL,
    scopes  text   NOT NULL,
    created bigint NOT NULL,
    used    bigint NOT NULL,
    revoked bigint NOT NULL,
    expires bigint NOT NULL
);

-- One row. A program whose own tables are older than this must not run here. A
-- migration that programs of the version before can live with leaves it as it is.
CREATE TABLE compatible (
    one    boolean NOT NULL PRIMARY KEY CHECK (one),
    oldest bigint  NOT NULL
);

INSERT INTO compatible (one, oldest) VALUES (true, 1);
