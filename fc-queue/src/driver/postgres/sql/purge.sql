-- By their place in the table: with statistics from before there were any, the server would look for
-- each of them through the whole lane.
WITH meant AS MATERIALIZED (
    SELECT ctid AS at FROM task
    WHERE lane_id = $1 AND {is_meant} AND position > $2 AND position <= $3
    ORDER BY position LIMIT $4 FOR UPDATE
), removed AS (
    DELETE FROM task t USING meant WHERE t.ctid = meant.at
    RETURNING t.lane_id, t.position, t.place
), counted AS (
    INSERT INTO lane_count AS c (lane_id, part, waiting, leased, buried)
    SELECT lane_id, $5, -count(*) FILTER (WHERE place = 0), 0, -count(*) FILTER (WHERE place = 2)
    FROM removed GROUP BY lane_id
    ON CONFLICT (lane_id, part) DO UPDATE
    SET waiting = c.waiting + EXCLUDED.waiting, buried = c.buried + EXCLUDED.buried
)
SELECT count(*), max(position) FROM removed
