SELECT r.lane_id, (extract(epoch FROM least(
    (SELECT ready_at FROM task WHERE lane_id = r.lane_id AND place = 0
        ORDER BY ready_at, position LIMIT 1),
    (SELECT held_until FROM task WHERE lane_id = r.lane_id AND place = 1 ORDER BY held_until LIMIT 1)
) - clock_timestamp()) * 1000000)::bigint
FROM unnest($1::int[]) AS r (lane_id)
