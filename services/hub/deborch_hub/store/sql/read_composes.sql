-- name: read_composes
-- The newest composes before id $1, with filters that are null if not asked for.
SELECT * FROM compose_overview WHERE id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR name = $4)
  AND ($5::text IS NULL OR owner = $5) AND ($6::text IS NULL OR schedule = $6)
ORDER BY id DESC LIMIT $2

-- name: read_compose
-- One compose.
SELECT compose_overview.*, (SELECT count(*) FROM compose_output WHERE compose_id = id) AS outputs
FROM compose_overview WHERE id = $1

-- name: read_compose_phases
-- Its phases, in the order in which they can run.
SELECT * FROM compose_phase WHERE compose_id = $1 ORDER BY position, phase, target

-- name: read_compose_commits
-- Its commits.
SELECT * FROM compose_commit WHERE compose_id = $1 ORDER BY ref

-- name: read_compose_images
-- Its images.
SELECT * FROM compose_image WHERE compose_id = $1 ORDER BY image, digest

-- name: read_compose_outputs
-- What can be downloaded, after path $2.
SELECT * FROM compose_output WHERE compose_id = $1 AND ($2::text IS NULL OR path > $2) ORDER BY path LIMIT $3

-- name: read_compose_output
-- One file.
SELECT * FROM compose_output WHERE compose_id = $1 AND path = $2

-- name: read_composers
-- Composers after name $1, with what they run.
SELECT composer.*, last_heartbeat_at > now() - $3::float8 * interval '1 second' AS online,
       array(SELECT compose.id FROM compose WHERE composer_id = composer.id AND state = 'running' ORDER BY 1) AS running
FROM composer WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2

-- name: read_schedules
-- Schedules after name $1, or the one called $3.
SELECT * FROM compose_schedule WHERE ($1::text IS NULL OR name > $1) AND ($3::text IS NULL OR name = $3)
ORDER BY name LIMIT $2

-- name: read_published
-- Where refs or tags (kind $1) are, after name $2, or the one called $4.
SELECT published.name, published.value, promotion.compose_id, promotion.version, promotion.promoted_at,
       promotion.promoted_by
FROM published JOIN promotion ON promotion.id = promotion_id
WHERE published.kind = $1 AND ($2::text IS NULL OR published.name > $2) AND ($4::text IS NULL OR published.name = $4)
ORDER BY published.name LIMIT $3

-- name: read_promotions
-- The newest acts before id $1.
SELECT * FROM promotion WHERE id < coalesce($1, 9223372036854775807)
  AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR name = $4) ORDER BY id DESC LIMIT $2
