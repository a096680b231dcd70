-- +goose Up

-- What clients of Twilio Verify's API call services: a few for each app. Records
-- are JSON in data.
CREATE TABLE services (
    sid     TEXT    NOT NULL PRIMARY KEY,
    app     TEXT    NOT NULL,
    created INTEGER NOT NULL,
    data    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX services_app ON services (app, created, sid);
