CREATE TABLE record (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    revision bigint NOT NULL
);
ALTER TABLE record ALTER COLUMN value SET STORAGE EXTERNAL;

-- One row: the last revision. Whoever writes locks it until its commit, so that revisions become visible
-- in their order and without a gap.
CREATE TABLE head (revision bigint NOT NULL);
INSERT INTO head VALUES (0);

-- The last changes; a deletion has no value.
CREATE TABLE change (
    revision bigint PRIMARY KEY,
    key bytea NOT NULL,
    value bytea
);
ALTER TABLE change ALTER COLUMN value SET STORAGE EXTERNAL;

-- Does the writes in their order, each if its condition holds: 0 always, 1 if there is no such record,
-- 2 if it is at the revision that is expected. A write without a value deletes. Gives for each whether
-- its condition held, the revision that there was, and the one that it made.
CREATE FUNCTION write_records(
    keys bytea[], new_values bytea[], conditions smallint[], expected bigint[], kept bigint, channel text
) RETURNS TABLE (held boolean, was bigint, made bigint)
LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    last bigint;
BEGIN
    -- Each statement behind this one sees what was committed before the lock was had.
    SELECT h.revision INTO first FROM head h FOR UPDATE;
    last := first;
    FOR i IN 1 .. array_length(keys, 1) LOOP
        was := NULL;
        made := NULL;
        SELECT r.revision INTO was FROM record r WHERE r.key = keys[i];
        held := CASE conditions[i]
            WHEN 0 THEN true
            WHEN 1 THEN was IS NULL
            ELSE was IS NOT NULL AND was = expected[i]
        END;
        IF held AND new_values[i] IS NOT NULL THEN
            last := last + 1;
            made := last;
            INSERT INTO record AS r (key, value, revision) VALUES (keys[i], new_values[i], made)
            ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;
            INSERT INTO change (revision, key, value) VALUES (made, keys[i], new_values[i]);
        ELSIF held AND was IS NOT NULL THEN
            last := last + 1;
            made := last;
            DELETE FROM record r WHERE r.key = keys[i];
            INSERT INTO change (revision, key, value) VALUES (made, keys[i], NULL);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF last > first THEN
        UPDATE head SET revision = last;
        DELETE FROM change c WHERE c.revision <= last - kept;
        PERFORM pg_notify(channel, '');
    END IF;
END
$$;
