-- name: archives_standing
-- For each target with an archive: whether it waits to be published, and which snapshot is.
SELECT t.name AS target, a.published_generation < a.wanted_generation AS behind, s.name AS published
FROM archive a
JOIN target t ON t.id = a.target_id
LEFT JOIN snapshot s ON s.archive_id = a.id AND s.generation = a.published_generation
ORDER BY a.id;

-- name: archive_head
-- Where the archive of the target called $1 stands, the snapshot that is published, and whether the snapshot
-- called $3 is that of generation $2 in this database (what a cache on disk claims to be made from).
SELECT a.id, a.target_id, t.architectures, a.wanted_generation, a.published_generation,
       (SELECT s.name FROM snapshot s WHERE s.archive_id = a.id AND s.generation = a.published_generation) AS published,
       EXISTS (SELECT FROM snapshot s WHERE s.archive_id = a.id AND s.generation = $2 AND s.name = $3) AS base_known
FROM archive a JOIN target t ON t.id = a.target_id
WHERE t.name = $1;

-- name: archive_binaries_changed
-- Every binary package of archive $1 that changed after generation $3 (0: all): the $2 newest versions that the
-- archive has of it, per architecture and kind.
SELECT p.package, p.version, p.version_key, p.architecture, p.udeb, p.control, p.file_name, p.size_bytes,
       encode(p.sha256, 'hex') AS sha256
FROM (
  SELECT b.id, row_number() OVER (PARTITION BY b.package, b.architecture, b.udeb
                                  ORDER BY b.version_key DESC, b.version COLLATE "C" DESC) AS place
  FROM archive_binary a JOIN binary_package b ON b.id = a.binary_package_id
  WHERE a.archive_id = $1
    AND a.package IN (SELECT c.package FROM archive_binary c WHERE c.archive_id = $1 AND c.generation > $3)
) AS ranked
JOIN binary_package p USING (id)
WHERE ranked.place <= $2;

-- name: archive_sources_changed
-- Every source package of archive $1 that changed after generation $3 (0: all): the $2 newest versions that the
-- archive has of it, with the .dsc and the files that it names.
SELECT ranked.package, v.version, v.version_key, v.control, encode(v.dsc_sha256, 'hex') AS dsc_sha256,
       v.dsc_name, d.size_bytes AS dsc_size_bytes,
       array(SELECT f.name FROM source_file f WHERE f.source_version_id = v.id ORDER BY f.name COLLATE "C") AS names,
       array(SELECT encode(f.sha256, 'hex') FROM source_file f
             WHERE f.source_version_id = v.id ORDER BY f.name COLLATE "C") AS digests,
       array(SELECT f.size_bytes FROM source_file f
             WHERE f.source_version_id = v.id ORDER BY f.name COLLATE "C") AS sizes
FROM (
  SELECT s.package, s.source_version_id, row_number() OVER (PARTITION BY s.package
    ORDER BY sv.version_key DESC, sv.version COLLATE "C" DESC) AS place
  FROM archive_source s JOIN source_version sv ON sv.id = s.source_version_id
  WHERE s.archive_id = $1
    AND s.package IN (SELECT c.package FROM archive_source c WHERE c.archive_id = $1 AND c.generation > $3)
) AS ranked
JOIN source_version v ON v.id = ranked.source_version_id
JOIN blob d ON d.sha256 = v.dsc_sha256
WHERE ranked.place <= $2;

-- name: archive_complete_builds
-- Builds of target $1 that waited for generation $2 or an earlier one are completed.
UPDATE build SET state = 'completed', ended_at = now()
WHERE target_id = $1 AND state = 'publishing' AND generation <= $2
RETURNING id;

-- name: archive_advance
-- Generation $2 of archive $1 is what readers get now; never goes back.
UPDATE archive SET published_generation = $2, published_at = now()
WHERE id = $1 AND published_generation < $2
RETURNING id;

-- name: archive_record_snapshot
-- Keep generation $2 of archive $1 readable under the name $3; it lists $4 packages.
INSERT INTO snapshot (archive_id, generation, name, packages) VALUES ($1, $2, $3, $4);

-- name: archive_forget_snapshots
-- Drop all but the $2 newest snapshots of archive $1.
DELETE FROM snapshot WHERE archive_id = $1 AND generation <= (
  SELECT generation FROM snapshot WHERE archive_id = $1 ORDER BY generation DESC OFFSET $2 LIMIT 1)
RETURNING name;

-- name: archive_snapshot_names
-- Every snapshot that archive $1 promises to keep readable.
SELECT name FROM snapshot WHERE archive_id = $1;
