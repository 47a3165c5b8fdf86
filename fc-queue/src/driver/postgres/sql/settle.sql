WITH asked AS MATERIALIZED (
    SELECT r.* FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::smallint[],
            $6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[])
        AS r (lane_id, id, position, fence, verdict, ready_us, visible_ms, note, reason)
), done AS (
    DELETE FROM task t USING asked r
    WHERE r.verdict = 0
        AND t.lane_id = r.lane_id AND t.id = r.id AND t.position = r.position AND t.fence = r.fence
    RETURNING t.lane_id, t.position, t.place
), again AS (
    UPDATE task t SET place = 0, was = t.place, fence = 0, held_until = NULL, note = r.note, late = true,
        ready_at = coalesce('epoch'::timestamptz + r.ready_us * interval '1 microsecond', clock_timestamp()),
        visible_ms = r.visible_ms
    FROM asked r
    WHERE r.verdict = 1
        AND t.lane_id = r.lane_id AND t.id = r.id AND t.position = r.position AND t.fence = r.fence
    RETURNING t.lane_id, t.position, t.was
), buried AS (
    UPDATE task t SET place = 2, was = t.place, fence = 0, held_until = NULL, note = r.note,
        reason = r.reason
    FROM asked r
    WHERE r.verdict = 2
        AND t.lane_id = r.lane_id AND t.id = r.id AND t.position = r.position AND t.fence = r.fence
    RETURNING t.lane_id, t.position, t.was
), settled AS (
    SELECT lane_id, position, place AS was, 0 AS waits, 0 AS is_buried FROM done
    UNION ALL SELECT lane_id, position, was, 1, 0 FROM again
    UNION ALL SELECT lane_id, position, was, 0, 1 FROM buried
), followers AS MATERIALIZED (
    SELECT nextval('position') AS position, f.*
    FROM unnest($10::bigint[], $11::int[], $12::text[], $13::bytea[], $14::bytea[], $15::bigint[],
            $16::bigint[], $17::bigint[])
        AS f (owner, lane_id, id, payload, note, ready_us, visible_ms, pushed_ms)
    WHERE f.owner = ANY (ARRAY(SELECT position FROM settled))
), pushed AS (
    INSERT INTO task (lane_id, place, was, leases, position, fence, ready_at, late, visible_ms,
        pushed_ms, id, note, payload)
    SELECT lane_id, 0, 0, 0, position, 0,
        coalesce('epoch'::timestamptz + ready_us * interval '1 microsecond', now()),
        ready_us IS NOT NULL, visible_ms, pushed_ms, id, note, payload
    FROM followers ORDER BY lane_id, id, position
    ON CONFLICT (lane_id, id) DO NOTHING
    RETURNING lane_id, position, late
), changed AS (
    SELECT lane_id, waits - (was = 0)::int AS waiting, -(was = 1)::int AS leased, is_buried AS buried
    FROM settled
    UNION ALL SELECT lane_id, 1, 0, 0 FROM pushed
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $18, sum(waiting), sum(leased), sum(buried)
    FROM changed GROUP BY lane_id ORDER BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased,
        buried = c.buried + EXCLUDED.buried
)
SELECT (SELECT array_agg(position) FROM settled),
    (SELECT array_agg(lane_id ORDER BY position) FROM pushed),
    (SELECT array_agg(CASE WHEN NOT late THEN position END ORDER BY position) FROM pushed)
