-- name: register_composer
-- A composer announces itself; nothing comes back if the name is another principal's.
INSERT INTO composer (name, principal, architectures, slots, versions) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET architectures = excluded.architectures, slots = excluded.slots,
  versions = excluded.versions, draining = false, last_heartbeat_at = now()
WHERE composer.principal = excluded.principal
RETURNING id

-- name: composer_heartbeat
-- Composers have been heard.
UPDATE composer SET last_heartbeat_at = now(), draining = given.draining
FROM unnest($1::text[], $2::bool[]) AS given (name, draining) WHERE composer.name = given.name

-- name: renew_compose_leases
-- Leases of the composes that composers say they run; `stale` if one is not the composer's any more.
SELECT given.id, given.attempt, given.composer, renewed.id IS NULL AS stale
FROM unnest($1::bigint[], $2::int[], $3::text[]) AS given (id, attempt, composer)
LEFT JOIN LATERAL (SELECT compose.id FROM compose JOIN composer ON composer.id = compose.composer_id
  WHERE compose.id = given.id AND compose.attempt = given.attempt AND composer.name = given.composer
    AND compose.state = 'running') AS renewed ON true

-- name: extend_compose_leases
-- The leases of composes that are still their composer's.
UPDATE compose SET lease_until = now() + $4::float8 * interval '1 second'
FROM unnest($1::bigint[], $2::int[], $3::text[]) AS given (id, attempt, composer)
JOIN composer ON composer.name = given.composer
WHERE compose.id = given.id AND compose.attempt = given.attempt AND compose.composer_id = composer.id
  AND compose.state = 'running'

-- name: compose_steps
-- What running phases do now, and those that begin before they say so; gives those of which no progress was told for
-- $8 seconds, or that do something else.
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[])
    AS g (id, attempt, phase, target, step, done, total)
), before AS (
  SELECT compose_phase.compose_id, compose_phase.phase, compose_phase.target, compose_phase.step, compose_phase.told_at
  FROM compose_phase JOIN given ON given.id = compose_phase.compose_id
    AND given.phase = compose_phase.phase AND given.target = compose_phase.target
)
UPDATE compose_phase SET step = given.step, done = given.done, total = given.total, state = 'running',
  started_at = coalesce(compose_phase.started_at, now()),
  told_at = CASE WHEN before.step <> given.step OR before.told_at IS NULL
    OR before.told_at < now() - $8::float8 * interval '1 second' THEN now() ELSE before.told_at END
FROM given JOIN compose ON compose.id = given.id AND compose.attempt = given.attempt AND compose.state = 'running',
  before
WHERE compose_phase.compose_id = given.id AND compose_phase.phase = given.phase
  AND compose_phase.target = given.target AND compose_phase.state IN ('running', 'waiting')
  AND before.compose_id = given.id AND before.phase = given.phase AND before.target = given.target
RETURNING given.id, given.attempt, given.phase, given.target, given.step, given.done, given.total,
  compose_phase.told_at = now() AS tell

-- name: missing_blobs
-- Which of these the hub has not.
SELECT given.sha256 FROM unnest($1::bytea[]) AS given (sha256)
WHERE NOT EXISTS (SELECT FROM blob WHERE blob.sha256 = given.sha256)

-- name: insert_compose
-- A compose that waits for a composer.
INSERT INTO compose (name, owner, schedule_id, wanted, type, label) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id

-- name: insert_compose_files
-- The blobs of its tree.
INSERT INTO compose_file (compose_id, path, sha256) SELECT $1, * FROM unnest($2::text[], $3::bytea[])

-- name: lock_compose
-- A compose, so that nobody else decides on it in this transaction's time.
SELECT compose.*, composer.name AS composer FROM compose LEFT JOIN composer ON composer.id = compose.composer_id
WHERE compose.id = $1 FOR UPDATE OF compose

-- name: claim_compose
-- It is composer $2's now, as the next attempt.
UPDATE compose SET state = 'running', attempt = attempt + 1, lease_until = now() + $3::float8 * interval '1 second',
  started_at = now(), ended_at = NULL, failure_class = NULL, message = '',
  composer_id = (SELECT id FROM composer WHERE name = $2)
WHERE id = $1 AND state = 'requested' RETURNING attempt

-- name: move_compose
-- A move out of state $2 at attempt $3 into $4; no row if it was moved meanwhile.
UPDATE compose SET state = $4, failure_class = $5, message = $6, lease_until = NULL,
  ended_at = CASE WHEN $4 = 'requested' THEN NULL ELSE now() END,
  announced_at = CASE WHEN $4 = 'requested' THEN now() ELSE announced_at END,
  base_attempt = CASE WHEN $7 THEN attempt ELSE base_attempt END
WHERE id = $1 AND state = $2 AND attempt = $3 RETURNING id

-- name: end_compose_phases
-- Phases that were under way when the compose ended or lost its composer: $2 says what became of them.
UPDATE compose_phase SET state = $2, step = '' WHERE compose_id = $1 AND state IN ('running', 'waiting')

-- name: expired_composes
-- Composes whose composer has not renewed its lease.
SELECT id, attempt FROM compose WHERE state = 'running' AND lease_until < now() ORDER BY id

-- name: compose_lease_holds
-- Whether its composer was heard meanwhile.
SELECT lease_until >= now() FROM compose WHERE id = $1

