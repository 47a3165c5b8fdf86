-- Names are short in every other table.
CREATE TABLE lane (
    lane_id int GENERATED ALWAYS AS IDENTITY UNIQUE,
    name text COLLATE "C" PRIMARY KEY
);

-- What lanes hold, in parts: each session adds to its own, so that none waits for another's commit. A
-- part may be below zero; the sum is not.
CREATE TABLE lane_count (
    lane_id int NOT NULL,
    part int NOT NULL,
    waiting bigint NOT NULL,
    leased bigint NOT NULL,
    buried bigint NOT NULL,
    PRIMARY KEY (lane_id, part)
) WITH (fillfactor = 50);

CREATE SEQUENCE position;
CREATE SEQUENCE fence;

CREATE TABLE task (
    lane_id int NOT NULL,
    -- 0: it waits; 1: somebody held it, until held_until; 2: a dead letter.
    place smallint NOT NULL,
    -- The place before the last change.
    was smallint NOT NULL,
    leases int NOT NULL,
    position bigint NOT NULL,
    -- The last lease that was not settled; 0: none.
    fence bigint NOT NULL,
    -- From when on it can be leased, by the server's clock.
    ready_at timestamptz NOT NULL,
    held_until timestamptz,
    -- The same, and when it was pushed, as the callers' clocks had it: told, never judged by.
    visible_ms bigint NOT NULL,
    pushed_ms bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    note bytea NOT NULL,
    payload bytea NOT NULL,
    -- Text that may have a NUL in it.
    reason bytea,
    PRIMARY KEY (lane_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- Compressing costs more than it saves.
ALTER TABLE task ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE INDEX task_due ON task (lane_id, ready_at, position) WHERE place = 0;
CREATE INDEX task_waiting ON task (lane_id, position) WHERE place = 0;
CREATE INDEX task_held ON task (lane_id, held_until) WHERE place = 1;
CREATE INDEX task_buried ON task (lane_id, position) WHERE place = 2;
