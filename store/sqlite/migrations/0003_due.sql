-- +goose Up

-- due is when the service owes one of the texts something, zero is never. The
-- index holds only those: of millions of rows a few.
ALTER TABLE verifications ADD COLUMN due INTEGER NOT NULL DEFAULT 0;

-- The version before left texts behind whose process had died, or whose answer
-- was lost, and did nothing more about them. They are due when their lease is
-- over: in the record to the microsecond, here in the second after it, so that
-- whoever comes finds something to do. A record that cannot be read stays as it
-- is.
UPDATE verifications
SET due  = left_behind.due,
    data = CAST(json_set(CAST(data AS TEXT), '$.sends', json(left_behind.sends)) AS BLOB)
FROM (
    SELECT v.seq AS seq,
           1000000 * min(CASE WHEN s.value ->> '$.status' IN ('sending', 'unknown')
                         THEN unixepoch(coalesce(s.value ->> '$.lease', s.value ->> '$.created')) + 1 END) AS due,
           json_group_array(json(CASE WHEN s.value ->> '$.status' IN ('sending', 'unknown')
                                 THEN json_set(s.value, '$.next', coalesce(s.value ->> '$.lease', s.value ->> '$.created'))
                                 ELSE s.value END) ORDER BY s.key) AS sends
    FROM verifications v,
         json_each(CASE WHEN json_valid(CAST(v.data AS TEXT)) THEN CAST(v.data AS TEXT) ELSE '{}' END, '$.sends') s
    WHERE instr(CAST(v.data AS TEXT), '"status":"sending"') > 0
       OR instr(CAST(v.data AS TEXT), '"status":"unknown"') > 0
    GROUP BY v.seq
) AS left_behind
WHERE verifications.seq = left_behind.seq AND left_behind.due > 0;

CREATE INDEX verifications_due ON verifications (due) WHERE due > 0;
