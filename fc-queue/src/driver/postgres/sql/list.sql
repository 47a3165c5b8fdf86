(SELECT position, id, payload, note, pushed_ms, visible_ms, leases, reason FROM task
WHERE lane_id = $1 AND {is_meant} AND position > $2 ORDER BY position LIMIT $3)
