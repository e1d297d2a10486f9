-- name: archive_lock
-- The archive of target $1, held until the caller's transaction ends: additions to one archive take turns, so that
-- whoever sees a generation sees everything below it.
SELECT a.id, a.wanted_generation, t.name AS target, t.architectures
FROM archive a JOIN target t ON t.id = a.target_id
WHERE a.target_id = $1
FOR UPDATE OF a;

-- name: archive_binary_conflicts
-- Of the packages given, those that archive $1 holds in the same version with other content.
SELECT DISTINCT p.package, p.version, p.architecture, encode(p.sha256, 'hex') AS sha256, a.build_id
FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[]) AS new (package, version, architecture, sha256)
JOIN archive_binary a USING (package, version, architecture)
JOIN binary_package p ON p.id = a.binary_package_id
WHERE a.archive_id = $1 AND p.sha256 <> new.sha256
ORDER BY p.package, p.version, p.architecture;

-- name: archive_source_control
-- The .dsc of source version $1, as it would be listed.
SELECT control FROM source_version WHERE id = $1;

-- name: archive_source_conflict
-- Source version $2 under the same name and version but with another .dsc in archive $1.
SELECT p.name AS package, new.version, encode(there.dsc_sha256, 'hex') AS sha256, a.build_id
FROM source_version new
JOIN source_package p ON p.id = new.source_package_id
JOIN archive_source a ON a.archive_id = $1 AND a.package = p.name AND a.version = new.version
JOIN source_version there ON there.id = a.source_version_id
WHERE new.id = $2 AND there.dsc_sha256 <> new.dsc_sha256;

-- name: archive_record_binaries
-- Make the binary packages known, whichever archives hold them.
INSERT INTO binary_package
  (package, version, version_key, architecture, source, udeb, control, file_name, sha256, size_bytes)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::boolean[], $7::text[],
                     $8::text[], $9::bytea[], $10::bigint[])
ON CONFLICT (package, version, architecture, sha256) DO NOTHING;

-- name: archive_add_binaries
-- Put the packages given into archive $1 as of generation $3, from build $2; what is there already stays as it is.
INSERT INTO archive_binary (archive_id, package, version, architecture, binary_package_id, build_id, generation)
SELECT $1, p.package, p.version, p.architecture, p.id, $2, $3
FROM unnest($4::text[], $5::text[], $6::text[], $7::bytea[]) AS new (package, version, architecture, sha256)
JOIN binary_package p USING (package, version, architecture, sha256)
ON CONFLICT (archive_id, package, version, architecture) DO NOTHING;

-- name: archive_add_source
-- Put source version $4 into archive $1 as of generation $3, from build $2; what is there already stays as it is.
INSERT INTO archive_source (archive_id, package, version, source_version_id, build_id, generation)
SELECT $1, p.name, v.version, v.id, $2, $3
FROM source_version v JOIN source_package p ON p.id = v.source_package_id
WHERE v.id = $4
ON CONFLICT (archive_id, package, version) DO NOTHING;

-- name: archive_want_generation
-- Tell the publisher of archive $1 that generation $2 is wanted.
UPDATE archive SET wanted_generation = $2 WHERE id = $1;
