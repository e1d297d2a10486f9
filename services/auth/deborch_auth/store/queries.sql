-- name: insert_key
-- A new key. A second active key of one host breaks the index api_key_one_active_of_a_host.
INSERT INTO api_key (id, kind, name, role, scopes, host, digest, created_at, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: key_by_id
-- One key, revoked and expired ones too: the caller says why it is refused.
SELECT * FROM api_key WHERE id = $1;

-- name: keys_page
-- Up to $2 keys older than number $1 (null: from the newest on), newest first.
SELECT * FROM api_key WHERE $1::bigint IS NULL OR number < $1 ORDER BY number DESC LIMIT $2;

-- name: active_key_of_host
-- The one key with which host $1 can authenticate now.
SELECT * FROM api_key WHERE host = $1 AND revoked_at IS NULL;

-- name: touch_key
-- Note that key $1 was used at $2, at most once a minute so that busy keys do not churn the table.
UPDATE api_key SET last_used_at = $2::timestamptz
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2::timestamptz - interval '1 minute');

-- name: lock_keys
-- Take turns with every other writer of keys until the transaction ends; readers go on.
LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE;

-- name: active_admins
-- Ids of the keys that can administer at time $1: admin, not narrowed by scopes, not revoked, not expired.
SELECT id FROM api_key
WHERE role = 'admin' AND scopes = '{}' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1);

-- name: revoke_key
-- Revoke key $1 at $2 by $3; no row if it is revoked already or not there.
UPDATE api_key SET revoked_at = $2, revoked_by = $3 WHERE id = $1 AND revoked_at IS NULL RETURNING *;

-- name: insert_enrolment
-- Permission for host $2 to get its service key once, until $6.
INSERT INTO enrolment_token (id, host, digest, created_at, created_by, expires_at, role)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: enrolment_by_id
-- One enrolment, used and expired ones too: the caller says why it is refused.
SELECT * FROM enrolment_token WHERE id = $1;

-- name: use_enrolment
-- Spend enrolment $1 on key $3 at $2; no row if it is spent or expired, so that it is spent once whoever races.
UPDATE enrolment_token SET used_at = $2, key_id = $3
WHERE id = $1 AND used_at IS NULL AND expires_at > $2 RETURNING id;

-- name: valid_signing_keys
-- The keys whose tokens may still be valid at $1, the newest first.
SELECT * FROM signing_key WHERE expires_at > $1 ORDER BY created_at DESC, id;

-- name: lock_signing_keys
-- Take turns with the other replicas that want to make a signing key, until the transaction ends.
LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE;

-- name: insert_signing_key
-- A new signing key; the public part is a JWK (RFC 7517), the private part is sealed.
INSERT INTO signing_key (id, public, sealed, created_at, signs_until, expires_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: delete_expired_signing_keys
-- Forget the keys whose last token has expired by $1.
DELETE FROM signing_key WHERE expires_at <= $1;
