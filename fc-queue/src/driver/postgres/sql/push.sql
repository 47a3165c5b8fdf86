WITH asked AS MATERIALIZED (
    SELECT nextval('position') AS position, r.*
    FROM unnest($1::int[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS r (lane_id, id, payload, note, ready_us, visible_ms, pushed_ms)
), pushed AS (
    INSERT INTO task (lane_id, place, was, leases, position, fence, ready_at, late, visible_ms,
        pushed_ms, id, note, payload)
    SELECT lane_id, 0, 0, 0, position, 0,
        coalesce('epoch'::timestamptz + ready_us * interval '1 microsecond', now()),
        ready_us IS NOT NULL, visible_ms, pushed_ms, id, note, payload
    FROM asked ORDER BY lane_id, id, position
    ON CONFLICT (lane_id, id) DO NOTHING
    RETURNING lane_id, position
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $8, count(*), 0, 0 FROM pushed GROUP BY lane_id ORDER BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE SET waiting = c.waiting + EXCLUDED.waiting
)
SELECT (SELECT array_agg(position) FROM asked), (SELECT array_agg(position) FROM pushed),
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
