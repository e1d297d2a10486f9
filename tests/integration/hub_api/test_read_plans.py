"""Lists read along an index: how much they touch does not grow with what is finished."""

import pytest
from tests.integration.hub_api.rows import Rows

from deborch_hub.store.queries import SQL
from deborch_shared.db import Database

FINISHED = 20_000
TOUCHED_AT_MOST = FINISHED // 5
"""A tenth is what a filter leaves here; a bitmap scan counts it twice."""
FILL = f"""
INSERT INTO suite VALUES ('bookworm');
INSERT INTO target (name, suite, architectures, components)
  SELECT 't' || i, 'bookworm', '{{amd64}}', '{{main}}' FROM generate_series(0, 9) i;
INSERT INTO host (name, principal, architectures, cpu, memory_bytes, disk_bytes)
  SELECT 'b' || i, 'p', '{{amd64}}', 1, 1, 1 FROM generate_series(0, 9) i;
INSERT INTO requirement (architecture, required_tags, cpu, memory_bytes, disk_bytes) VALUES ('amd64', '{{}}', 1, 1, 1);
INSERT INTO build (target_id, source_name, state, scratch, owner, ended_at)
  SELECT 1 + i % 10, 's' || i % 1000, CASE WHEN i < 100 THEN 'failed' ELSE 'completed' END, false, 'u' || i % 10, now()
  FROM generate_series(1, {FINISHED}) i;
INSERT INTO build (target_id, source_name, scratch, owner) SELECT 1, 'x' || i, false, 'u1' FROM generate_series(1, 9) i;
INSERT INTO task (kind, state, attempt, requirement_id, host_id, ended_at)
  SELECT 'noop', CASE WHEN i < 100 THEN 'failed' ELSE 'completed' END, 1, 1, 1 + i % 10, now()
  FROM generate_series(1, {FINISHED}) i;
INSERT INTO attempt (task_id, attempt, host_id, ended_at, outcome) SELECT id, 1, host_id, now(), state FROM task;
INSERT INTO build_measurement (task_id, source_name, architecture, wall_s, cpu_s)
  SELECT id, 's' || id % 1000, 'amd64', 1, 1 FROM task;
INSERT INTO task (kind, state, requirement_id) SELECT 'noop', 'free', 1 FROM generate_series(1, 200) i;
INSERT INTO event (type, task_id, build_id, body)
  SELECT 'task.created', i, i % 500, '' FROM generate_series(1, {FINISHED}) i;
ANALYZE;
"""  # noqa: S608 - a number of ours
DEEP, LIMIT = 10_000, 51
QUERIES = {
    "read_builds": (DEEP, LIMIT, None, None, None, None),
    "read_builds_of_source": (None, LIMIT, None, None, "s7", None),
    "read_builds_in_state": (None, LIMIT, None, "building", None, None),
    "read_builds_of_owner": (DEEP, LIMIT, None, None, None, "u3"),
    "read_builds_of_target": (DEEP, LIMIT, "t3", None, None, None),
    "read_tasks": (DEEP, LIMIT, None),
    "read_tasks_of_host": (DEEP, LIMIT, None, "b3"),
    "read_active_tasks_on_host": (None, LIMIT, "running", "b3"),
    "read_active_tasks": (None, LIMIT, "free"),
    "read_unsuccessful_tasks": (None, LIMIT, "failed", None),
    "read_task": (DEEP,),
    "read_attempts": (DEEP,),
    "read_attempt": (DEEP, None),
    "read_tasks_ahead": (FINISHED + 199, 1, 0),
    "environments_wanted": (),
    "measurements": ("s7", "amd64", 5),
    "read_hosts": (None, LIMIT, None, None),
    "read_event_head": (),
    "read_events": ("0", DEEP, LIMIT),
    "read_past_events": ("0", DEEP, str(2**62), 0, LIMIT, None, None),
    "read_past_events_of_build": ("0", DEEP, str(2**62), 0, LIMIT, None, None, 7),
}


@pytest.fixture
async def filled(hub_database: Database) -> Database:
    await Rows(hub_database).database.execute(FILL)
    return hub_database


@pytest.mark.parametrize("plan_cache_mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_list_reads_through_what_is_finished(filled, plan_cache_mode):
    for name, args in QUERIES.items():
        assert await touched_rows(filled, SQL[name], args, plan_cache_mode) <= TOUCHED_AT_MOST, name


async def test_a_list_that_did_would_be_found_out(filled):
    query = "SELECT * FROM task_overview WHERE ($1::text IS NULL OR message = $1) ORDER BY id DESC LIMIT 50"
    assert await touched_rows(filled, query, ("none",), "force_generic_plan") >= FINISHED


async def touched_rows(database: Database, query: str, args: tuple, plan_cache_mode: str) -> int:
    """How many rows the scans of a query gave or threw away."""
    values = f"({', '.join(map(_literal, args))})" if args else ""
    async with database.transaction() as connection:
        await connection.execute(f"SET LOCAL plan_cache_mode = {plan_cache_mode}")
        await connection.execute(f"PREPARE looked_at AS {query}")
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looked_at {values}")
        await connection.execute("DEALLOCATE looked_at")
    return _touched(explained[0]["Plan"])


def _literal(value: object) -> str:
    return "NULL" if value is None else f"'{value}'"


def _touched(node: dict) -> int:
    below = sum(map(_touched, node.get("Plans", [])))
    if not node["Node Type"].endswith("Scan"):
        return below
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return below + int(rows * node["Actual Loops"])
