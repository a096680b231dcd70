-- +goose Up

-- The limits' counters of one place in one row: a start charges several of each.
-- place is half of an HMAC of what is counted, as a number; data are its counters,
-- 24 bytes each: the other half of the key, the value, and when it expires.
CREATE TABLE counters (
    place   INTEGER PRIMARY KEY,
    expires INTEGER NOT NULL,
    data    BLOB    NOT NULL
) STRICT;

-- printf has no place for a number's sign: what is above 2^63 is less than zero.
INSERT INTO counters (place, expires, data)
SELECT (SELECT sum((instr('0123456789ABCDEF', substr(hex(l.place), digit.value, 1)) - 1) << (64 - 4 * digit.value))
        FROM (SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]')) AS digit),
       l.expires, l.data
FROM (SELECT substr(key, 1, 8) AS place, max(expires) AS expires,
             unhex(group_concat(hex(substr(key, 9)) || printf('%016X', value) || printf('%016X', expires), '')) AS data
      FROM limits WHERE value <> 0 GROUP BY substr(key, 1, 8)) AS l;

DROP TABLE limits;
