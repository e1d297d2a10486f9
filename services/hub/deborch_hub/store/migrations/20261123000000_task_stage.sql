-- migrate:up

ALTER TABLE task ADD COLUMN stage text NOT NULL DEFAULT '';
COMMENT ON COLUMN task.stage IS 'what the last heartbeat said that the attempt was doing; true only while it runs';

CREATE OR REPLACE VIEW task_overview AS
  SELECT task.id, task.build_id, task.kind, task.architecture, task.state, task.attempt, host.name AS host,
         task.blocked_reason, task.failure_class, task.message, task.created_at, task.assigned_at, task.started_at,
         task.ended_at, task.label, task.priority, task.max_attempts, task.missing, task.lease_until,
         task.requirement_id, task.host_id, CASE WHEN task.state = 'running' THEN task.stage ELSE '' END AS stage
  FROM task LEFT JOIN host ON host.id = task.host_id;

-- migrate:down

DROP VIEW task_overview;
CREATE VIEW task_overview AS
  SELECT task.id, task.build_id, task.kind, task.architecture, task.state, task.attempt, host.name AS host,
         task.blocked_reason, task.failure_class, task.message, task.created_at, task.assigned_at, task.started_at,
         task.ended_at, task.label, task.priority, task.max_attempts, task.missing, task.lease_until,
         task.requirement_id, task.host_id
  FROM task LEFT JOIN host ON host.id = task.host_id;
ALTER TABLE task DROP COLUMN stage;