-- name: extend_all_compose_leases
-- The hub could not hear: nobody's silence counts yet.
UPDATE compose SET lease_until = greatest(lease_until, now() + $1::float8 * interval '1 second')
WHERE state = 'running' AND EXISTS (
  SELECT FROM scheduler_lease WHERE epoch = $2 AND holder = $3 AND expires_at > clock_timestamp())

-- name: forgotten_composes
-- Composes that have waited for $1 seconds since they were announced: the call may be lost.
UPDATE compose SET announced_at = now()
WHERE state = 'requested' AND announced_at < now() - $1::float8 * interval '1 second'
RETURNING id, attempt, name, owner, wanted

-- name: plan_compose
-- The phases of an attempt replace those of the one before.
INSERT INTO compose_phase (compose_id, position, phase, target, state)
SELECT $1, g.position, g.phase, g.target, 'waiting'
FROM unnest($2::int[], $3::text[], $4::text[]) AS g (position, phase, target)

-- name: forget_compose_phases
-- What the attempt before had planned.
DELETE FROM compose_phase WHERE compose_id = $1

-- name: name_compose
-- What the engine calls it.
UPDATE compose SET engine_name = $2 WHERE id = $1

-- name: start_compose_phase
-- A phase has begun, perhaps again.
INSERT INTO compose_phase (compose_id, position, phase, target, state, started_at)
VALUES ($1, (SELECT coalesce(max(position), 0) + 1 FROM compose_phase WHERE compose_id = $1), $2, $3, 'running', now())
ON CONFLICT (compose_id, phase, target) DO UPDATE SET state = 'running', started_at = now(), message = '', step = '',
  done = 0, total = 0, told_at = NULL

-- name: end_compose_phase
-- A phase has ended.
INSERT INTO compose_phase (compose_id, position, phase, target, state, seconds, failable, message)
VALUES ($1, (SELECT coalesce(max(position), 0) + 1 FROM compose_phase WHERE compose_id = $1), $2, $3, $4, $5, $6, $7)
ON CONFLICT (compose_id, phase, target) DO UPDATE SET state = excluded.state, seconds = excluded.seconds,
  failable = excluded.failable, message = excluded.message, step = ''

-- name: insert_compose_outputs
-- What can be downloaded.
INSERT INTO compose_output (compose_id, path, kind, variant, architecture, sha256, size_bytes)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[])
ON CONFLICT DO NOTHING

-- name: insert_compose_commits
-- The commits that it made.
INSERT INTO compose_commit (compose_id, ref, commit, variant, architecture, version)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) ON CONFLICT DO NOTHING

-- name: insert_compose_image
-- An image that it pushed.
INSERT INTO compose_image (compose_id, image, digest, tags, variant) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING

-- name: insert_schedule
-- A schedule; nothing comes back if there is one of that name.
INSERT INTO compose_schedule (name, wanted, daily_at, weekdays, every_s, enabled, owner, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING RETURNING id

-- name: change_schedule
-- Switch a schedule on or off; it runs next at $3.
UPDATE compose_schedule SET enabled = $2, next_at = $3 WHERE name = $1 RETURNING id

-- name: delete_schedule
-- Its composes stay.
DELETE FROM compose_schedule WHERE name = $1 RETURNING id

-- name: due_schedules
-- Schedules whose time has come, each locked, so that of several replicas one asks for the compose.
SELECT compose_schedule.*, (SELECT state FROM compose WHERE compose.id = last_compose_id) AS last_state
FROM compose_schedule WHERE enabled AND next_at <= $1 ORDER BY id FOR UPDATE SKIP LOCKED

-- name: schedule_ran
-- It has asked for compose $3, or for none, and runs next at $2.
UPDATE compose_schedule SET last_at = next_at, next_at = $2, last_compose_id = coalesce($3, last_compose_id) WHERE id = $1

-- name: lock_published
-- Take turns with everyone who moves ref or tag $1, there or not, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('deborch published ' || $1, 0))

-- name: published_value
-- Where a ref or tag is now.
SELECT value FROM published WHERE kind = $1 AND name = $2

-- name: commit_for_ref
-- The commit that a compose made for a ref.
SELECT commit, version FROM compose_commit WHERE compose_id = $1 AND ref = $2

-- name: image_of_compose
-- The image that a compose pushed under a name.
SELECT digest FROM compose_image WHERE compose_id = $1 AND image = $2 ORDER BY digest LIMIT 1

-- name: earlier_promotion
-- The newest act that put a ref or tag at $3, or, with null, where it was before it came to be at $4.
SELECT value, compose_id, version FROM promotion
WHERE kind = $1 AND name = $2 AND CASE WHEN $3::text IS NULL
  THEN value = (SELECT previous FROM promotion WHERE kind = $1 AND name = $2 AND value = $4 AND NOT rolled_back
                ORDER BY id DESC LIMIT 1)
  ELSE value = $3 END
ORDER BY id DESC LIMIT 1

-- name: publish
-- Move a ref or tag, with the act that did it.
WITH act AS (
  INSERT INTO promotion (kind, name, value, previous, compose_id, version, promoted_by, rolled_back)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
)
INSERT INTO published (kind, name, value, promotion_id) SELECT $1, $2, $3, id FROM act
ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, promotion_id = excluded.promotion_id
RETURNING promotion_id
