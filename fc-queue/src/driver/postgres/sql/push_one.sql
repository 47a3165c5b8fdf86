WITH pushed AS (
    INSERT INTO task (lane_id, place, was, leases, position, fence, ready_at, late, visible_ms,
        pushed_ms, id, note, payload)
    VALUES ($1, 0, 0, 0, nextval('position'), 0,
        coalesce('epoch'::timestamptz + $5::bigint * interval '1 microsecond', now()),
        $5 IS NOT NULL, $6, $7, $2, $4, $3)
    ON CONFLICT (lane_id, id) DO NOTHING
    RETURNING lane_id
)
INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
SELECT lane_id, $8, 1, 0, 0 FROM pushed
ON CONFLICT (lane_id, part) DO UPDATE SET waiting = c.waiting + 1
RETURNING (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, currval('position')
