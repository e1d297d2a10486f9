-- name: read_hosts
-- Hosts by name, behind $1, in state $3 if not null, or only $4, with what the tasks on them take.
SELECT shown.*, coalesce(taken.cpu, 0) AS used_cpu, coalesce(taken.memory_bytes, 0) AS used_memory_bytes,
       coalesce(taken.disk_bytes, 0) AS used_disk_bytes, coalesce(taken.tasks, '{}') AS running_tasks
FROM (
  SELECT id, name, online, architectures, tags, cpu, memory_bytes, disk_bytes, versions, load_1m, last_heartbeat_at,
         registered_at, obstacle, CASE WHEN leaving AND state = 'enabled' THEN 'draining' ELSE state END AS state
  FROM host
) AS shown
LEFT JOIN LATERAL (
  SELECT sum(r.cpu)::int AS cpu, sum(r.memory_bytes)::bigint AS memory_bytes, sum(r.disk_bytes)::bigint AS disk_bytes,
         array_agg(task.id ORDER BY task.id) AS tasks
  FROM task JOIN requirement r ON r.id = task.requirement_id
  WHERE task.host_id = shown.id AND task.state IN ('assigned', 'running')
) AS taken ON true
WHERE name > coalesce($1::text, '') AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR name = $4)
ORDER BY name LIMIT $2
