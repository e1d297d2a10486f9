-- name: reserve_ids
-- A block of ids for tasks or outbox messages, so that one statement can write rows that name each other.
SELECT nextval(pg_get_serial_sequence($1, 'id')) AS id FROM generate_series(1, $2)

-- name: submit_tasks
-- Write new tasks with their first attempt, events and messages in one statement. Rows that are placed already
-- ($8 not null) are written only while this replica's epoch holds; if it does not, nothing is written at all.
WITH lease AS (
  SELECT 1 FROM scheduler_lease WHERE epoch = $15 AND holder = $16 AND expires_at > clock_timestamp()
), go AS (
  SELECT 1 WHERE $15::bigint IS NULL OR EXISTS (SELECT FROM lease)
), made AS (
  INSERT INTO task (id, kind, architecture, label, requirement_id, priority, payload, host_id, traceparent, state,
                    attempt, lease_until, assigned_at)
  OVERRIDING SYSTEM VALUE
  SELECT g.id, g.kind, g.architecture, g.label, g.requirement_id, g.priority, g.payload::jsonb, g.host_id, g.traceparent,
         CASE WHEN g.host_id IS NULL THEN 'free' ELSE 'assigned' END,
         CASE WHEN g.host_id IS NULL THEN 0 ELSE 1 END,
         CASE WHEN g.host_id IS NULL THEN NULL ELSE now() + $17::float8 * interval '1 second' END,
         CASE WHEN g.host_id IS NULL THEN NULL ELSE now() END
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::bigint[],
              $20::text[])
       AS g(id, kind, architecture, label, requirement_id, priority, payload, host_id, traceparent)
  WHERE EXISTS (SELECT FROM go)
  RETURNING id, host_id
), tried AS (
  INSERT INTO attempt (task_id, attempt, host_id) SELECT id, 1, host_id FROM made WHERE host_id IS NOT NULL
), told AS (
  INSERT INTO event (type, task_id, body)
  SELECT e.* FROM unnest($9::text[], $10::bigint[], $11::text[]) AS e(type, task_id, body) WHERE EXISTS (SELECT FROM go)
), sent AS (
  INSERT INTO outbox (id, exchange, routing_key, content_type, body)
  OVERRIDING SYSTEM VALUE
  SELECT m.* FROM unnest($12::bigint[], $13::text[], $14::text[], $18::text[], $19::bytea[])
       AS m(id, exchange, routing_key, content_type, body)
  WHERE EXISTS (SELECT FROM go)
)
SELECT count(*) FROM made

-- name: task_state
-- Where one task is now.
SELECT state FROM task WHERE id = $1

-- name: insert_task
-- One task of a build.
INSERT INTO task (id, build_id, kind, architecture, label, state, blocked_reason, requirement_id, priority, payload,
                  traceparent)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: free_tasks_of_classes
-- The next FREE tasks of each requirement class that has room somewhere, best priority first.
SELECT t.id, t.requirement_id, t.attempt, t.kind, t.build_id, t.architecture, t.payload, t.traceparent
FROM unnest($1::bigint[]) AS wanted(requirement_id)
CROSS JOIN LATERAL (
  SELECT * FROM task WHERE state = 'free' AND requirement_id = wanted.requirement_id
  ORDER BY priority DESC, id LIMIT $2
) AS t
ORDER BY t.priority DESC, t.id
LIMIT $2

-- name: waiting_classes
-- The requirement classes that have FREE tasks, by skipping through the index from class to class.
WITH RECURSIVE class AS (
  (SELECT requirement_id FROM task WHERE state = 'free' ORDER BY requirement_id LIMIT 1)
  UNION ALL
  SELECT (SELECT t.requirement_id FROM task t WHERE t.state = 'free' AND t.requirement_id > class.requirement_id
          ORDER BY t.requirement_id LIMIT 1)
  FROM class WHERE class.requirement_id IS NOT NULL
)
SELECT requirement_id FROM class WHERE requirement_id IS NOT NULL

