-- name: take_lease
-- Become or stay the scheduling replica; the epoch grows with each change of hands. Nothing if another holds it.
UPDATE scheduler_lease SET
  epoch = CASE WHEN holder = $1 AND expires_at > clock_timestamp() AND epoch = $3 THEN epoch ELSE epoch + 1 END,
  holder = $1,
  expires_at = clock_timestamp() + $2::float8 * interval '1 second'
WHERE (holder = $1 AND epoch = $3) OR expires_at <= clock_timestamp()
RETURNING epoch

-- name: lease_holds
-- Whether this replica schedules; the row stays as it is until the transaction ends.
SELECT true FROM scheduler_lease WHERE epoch = $1 AND holder = $2 AND expires_at > clock_timestamp() FOR SHARE

-- name: give_up_lease
-- A replica that stops lets the next one begin at once.
UPDATE scheduler_lease SET expires_at = '-infinity' WHERE holder = $1 AND epoch = $2

-- name: record
-- Events for those who watch, and messages for the broker, in the transaction of what they tell of.
WITH told AS (
  INSERT INTO event (type, task_id, build_id, body, compose_id)
  SELECT e.* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $10::bigint[])
    AS e(type, task_id, build_id, body, compose_id)
)
INSERT INTO outbox (id, exchange, routing_key, content_type, body)
OVERRIDING SYSTEM VALUE
SELECT m.* FROM unnest($5::bigint[], $6::text[], $7::text[], $8::text[], $9::bytea[])
  AS m(id, exchange, routing_key, content_type, body)

-- name: overdue_messages
-- Messages that were left behind: by a crash, or while the broker was away.
SELECT id, exchange, routing_key, content_type, body FROM outbox
WHERE created_at < now() - $1::float8 * interval '1 second' ORDER BY id LIMIT $2

-- name: delete_messages
-- The broker has confirmed these.
DELETE FROM outbox WHERE id = ANY($1::bigint[])

-- name: prune_events
-- Forget events past their retention, some at a time.
DELETE FROM event WHERE (xid, seq) IN (
  SELECT xid, seq FROM event WHERE at < now() - $1::float8 * interval '1 second' ORDER BY xid, seq LIMIT 5000)

-- name: prune_idempotency_keys
-- Forget keys past their retention.
DELETE FROM idempotency_key WHERE created_at < now() - $1::float8 * interval '1 second'

-- name: notify
-- Wake the other replicas: at most one such statement per flush, on a connection of its own.
SELECT pg_notify('deborch_events', ''), pg_notify('deborch_scheduler', $1)
