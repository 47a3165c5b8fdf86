WITH removed AS (
    DELETE FROM task WHERE lane_id = $1 AND id = $2 AND (place <> 1 OR held_until <= clock_timestamp())
    RETURNING lane_id, place
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $3, -(place = 0)::int, -(place = 1)::int, -(place = 2)::int FROM removed
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased,
        buried = c.buried + EXCLUDED.buried
)
SELECT EXISTS (SELECT FROM removed), EXISTS (SELECT FROM task WHERE lane_id = $1 AND id = $2)
