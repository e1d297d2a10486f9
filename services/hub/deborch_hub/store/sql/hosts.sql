-- name: register_host
-- A builder announces itself; nothing comes back if the name is another principal's.
INSERT INTO host (name, principal, architectures, tags, cpu, memory_bytes, disk_bytes, versions, last_heartbeat_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
ON CONFLICT (name) DO UPDATE SET architectures = excluded.architectures, tags = excluded.tags, cpu = excluded.cpu,
  memory_bytes = excluded.memory_bytes, disk_bytes = excluded.disk_bytes, versions = excluded.versions, online = true,
  last_heartbeat_at = now(), leaving = false
WHERE host.principal = excluded.principal
RETURNING id

-- name: hosts
-- All hosts, for the board.
SELECT id, name, CASE WHEN leaving AND state = 'enabled' THEN 'draining' ELSE state END AS state, online, architectures, tags, cpu, memory_bytes, disk_bytes, obstacle FROM host

-- name: change_host
-- An operator enables, disables or drains a host.
UPDATE host SET state = $2 WHERE name = $1 RETURNING id

-- name: heartbeat
-- Hosts have been heard; gives those that had counted as lost.
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::float8[], $3::bool[], $4::text[]) AS g(name, load_1m, draining, obstacle)
), before AS (
  SELECT host.id, host.online, host.leaving, host.obstacle FROM host JOIN given USING (name)
)
UPDATE host SET last_heartbeat_at = now(), load_1m = given.load_1m, online = true,
  leaving = given.draining, obstacle = given.obstacle
FROM given, before
WHERE host.name = given.name AND before.id = host.id
RETURNING host.id, host.name, NOT before.online AS came_back, (host.leaving, host.obstacle) <> (before.leaving, before.obstacle) AS changed

-- name: lose_silent_hosts
-- Hosts that have not been heard for too long count as lost.
UPDATE host SET online = false
WHERE online AND last_heartbeat_at < now() - $1::float8 * interval '1 second'
  AND EXISTS (SELECT FROM scheduler_lease WHERE epoch = $2 AND holder = $3 AND expires_at > clock_timestamp())
RETURNING id, name, last_heartbeat_at
