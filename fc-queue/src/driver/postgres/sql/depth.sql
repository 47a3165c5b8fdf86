SELECT coalesce(sum(waiting), 0)::bigint, coalesce(sum(leased), 0)::bigint,
    coalesce(sum(buried), 0)::bigint,
    (SELECT pushed_ms FROM (
        (SELECT position, pushed_ms FROM task WHERE lane_id = $1 AND place = 0 AND NOT late
            ORDER BY position LIMIT 1)
        UNION ALL
        (SELECT position, pushed_ms FROM task WHERE lane_id = $1 AND place = 0 AND late
            ORDER BY position LIMIT 1)
    ) oldest ORDER BY position LIMIT 1)
FROM lane_count WHERE lane_id = $1
