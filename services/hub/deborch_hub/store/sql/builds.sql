-- name: target_by_name
-- A target as builds need it.
SELECT id, name, suite, architectures, components, required_tags, require_signature FROM target WHERE name = $1

-- name: target_of_build
-- The target that a build belongs to.
SELECT target.id, target.name, target.suite, target.architectures, target.components, target.required_tags,
       target.require_signature
FROM target JOIN build ON build.target_id = target.id WHERE build.id = $1

-- name: insert_suite
-- A Debian suite that targets build against.
INSERT INTO suite (name) VALUES ($1) ON CONFLICT DO NOTHING

-- name: insert_target
-- A target with its archive; nothing if the name is there.
WITH made AS (
  INSERT INTO target (name, suite, architectures, components, required_tags, require_signature)
  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING RETURNING id
)
INSERT INTO archive (target_id) SELECT id FROM made RETURNING id

-- name: known_blobs
-- Which of these digests the blob store has, with their sizes.
SELECT sha256, size_bytes FROM blob WHERE sha256 = ANY($1::bytea[])

-- name: record_blob
-- A blob has become visible in the store.
INSERT INTO blob (sha256, size_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: source_package_id
-- A source package by name, made if it is new.
WITH made AS (INSERT INTO source_package (name) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id)
SELECT id FROM made UNION ALL SELECT id FROM source_package WHERE name = $1 LIMIT 1

-- name: source_version_id
-- A source version by its .dsc, made if it is new.
WITH made AS (
  INSERT INTO source_version (source_package_id, version, version_key, dsc_sha256, dsc_name, control, architectures)
  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id
)
SELECT id, true AS made FROM made
UNION ALL
SELECT id, false FROM source_version WHERE source_package_id = $1 AND version = $2 AND dsc_sha256 = $4
LIMIT 1

-- name: insert_source_file
-- One file that a .dsc names.
INSERT INTO source_file (source_version_id, name, sha256, size_bytes) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: source_in_archive
-- The source of that name and version that the target's archive holds.
SELECT source_version.id, source_version.dsc_sha256
FROM archive_source
JOIN archive ON archive.id = archive_source.archive_id
JOIN source_version ON source_version.id = archive_source.source_version_id
WHERE archive.target_id = $1 AND archive_source.package = $2 AND archive_source.version = $3

-- name: active_build
-- The build of that version in the target that is under way.
SELECT id FROM build
WHERE target_id = $1 AND source_name = $2 AND version = $3 AND NOT scratch AND state IN ('building', 'publishing')

-- name: insert_build
-- A new build.
INSERT INTO build (target_id, source_name, version, source_version_id, architectures, required_tags, scratch, owner,
                   priority)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id

-- name: set_build_source
-- The source that a fetch found.
UPDATE build SET version = $2, source_version_id = $3 WHERE id = $1

-- name: add_build_dependency
-- This build waits until that one is published.
INSERT INTO build_dependency (build_id, after_id) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: builds_in_states
-- The states of the builds that a new one shall wait for, locked: none is published before the new one is there.
SELECT id, state, target_id FROM build WHERE id = ANY($1::bigint[]) ORDER BY id FOR SHARE

-- name: unpublished_predecessors
-- How many of the builds that this one waits for are not published yet.
SELECT count(*) FROM (
  SELECT b.state FROM build_dependency d JOIN build b ON b.id = d.after_id WHERE d.build_id = $1 FOR SHARE OF b
) AS predecessor WHERE state <> 'completed'

-- name: lock_build
-- A build, so that only one report at a time decides on it.
SELECT build.id, build.target_id, build.source_name, build.version, build.source_version_id, build.architectures,
       build.required_tags, build.state, build.scratch, build.owner, build.priority, build.generation,
       target.name AS target
FROM build JOIN target ON target.id = build.target_id WHERE build.id = $1 FOR UPDATE OF build

-- name: set_build_state
-- Move a build; `ended_at` follows from the state.
UPDATE build SET state = $2, message = $3, generation = coalesce($4, generation),
  ended_at = CASE WHEN $2 IN ('completed', 'failed', 'canceled') THEN now() END
WHERE id = $1

-- name: source_files_of_version
-- The files of a source version, for the payload of a build task.
SELECT name, sha256, size_bytes FROM source_file WHERE source_version_id = $1 ORDER BY name

-- name: source_version
-- A source version with its .dsc.
SELECT source_version.id, source_version.version, source_version.dsc_sha256, source_version.dsc_name,
       source_version.architectures, source_version.control, source_package.name, blob.size_bytes AS dsc_size_bytes
FROM source_version
JOIN source_package ON source_package.id = source_version.source_package_id
JOIN blob ON blob.sha256 = source_version.dsc_sha256
WHERE source_version.id = $1

-- name: insert_artifact
-- A result of a task; a repeated report of the same attempt finds it there.
INSERT INTO artifact (task_id, build_id, name, kind, sha256, size_bytes) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (task_id, name) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes, kind = excluded.kind

-- name: package_artifacts_of_build
-- The packages that the tasks of a build have made.
SELECT artifact.name, artifact.sha256, artifact.size_bytes FROM artifact
WHERE build_id = $1 AND kind IN ('deb', 'udeb', 'ddeb') ORDER BY name

-- name: builds_to_archive
-- Builds whose tasks have all been completed and whose packages are not in the archive yet.
SELECT build.id FROM build
WHERE build.state = 'building' AND NOT build.scratch
  AND EXISTS (SELECT FROM task WHERE task.build_id = build.id AND task.kind = 'build-package')
  AND NOT EXISTS (SELECT FROM task WHERE task.build_id = build.id AND task.state <> 'completed')
ORDER BY build.id LIMIT 50

-- name: claim_idempotency_key
-- Take the key for this request; nothing if it was used before.
INSERT INTO idempotency_key (principal, key, request, result_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING result_id

-- name: lock_idempotency_key
-- One request with this key at a time: a second one waits, and then finds what the first has made.
SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 0))

-- name: idempotent_result
-- What the key was used for before.
SELECT request, result_id FROM idempotency_key WHERE principal = $1 AND key = $2