-- name: assign_tasks
-- All of these tasks become ASSIGNED, with their attempts, events and messages, or none does: none if one of them
-- is not FREE any more at that attempt, or if another replica schedules now.
WITH lease AS (
  SELECT 1 FROM scheduler_lease WHERE epoch = $4 AND holder = $5 AND expires_at > clock_timestamp()
), given AS (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS g(id, host_id, attempt)
), ready AS (
  SELECT task.id FROM task JOIN given USING (id)
  WHERE task.state = 'free' AND task.attempt = given.attempt - 1
  FOR UPDATE OF task SKIP LOCKED
), go AS (
  SELECT 1 WHERE EXISTS (SELECT FROM lease) AND (SELECT count(*) FROM ready) = cardinality($1::bigint[])
), moved AS (
  UPDATE task SET state = 'assigned', attempt = given.attempt, host_id = given.host_id, assigned_at = now(),
                  started_at = NULL, stage = '', lease_until = now() + $6::float8 * interval '1 second'
  FROM given WHERE task.id = given.id AND EXISTS (SELECT FROM go)
  RETURNING task.id
), tried AS (
  INSERT INTO attempt (task_id, attempt, host_id) SELECT id, attempt, host_id FROM given WHERE EXISTS (SELECT FROM go)
), told AS (
  INSERT INTO event (type, task_id, build_id, body)
  SELECT e.* FROM unnest($7::text[], $8::bigint[], $9::bigint[], $10::text[]) AS e(type, task_id, build_id, body)
  WHERE EXISTS (SELECT FROM go)
), sent AS (
  INSERT INTO outbox (id, exchange, routing_key, content_type, body)
  OVERRIDING SYSTEM VALUE
  SELECT m.* FROM unnest($11::bigint[], $12::text[], $13::text[], $14::text[], $15::bytea[])
       AS m(id, exchange, routing_key, content_type, body)
  WHERE EXISTS (SELECT FROM go)
)
SELECT count(*) FROM moved

-- name: start_tasks
-- Hosts have begun: ASSIGNED -> RUNNING for each (task, attempt) that is still the current one on that host.
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS g(id, attempt, host)
), moved AS (
  UPDATE task SET state = 'running', started_at = now()
  FROM given JOIN host ON host.name = given.host
  WHERE task.id = given.id AND task.attempt = given.attempt AND task.host_id = host.id AND task.state = 'assigned'
  RETURNING task.id, task.attempt, task.build_id, task.kind, host.name AS host
), tried AS (
  UPDATE attempt SET started_at = now() FROM moved WHERE attempt.task_id = moved.id AND attempt.attempt = moved.attempt
)
SELECT * FROM moved

-- name: complete_noops
-- Hosts have finished no-op tasks, from which nothing else follows: all of these are closed with their events and
-- messages in one statement, or none is: none if one is no no-op, or is not that host's at that attempt any more.
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS g(id, attempt, host)
), ready AS (
  SELECT task.id, task.state FROM task JOIN given USING (id) JOIN host ON host.id = task.host_id AND host.name = given.host
  WHERE task.kind = 'noop' AND task.attempt = given.attempt AND task.state IN ('assigned', 'running')
  FOR UPDATE OF task
), go AS (
  SELECT 1 WHERE (SELECT count(*) FROM ready) = cardinality($1::bigint[])
), moved AS (
  UPDATE task SET state = 'completed', started_at = coalesce(task.started_at, now()), ended_at = now(),
                  lease_until = NULL
  FROM given WHERE task.id = given.id AND EXISTS (SELECT FROM go)
  RETURNING task.id
), tried AS (
  UPDATE attempt SET started_at = coalesce(attempt.started_at, now()), ended_at = now(), outcome = 'completed'
  FROM given WHERE attempt.task_id = given.id AND attempt.attempt = given.attempt AND EXISTS (SELECT FROM go)
), told AS (
  INSERT INTO event (type, task_id, build_id, body)
  SELECT e.* FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::text[]) AS e(type, task_id, build_id, body)
  WHERE EXISTS (SELECT FROM go)
    AND (e.type <> 'task.running' OR e.task_id IN (SELECT id FROM ready WHERE state = 'assigned'))
), sent AS (
  INSERT INTO outbox (id, exchange, routing_key, content_type, body)
  OVERRIDING SYSTEM VALUE
  SELECT m.* FROM unnest($8::bigint[], $9::text[], $10::text[], $11::text[], $12::bytea[])
       AS m(id, exchange, routing_key, content_type, body)
  WHERE EXISTS (SELECT FROM go)
)
SELECT count(*) FROM moved

-- name: lock_task_for_report
-- The task of a report, locked, if the attempt and the host are the current ones and it has not ended.
SELECT task.id, task.kind, task.state, task.attempt, task.build_id, task.architecture, task.max_attempts, task.host_id,
       task.payload, task.label,
       (SELECT count(*) FROM attempt a WHERE a.task_id = task.id AND a.outcome = 'freed'
          AND a.started_at IS NOT NULL) AS times_freed
