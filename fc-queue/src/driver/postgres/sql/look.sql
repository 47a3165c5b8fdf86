SELECT r.lane_id, CASE
    WHEN EXISTS (SELECT FROM task WHERE lane_id = r.lane_id AND place = 0 AND NOT late
            AND position >= r.first) THEN 0
    ELSE (extract(epoch FROM least(
        (SELECT ready_at FROM task WHERE lane_id = r.lane_id AND place = 0 AND late
                AND ready_at <= r.until ORDER BY ready_at, position LIMIT 1),
        (SELECT held_until FROM task WHERE lane_id = r.lane_id AND place = 1
                AND held_until <= r.until ORDER BY held_until LIMIT 1)
    ) - clock_timestamp()) * 1000000)::bigint END
FROM (
    SELECT clock_timestamp() + $3::bigint * interval '1 microsecond' AS until, u.*
    FROM unnest($1::int[], $2::bigint[]) AS u (lane_id, first)
) r
