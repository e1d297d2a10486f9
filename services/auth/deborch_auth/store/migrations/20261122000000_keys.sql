-- migrate:up
CREATE TABLE api_key (
  id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  kind text NOT NULL CHECK (kind IN ('key', 'host')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  role text NOT NULL CHECK (role IN ('viewer', 'builder', 'developer', 'admin')),
  scopes text[] NOT NULL DEFAULT '{}',
  host text CHECK (host ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  expires_at timestamptz CHECK (expires_at > created_at),
  last_used_at timestamptz,
  revoked_at timestamptz,
  revoked_by text,
  CONSTRAINT api_key_host_is_builder CHECK ((kind = 'host') = (host IS NOT NULL) AND (kind = 'host') = (role = 'builder')),
  CONSTRAINT api_key_revoked_by_someone CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
COMMENT ON COLUMN api_key.number IS 'order of creation, for paging';
COMMENT ON COLUMN api_key.digest IS 'HMAC-SHA256 of the whole credential under the pepper';
CREATE UNIQUE INDEX api_key_one_active_of_a_host ON api_key (host) WHERE host IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX api_key_active_admins ON api_key (id) WHERE role = 'admin' AND revoked_at IS NULL;

CREATE TABLE enrolment_token (
  id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
  host text NOT NULL CHECK (host ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
  used_at timestamptz,
  key_id text UNIQUE REFERENCES api_key DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT enrolment_token_used_for_a_key CHECK ((used_at IS NULL) = (key_id IS NULL))
);

CREATE TABLE signing_key (
  id text PRIMARY KEY,
  public jsonb NOT NULL CHECK (public ->> 'd' IS NULL),
  sealed text NOT NULL,
  created_at timestamptz NOT NULL,
  signs_until timestamptz NOT NULL CHECK (signs_until > created_at),
  expires_at timestamptz NOT NULL CHECK (expires_at > signs_until)
);
COMMENT ON COLUMN signing_key.sealed IS 'the private key, encrypted under a key derived from the pepper (JWE)';

-- migrate:down
DROP TABLE signing_key;
DROP TABLE enrolment_token;
DROP TABLE api_key;
