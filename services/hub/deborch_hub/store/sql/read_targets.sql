-- name: read_targets
-- Targets by name, behind $1.
SELECT name, suite, architectures, components, required_tags, require_signature, created_at
FROM target WHERE name > coalesce($1::text, '') ORDER BY name LIMIT $2

-- name: read_target
-- One target.
SELECT name, suite, architectures, components, required_tags, require_signature, created_at FROM target WHERE name = $1
