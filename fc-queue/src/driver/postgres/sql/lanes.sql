SELECT name FROM lane l
WHERE name > $1 AND EXISTS (SELECT FROM task t WHERE t.lane_id = l.lane_id)
ORDER BY name LIMIT $2
