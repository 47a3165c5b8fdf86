WITH settled AS (
    DELETE FROM task
    WHERE lane_id = $1 AND id = ANY ($3::text[]) AND fence = $2 AND position = ANY ($4::bigint[])
    RETURNING position, place
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT $1, $5, -count(*) FILTER (WHERE place = 0), -count(*) FILTER (WHERE place = 1), 0
    FROM settled HAVING count(*) > 0
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased
)
SELECT array_agg(position) FROM settled
