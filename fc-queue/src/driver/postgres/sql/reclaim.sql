WITH ended AS MATERIALIZED (
    SELECT ctid AS at FROM task WHERE lane_id = $1 AND place = 1 AND held_until <= clock_timestamp()
    ORDER BY held_until LIMIT $2 FOR UPDATE SKIP LOCKED
), back AS (
    UPDATE task t SET place = 0, was = t.place, held_until = NULL, late = true
    FROM ended WHERE t.ctid = ended.at
    RETURNING t.lane_id
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $3, count(*), -count(*), 0 FROM back GROUP BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased
)
SELECT count(*) FROM back
