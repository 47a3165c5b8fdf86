SELECT * FROM (
    (SELECT position, id, payload, note, pushed_ms, visible_ms, leases, reason FROM task
        WHERE lane_id = $1 AND place = 0 AND NOT late AND position > $2 ORDER BY position LIMIT $3)
    UNION ALL
    (SELECT position, id, payload, note, pushed_ms, visible_ms, leases, reason FROM task
        WHERE lane_id = $1 AND place = 0 AND late AND position > $2 ORDER BY position LIMIT $3)
) t ORDER BY position LIMIT $3
