-- name: read_tasks
-- The newest tasks before id $1.
SELECT * FROM task_overview WHERE id < coalesce($1, 9223372036854775807) AND ($3::text IS NULL OR state = $3)
ORDER BY id DESC LIMIT $2

-- name: read_tasks_of_build
-- The tasks of build $4, newest first.
SELECT * FROM task_overview WHERE build_id = $4 AND id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR state = $3) AND ($5::text IS NULL OR host = $5)
ORDER BY id DESC LIMIT $2

-- name: read_tasks_of_host
-- The tasks whose newest attempt was on host $4, led by the attempts there: OFFSET 0 keeps the join from being turned.
SELECT overview.* FROM attempt CROSS JOIN LATERAL (
  SELECT * FROM task_overview WHERE id = attempt.task_id AND task_overview.attempt = attempt.attempt OFFSET 0
) AS overview
WHERE attempt.host_id = (SELECT id FROM host WHERE name = $4) AND attempt.task_id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR state = $3)
ORDER BY attempt.task_id DESC LIMIT $2

-- name: read_active_tasks_on_host
-- What is on host $4 now and in state $3, however much it has done before.
SELECT * FROM task_overview WHERE host_id = (SELECT id FROM host WHERE name = $4) AND state = $3
  AND state IN ('assigned', 'running') AND id < coalesce($1, 9223372036854775807)
ORDER BY id DESC LIMIT $2

-- name: read_active_tasks
-- The newest tasks in state $3 that are not finished. Each state is spelled out to be found by its own partial index,
-- and `+ 0` keeps the planner from going back through all finished ones.
SELECT * FROM task_overview WHERE id = ANY (ARRAY(
  SELECT id FROM (
    SELECT id FROM task WHERE $3 = 'free' AND state = 'free'
    UNION ALL
    SELECT id FROM task WHERE $3 = 'blocked' AND state = 'blocked'
    UNION ALL
    SELECT id FROM task WHERE $3 IN ('assigned', 'running') AND state IN ('assigned', 'running') AND state = $3
  ) AS active
  WHERE id < coalesce($1, 9223372036854775807)
  ORDER BY id + 0 DESC LIMIT $2))
ORDER BY id DESC

-- name: read_unsuccessful_tasks
-- The newest failed or canceled tasks, of host $4 if not null.
SELECT * FROM task_overview WHERE state = $3 AND state IN ('failed', 'canceled')
  AND id < coalesce($1, 9223372036854775807) AND ($4::text IS NULL OR host = $4)
ORDER BY state DESC, id DESC LIMIT $2

-- name: read_task
-- One task with what it asks of a host.
SELECT overview.*, r.required_tags, r.cpu, r.memory_bytes, r.disk_bytes, r.architecture AS needed_architecture
FROM task_overview AS overview JOIN requirement r ON r.id = requirement_id WHERE overview.id = $1

-- name: read_attempts
-- All attempts of a task, oldest first.
SELECT attempt.attempt, host.name AS host, assigned_at, started_at, ended_at, outcome, failure_class, message, stages
FROM attempt JOIN host ON host.id = host_id WHERE task_id = $1 ORDER BY attempt.attempt

-- name: read_attempt
-- Attempt $2 of a task (null: the last), with the state and the last attempt of the task; nothing if there is no such task.
SELECT task.state, task.attempt AS last_attempt, attempt.attempt, host.name AS host, attempt.ended_at
FROM task
LEFT JOIN attempt ON attempt.task_id = task.id AND attempt.attempt = coalesce($2, task.attempt)
LEFT JOIN host ON host.id = attempt.host_id
WHERE task.id = $1

-- name: read_unfinished_needs
-- The tasks that a task waits for, with their states.
SELECT needs_id AS id, task.state FROM task_dependency JOIN task ON task.id = needs_id
WHERE task_id = $1 AND task.state <> 'completed' ORDER BY needs_id

-- name: read_tasks_ahead
-- How many FREE tasks with the same demand come before task $1 of priority $3.
SELECT (SELECT count(*) FROM task WHERE state = 'free' AND requirement_id = $2 AND priority > $3)
     + (SELECT count(*) FROM task WHERE state = 'free' AND requirement_id = $2 AND priority = $3 AND id < $1)
