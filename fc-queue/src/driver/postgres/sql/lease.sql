WITH asked AS MATERIALIZED (
    SELECT clock_timestamp() AS now, r.*
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $5::bigint[])
        AS r (lane_id, most, held_us, first)
), picked AS MATERIALIZED (
    SELECT p.at, asked.now + asked.held_us * interval '1 microsecond' AS held_until
    FROM asked, LATERAL (
        SELECT ended.* FROM (
            SELECT ctid AS at, ready_at, position FROM task
            WHERE lane_id = asked.lane_id AND place = 1 AND held_until <= asked.now
            ORDER BY held_until LIMIT asked.most FOR UPDATE SKIP LOCKED
        ) ended
        UNION ALL
        SELECT fresh.* FROM (
            SELECT ctid AS at, ready_at, position FROM task
            WHERE lane_id = asked.lane_id AND place = 0 AND NOT late AND position >= asked.first
            ORDER BY position LIMIT asked.most FOR UPDATE SKIP LOCKED
        ) fresh
        UNION ALL
        SELECT due.* FROM (
            SELECT ctid AS at, ready_at, position FROM task
            WHERE lane_id = asked.lane_id AND place = 0 AND late AND ready_at <= asked.now
            ORDER BY ready_at, position LIMIT asked.most FOR UPDATE SKIP LOCKED
        ) due
        ORDER BY ready_at, position LIMIT asked.most
    ) p
), leased AS (
    -- One number for all: a task's leases follow each other.
    UPDATE task t SET place = 1, was = t.place, leases = t.leases + 1,
        fence = (SELECT nextval('fence')), held_until = p.held_until
    FROM picked p WHERE t.ctid = p.at
    RETURNING t.lane_id, t.id, t.position, t.fence, t.payload, t.note, t.leases, t.pushed_ms,
        t.visible_ms, t.was, t.ready_at, t.was = 0 AND NOT t.late AS fresh
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $4, -count(*), count(*), 0 FROM leased WHERE was = 0 GROUP BY lane_id ORDER BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, leased = c.leased + EXCLUDED.leased
)
SELECT lane_id, id, position, fence, payload, note, leases, pushed_ms, visible_ms, fresh
FROM leased ORDER BY lane_id, ready_at, position
