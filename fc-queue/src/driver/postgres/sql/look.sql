SELECT r.lane_id, CASE
    WHEN EXISTS (SELECT FROM task WHERE lane_id = r.lane_id AND place = 0 AND NOT late) THEN 0
    ELSE (extract(epoch FROM least(
        (SELECT ready_at FROM task WHERE lane_id = r.lane_id AND place = 0 AND late
            ORDER BY ready_at, position LIMIT 1),
        (SELECT held_until FROM task WHERE lane_id = r.lane_id AND place = 1
            ORDER BY held_until LIMIT 1)
    ) - clock_timestamp()) * 1000000)::bigint END
FROM unnest($1::int[]) AS r (lane_id)
