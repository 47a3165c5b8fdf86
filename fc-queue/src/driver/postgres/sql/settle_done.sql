WITH asked AS MATERIALIZED (
    SELECT r.* FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[])
        AS r (lane_id, id, position, fence)
), settled AS (
    DELETE FROM task t USING asked r
    WHERE t.lane_id = r.lane_id AND t.id = r.id AND t.position = r.position AND t.fence = r.fence
    RETURNING t.lane_id, t.position, t.place
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $5, -count(*) FILTER (WHERE place = 0), -count(*) FILTER (WHERE place = 1), 0
    FROM settled GROUP BY lane_id ORDER BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased
)
SELECT array_agg(position) FROM settled
