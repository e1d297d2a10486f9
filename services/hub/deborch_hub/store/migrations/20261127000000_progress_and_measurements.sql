-- migrate:up

ALTER TABLE host ADD COLUMN obstacle text NOT NULL DEFAULT '';
COMMENT ON COLUMN host.obstacle IS 'why no package can be built there, as its last heartbeat said; empty if one can';

ALTER TABLE task ADD COLUMN progress jsonb, ADD COLUMN progress_told_at timestamptz;
COMMENT ON COLUMN task.progress IS 'what the attempt has used in its stage, as the last heartbeat said; true only while it runs';
COMMENT ON COLUMN task.progress_told_at IS 'when the last task.progress of it was told';

-- What successful builds used, from which the next build of the same source package asks for its resources.
CREATE TABLE build_measurement (
  task_id            bigint PRIMARY KEY REFERENCES task ON DELETE CASCADE,
  source_name        text NOT NULL,
  architecture       text NOT NULL,
  wall_s             double precision NOT NULL CHECK (wall_s >= 0),
  cpu_s              double precision NOT NULL CHECK (cpu_s >= 0),
  memory_peak_bytes  bigint CHECK (memory_peak_bytes >= 0),
  disk_bytes         bigint CHECK (disk_bytes >= 0),
  measured_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN build_measurement.memory_peak_bytes IS 'null: its host does not count it';
CREATE INDEX build_measurement_of_source ON build_measurement (source_name, architecture, task_id DESC);

CREATE OR REPLACE VIEW task_overview AS
  SELECT task.id, task.build_id, task.kind, task.architecture, task.state, task.attempt, host.name AS host,
         task.blocked_reason, task.failure_class, task.message, task.created_at, task.assigned_at, task.started_at,
         task.ended_at, task.label, task.priority, task.max_attempts, task.missing, task.lease_until,
         task.requirement_id, task.host_id, CASE WHEN task.state = 'running' THEN task.stage ELSE '' END AS stage,
         CASE WHEN task.state = 'running' THEN task.progress END AS progress
  FROM task LEFT JOIN host ON host.id = task.host_id;

-- migrate:down

DROP VIEW task_overview;
CREATE VIEW task_overview AS
  SELECT task.id, task.build_id, task.kind, task.architecture, task.state, task.attempt, host.name AS host,
         task.blocked_reason, task.failure_class, task.message, task.created_at, task.assigned_at, task.started_at,
         task.ended_at, task.label, task.priority, task.max_attempts, task.missing, task.lease_until,
         task.requirement_id, task.host_id, CASE WHEN task.state = 'running' THEN task.stage ELSE '' END AS stage
  FROM task LEFT JOIN host ON host.id = task.host_id;
DROP TABLE build_measurement;
ALTER TABLE task DROP COLUMN progress, DROP COLUMN progress_told_at;
ALTER TABLE host DROP COLUMN obstacle;
