-- Every list has one query for each filter that leads it, so that it reads along an index whatever is in the tables;
-- the other filters, null if not asked for, only leave out rows.

-- name: read_builds
-- The newest builds before id $1.
SELECT * FROM build_overview WHERE id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR target = $3) AND ($4::text IS NULL OR state = $4)
  AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR owner = $6)
ORDER BY id DESC LIMIT $2

-- name: read_builds_of_source
-- The same, led by the source package.
SELECT * FROM build_overview WHERE source = $5 AND id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR target = $3) AND ($4::text IS NULL OR state = $4) AND ($6::text IS NULL OR owner = $6)
ORDER BY source DESC, id DESC LIMIT $2

-- name: read_builds_in_state
-- The same, led by the state.
SELECT * FROM build_overview WHERE state = $4 AND id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR target = $3) AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR owner = $6)
ORDER BY state DESC, id DESC LIMIT $2

-- name: read_builds_of_owner
-- The same, led by the owner.
SELECT * FROM build_overview WHERE owner = $6 AND id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR target = $3) AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR source = $5)
ORDER BY owner DESC, id DESC LIMIT $2

-- name: read_builds_of_target
-- The same, led by the target.
SELECT * FROM build_overview WHERE target_id = (SELECT id FROM target WHERE name = $3)
  AND id < coalesce($1, 9223372036854775807)
  AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR owner = $6)
ORDER BY target_id DESC, id DESC LIMIT $2

-- name: read_build
-- One build.
SELECT * FROM build_overview WHERE id = $1

-- name: source_of_build
-- What a build is of.
SELECT source_name FROM build WHERE id = $1

-- name: read_source_files
-- The files of a source version, its .dsc first.
SELECT dsc_name AS name, dsc_sha256 AS sha256, blob.size_bytes, 0 AS place
FROM source_version JOIN blob ON blob.sha256 = dsc_sha256 WHERE source_version.id = $1
UNION ALL
SELECT name, sha256, size_bytes, 1 FROM source_file
WHERE source_version_id = $1 AND sha256 <> (SELECT dsc_sha256 FROM source_version WHERE id = $1)
ORDER BY place, name

-- name: read_builds_waited_for
-- The builds that a build was told to come after.
SELECT after_id AS id, build.state FROM build_dependency JOIN build ON build.id = after_id
WHERE build_id = $1 ORDER BY after_id

-- name: read_artifacts
-- The newest artifacts before id $1.
SELECT id, build_id, task_id, name, kind, sha256, size_bytes FROM artifact
WHERE id < coalesce($1, 9223372036854775807) ORDER BY id DESC LIMIT $2

-- name: read_artifacts_of_build
-- Artifacts of a build, and of one of its tasks if $4 says so.
SELECT id, build_id, task_id, name, kind, sha256, size_bytes FROM artifact
WHERE build_id = $3 AND id < coalesce($1, 9223372036854775807) AND ($4::bigint IS NULL OR task_id = $4)
ORDER BY id DESC LIMIT $2

-- name: read_artifacts_of_task
-- Artifacts of a task.
SELECT id, build_id, task_id, name, kind, sha256, size_bytes FROM artifact
WHERE task_id = $3 AND id < coalesce($1, 9223372036854775807) ORDER BY id + 0 DESC LIMIT $2

-- name: read_artifact
-- One artifact.
SELECT id, build_id, task_id, name, kind, sha256, size_bytes FROM artifact WHERE id = $1

-- name: read_blob
-- The size of a blob that is whole and recorded.
SELECT size_bytes FROM blob WHERE sha256 = $1
