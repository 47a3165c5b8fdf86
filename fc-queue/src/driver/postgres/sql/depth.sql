SELECT coalesce(sum(waiting), 0)::bigint, coalesce(sum(leased), 0)::bigint,
    coalesce(sum(buried), 0)::bigint,
    (SELECT pushed_ms FROM task WHERE lane_id = $1 AND place = 0 ORDER BY position LIMIT 1)
FROM lane_count WHERE lane_id = $1
