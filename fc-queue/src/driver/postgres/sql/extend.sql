WITH asked AS MATERIALIZED (
    SELECT r.* FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS r (lane_id, id, position, fence, held_us)
), extended AS (
    UPDATE task t SET place = 1, was = t.place,
        held_until = clock_timestamp() + r.held_us * interval '1 microsecond'
    FROM asked r
    WHERE t.lane_id = r.lane_id AND t.id = r.id AND t.position = r.position AND t.fence = r.fence
    RETURNING t.lane_id, t.position, t.was
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $6, -count(*), count(*), 0 FROM extended WHERE was = 0
    GROUP BY lane_id ORDER BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased
)
SELECT array_agg(position) FROM extended
