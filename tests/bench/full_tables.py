"""A hub's tables after a million tasks: rows as the hub itself would have left them, written by SQL."""

import asyncpg

_REQUIREMENT = (
    "INSERT INTO requirement (architecture, required_tags, cpu, memory_bytes, disk_bytes)"
    " VALUES ('', $1, 1, 0, 0) RETURNING id"
)
_FINISHED = """
WITH made AS (
  INSERT INTO task (kind, state, requirement_id, attempt, host_id, label, payload, assigned_at, started_at, ended_at)
  SELECT 'noop', 'completed', $1, 1, $2, 'no-op', '{"duration_s": 0.0}', now(), now(), now()
  FROM generate_series(1, $3::bigint)
  RETURNING id
), tried AS (
  INSERT INTO attempt (task_id, attempt, host_id, started_at, ended_at, outcome)
  SELECT id, 1, $2, now(), now(), 'completed' FROM made
)
INSERT INTO event (type, task_id, body)
SELECT type, id, format('{"specversion":"1.0","id":"%s","source":"/hub","type":"%s","time":"2026-01-01T00:00:00Z",'
                        '"data":{"task_id":%s,"attempt":1,"kind":"noop"}}', gen_random_uuid(), type, id)
FROM made, unnest(ARRAY['task.created', 'task.assigned', 'task.running', 'task.completed']) AS type
"""
_QUEUED = """
WITH made AS (
  INSERT INTO task (kind, state, requirement_id, label, payload)
  SELECT 'noop', 'free', $1, 'no-op', '{"duration_s": 0.0}' FROM generate_series(1, $2::bigint)
  RETURNING id
)
INSERT INTO event (type, task_id, body) SELECT 'task.created', id, '{}' FROM made
"""
_CHUNK = 100_000
_TIMEOUT_S = 600.0


async def fill(dsn: str, finished: int, queued: int) -> None:
    """Add `finished` tasks with attempt and events each, and `queued` ones that ask for a tag that no host has."""
    connection = await asyncpg.connect(dsn)
    try:
        host = await connection.fetchval("SELECT min(id) FROM host")
        done, nowhere = [await connection.fetchval(_REQUIREMENT, [tag]) for tag in ("bench-done", "bench-nowhere")]
        for first in range(0, finished, _CHUNK):
            await connection.execute(_FINISHED, done, host, min(_CHUNK, finished - first), timeout=_TIMEOUT_S)
        await connection.execute(_QUEUED, nowhere, queued, timeout=_TIMEOUT_S)
        await connection.execute("VACUUM ANALYZE", timeout=_TIMEOUT_S)
    finally:
        await connection.close()
