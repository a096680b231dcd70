-- +goose Up

-- What clients of Twilio Verify's API call services: a few for each app. Records
-- are JSON in data.
CREATE TABLE services (
    sid     text COLLATE "C" NOT NULL PRIMARY KEY,
    app     text             NOT NULL,
    created bigint           NOT NULL,
    data    bytea            NOT NULL
);

CREATE INDEX services_app ON services (app, created, sid);