FROM task JOIN host ON host.id = task.host_id
WHERE task.id = $1 AND task.attempt = $2 AND host.name = $3 AND task.state IN ('assigned', 'running')
FOR UPDATE OF task

-- name: end_attempt
-- What became of one attempt.
UPDATE attempt SET ended_at = now(), outcome = $3, failure_class = $4, message = $5, stages = $6
WHERE task_id = $1 AND attempt = $2 AND ended_at IS NULL

-- name: move_task
-- A guarded move of one task: only out of the state and attempt that the caller has seen.
UPDATE task SET state = $4, blocked_reason = $5, missing = $6, failure_class = $7, message = $8,
  lease_until = NULL,
  host_id = CASE WHEN $4 IN ('completed', 'failed', 'canceled') THEN host_id END,
  assigned_at = CASE WHEN $4 IN ('completed', 'failed', 'canceled') THEN assigned_at END,
  started_at = CASE WHEN $4 IN ('completed', 'failed', 'canceled') THEN started_at END,
  ended_at = CASE WHEN $4 IN ('completed', 'failed', 'canceled') THEN now() END
WHERE id = $1 AND state = $2 AND attempt = $3

-- name: tasks_of_build
-- All tasks of a build, for decisions on the whole of it.
SELECT id, build_id, kind, state, attempt, architecture, host_id, requirement_id, blocked_reason, failure_class,
       (SELECT name FROM host WHERE host.id = task.host_id) AS host
FROM task WHERE build_id = $1 ORDER BY id FOR UPDATE

-- name: lock_task
-- One task, whatever its state.
SELECT id, kind, state, attempt, build_id, architecture, host_id,
       (SELECT name FROM host WHERE host.id = task.host_id) AS host
FROM task WHERE id = $1 FOR UPDATE

-- name: expired_tasks
-- Tasks whose host has not renewed its lease.
SELECT task.id, task.attempt, host.name AS host
FROM task JOIN host ON host.id = task.host_id
WHERE task.state IN ('assigned', 'running') AND task.lease_until < now()
ORDER BY task.lease_until LIMIT 100

-- name: renew_leases
-- Heartbeats renew what they list and say what it does. What is not theirs any more comes back as stale, and of the
-- rest what is to be told: a stage that was entered, or that lasts for $7 seconds more.
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $5::text[], $6::jsonb[]) AS g(id, attempt, host, stage, progress)
), looked_at AS (
  SELECT task.id, given.attempt, given.stage, given.progress,
         given.progress IS NOT NULL AND task.state = 'running'
           AND (task.stage <> given.stage OR task.progress_told_at IS NULL
                OR task.progress_told_at < now() - $7::float8 * interval '1 second') AS told
  FROM given JOIN host ON host.name = given.host
  JOIN task ON task.id = given.id AND task.attempt = given.attempt AND task.host_id = host.id
    AND task.state IN ('assigned', 'running')
), renewed AS (
  UPDATE task SET lease_until = now() + $4::float8 * interval '1 second', stage = looked_at.stage,
    progress = looked_at.progress,
    progress_told_at = CASE WHEN looked_at.told THEN now() ELSE task.progress_told_at END
  FROM looked_at
  WHERE task.id = looked_at.id AND task.attempt = looked_at.attempt AND task.state IN ('assigned', 'running')
  RETURNING task.id, task.attempt, task.build_id, task.kind, looked_at.told
)
SELECT given.id, given.attempt, given.host, given.stage, given.progress, renewed.build_id, renewed.kind,
       renewed.id IS NULL AS stale
FROM given LEFT JOIN renewed ON renewed.id = given.id AND renewed.attempt = given.attempt
WHERE renewed.id IS NULL OR renewed.told

-- name: insert_measurement
-- What a successful build used; a repeated report changes nothing.
INSERT INTO build_measurement (task_id, source_name, architecture, wall_s, cpu_s, memory_peak_bytes, disk_bytes)
SELECT $1, build.source_name, $3, $4, $5, $6, $7 FROM build WHERE build.id = $2
ON CONFLICT DO NOTHING

-- name: measurements
-- What the last $3 successful builds of a source package for an architecture used, newest first.
SELECT wall_s, cpu_s, memory_peak_bytes, disk_bytes FROM build_measurement
WHERE source_name = $1 AND architecture = $2 ORDER BY task_id DESC LIMIT $3

