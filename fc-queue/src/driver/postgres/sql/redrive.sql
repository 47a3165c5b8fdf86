-- By their place in the table: with statistics from before there were any, the server would look for
-- each of them through the whole lane.
WITH meant AS MATERIALIZED (
    SELECT ctid AS at FROM task WHERE lane_id = $1 AND place = 2 AND position > $2 AND position <= $3
    ORDER BY position LIMIT $4 FOR UPDATE
), back AS (
    UPDATE task t SET place = 0, was = t.place, reason = NULL, note = $6, visible_ms = $7, late = true,
        ready_at = coalesce('epoch'::timestamptz + $8::bigint * interval '1 microsecond', clock_timestamp())
    FROM meant WHERE t.ctid = meant.at
    RETURNING t.lane_id, t.position
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $5, count(*), 0, -count(*) FROM back GROUP BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, buried = c.buried + EXCLUDED.buried
)
SELECT count(*), max(position) FROM back
