-- Tasks that could be leased as soon as they were pushed are in order by their position; only those that
-- had to wait (delayed, tried again, put back) are found by time: a push has one index less to keep.
-- What an older release pushes meanwhile counts as such.
ALTER TABLE task ADD COLUMN late boolean NOT NULL DEFAULT true;
DROP INDEX task_due, task_waiting;
CREATE INDEX task_waiting ON task (lane_id, late, position) WHERE place = 0;
CREATE INDEX task_due ON task (lane_id, ready_at, position) WHERE place = 0 AND late;
