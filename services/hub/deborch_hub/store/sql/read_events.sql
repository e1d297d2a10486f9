-- name: read_event_head
-- Where the record of events stands: the newest one below which nothing can appear any more.
SELECT xid::text AS xid, seq FROM event
WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY event.xid DESC, event.seq DESC LIMIT 1

-- name: read_events
-- The events after a place, in commit order, for all who watch. One that is not `settled` may still be overtaken by a
-- transaction that runs now: it is read again later.
SELECT event.xid::text AS xid, seq, type, task_id, build_id, compose_id, body,
       event.xid < (SELECT pg_snapshot_xmin(pg_current_snapshot())) AS settled
FROM event
WHERE (event.xid, seq) > ($1::text::xid8, $2::bigint)
ORDER BY event.xid, seq LIMIT $3

-- name: read_past_events
-- The events between two places for one watcher: $6 types or null, $7 task or null.
SELECT event.xid::text AS xid, seq, type, task_id, build_id, compose_id, body
FROM event
WHERE (event.xid, seq) > ($1::text::xid8, $2::bigint) AND (event.xid, seq) <= ($3::text::xid8, $4::bigint)
  AND ($6::text[] IS NULL OR type = ANY ($6)) AND ($7::bigint IS NULL OR task_id = $7)
ORDER BY event.xid, seq LIMIT $5

-- name: read_past_events_of_build
-- The same for a watcher of build $8, by that build's own index.
SELECT event.xid::text AS xid, seq, type, task_id, build_id, compose_id, body
FROM event
WHERE build_id = $8 AND (event.xid, seq) > ($1::text::xid8, $2::bigint)
  AND (event.xid, seq) <= ($3::text::xid8, $4::bigint)
  AND ($6::text[] IS NULL OR type = ANY ($6)) AND ($7::bigint IS NULL OR task_id = $7)
ORDER BY event.xid, seq LIMIT $5

-- name: read_past_events_of_compose
-- The same for a watcher of compose $8, by that compose's own index.
SELECT event.xid::text AS xid, seq, type, task_id, build_id, compose_id, body
FROM event
WHERE compose_id = $8 AND (event.xid, seq) > ($1::text::xid8, $2::bigint)
  AND (event.xid, seq) <= ($3::text::xid8, $4::bigint)
  AND ($6::text[] IS NULL OR type = ANY ($6)) AND ($7::bigint IS NULL OR task_id = $7)
ORDER BY event.xid, seq LIMIT $5