-- name: largest_host
-- The most memory and disk that one host of an architecture has; nulls if there is no host.
SELECT max(memory_bytes) AS memory_bytes, max(disk_bytes) AS disk_bytes FROM host
WHERE $1 = ANY(architectures) AND state <> 'disabled'

-- name: environments_wanted
-- Which bases builds will want: those of some thousand tasks that wait. Each state is spelled out to be found by its
-- own partial index, and no-ops are left out afterwards, so that no long queue of them is read through.
SELECT DISTINCT payload ->> 'suite' AS suite, waiting.architecture, payload -> 'components' AS components, required_tags
FROM (
  (SELECT kind, payload, architecture, requirement_id FROM task WHERE state = 'free' LIMIT 2000)
  UNION ALL
  (SELECT kind, payload, architecture, requirement_id FROM task WHERE state = 'blocked' LIMIT 2000)
) AS waiting
JOIN requirement r ON r.id = waiting.requirement_id WHERE kind <> 'noop'

-- name: extend_all_leases
-- After an outage of ours, hosts get the time of a few heartbeats to be heard before their leases count as expired.
UPDATE task SET lease_until = greatest(lease_until, now() + $1::float8 * interval '1 second')
WHERE state IN ('assigned', 'running')
  AND EXISTS (SELECT FROM scheduler_lease WHERE epoch = $2 AND holder = $3 AND expires_at > clock_timestamp())

-- name: placed_tasks
-- What is on which host, for the board.
SELECT id, host_id, requirement_id FROM task WHERE state IN ('assigned', 'running')

-- name: requirement_id
-- The class of a demand, made if it is new.
WITH made AS (
  INSERT INTO requirement (architecture, required_tags, cpu, memory_bytes, disk_bytes)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id
)
SELECT id FROM made
UNION ALL
SELECT id FROM requirement
WHERE architecture = $1 AND required_tags = $2 AND cpu = $3 AND memory_bytes = $4 AND disk_bytes = $5
LIMIT 1

-- name: requirements
-- The classes of demands that the caller does not know yet.
SELECT id, architecture, required_tags, cpu, memory_bytes, disk_bytes FROM requirement WHERE id <> ALL($1::bigint[])

-- name: add_task_dependency
-- One task waits for another.
INSERT INTO task_dependency (task_id, needs_id) VALUES ($1, $2)

-- name: dep_waiting_tasks_of_target
-- Tasks of a target that wait for build dependencies; a new publication may have brought them.
SELECT task.id, task.attempt FROM task JOIN build ON build.id = task.build_id
WHERE build.target_id = $1 AND task.state = 'blocked' AND task.blocked_reason = 'build-dependencies'

-- name: published_since_assigned
-- Whether the archive that a build task reads was published since its last attempt was assigned. The row is locked, so that a
-- publication either is seen here or sees what this transaction blocks.
SELECT coalesce(archive.published_at > attempt.assigned_at, false)
FROM task JOIN attempt ON attempt.task_id = task.id AND attempt.attempt = task.attempt
JOIN build ON build.id = task.build_id JOIN archive ON archive.target_id = build.target_id
WHERE task.id = $1 FOR SHARE OF archive

-- name: dep_waits_to_retry
-- Tasks that have waited long for build dependencies: the Debian suite, which tells nobody, may have them by now.
SELECT task.id FROM task JOIN attempt ON attempt.task_id = task.id AND attempt.attempt = task.attempt
WHERE task.state = 'blocked' AND task.blocked_reason = 'build-dependencies'
  AND attempt.ended_at < now() - $1::float8 * interval '1 second'
ORDER BY task.id LIMIT 50

-- name: lock_build_of_task
-- Builds are locked before their tasks, everywhere, so that two transactions never wait for each other.
SELECT build.id FROM build WHERE build.id = (SELECT build_id FROM task WHERE task.id = $1) FOR UPDATE

-- name: archive_waiting_tasks
-- Tasks that wait for an archive and whose builds' predecessors are all published now.
SELECT task.id, task.attempt FROM task
WHERE task.state = 'blocked' AND task.blocked_reason = 'archive' AND NOT EXISTS (
  SELECT FROM build_dependency d JOIN build b ON b.id = d.after_id
  WHERE d.build_id = task.build_id AND b.state <> 'completed')
