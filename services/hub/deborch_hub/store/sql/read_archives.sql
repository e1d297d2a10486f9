-- name: read_archives
-- Archives by their target's name, behind $1, or the one of target $3.
SELECT archive.id, target.name AS target, target.suite, target.architectures, published_generation, published_at
FROM archive JOIN target ON target.id = target_id
WHERE target.name > coalesce($1::text, '') AND ($3::text IS NULL OR target.name = $3)
ORDER BY target.name LIMIT $2

-- name: read_archive_totals
-- What one published generation of an archive holds.
SELECT
  (SELECT count(*) FROM archive_binary WHERE archive_id = $1 AND generation <= $2) AS packages,
  (SELECT count(*) FROM archive_source WHERE archive_id = $1 AND generation <= $2) AS sources,
  (SELECT coalesce(sum(p.size_bytes), 0)::bigint FROM archive_binary b JOIN binary_package p ON p.id = binary_package_id
   WHERE b.archive_id = $1 AND b.generation <= $2) AS size_bytes

-- name: read_snapshots
-- Snapshots of an archive, newest first, before generation $3.
SELECT name, generation, published_at, packages FROM snapshot
WHERE archive_id = $1 AND generation < coalesce($3, 9223372036854775807) ORDER BY generation DESC LIMIT $2

-- name: read_packages
-- The published binary packages of an archive, behind ($3, $4, $5).
SELECT b.package, b.version, b.architecture, p.source, p.sha256, p.size_bytes, b.added_at, b.build_id
FROM archive_binary b JOIN binary_package p ON p.id = b.binary_package_id
WHERE b.archive_id = $1 AND b.generation <= (SELECT published_generation FROM archive WHERE id = $1)
  AND (b.package, b.version, b.architecture) > ($3::text, $4::text, $5::text)
ORDER BY b.package, b.version, b.architecture LIMIT $2
