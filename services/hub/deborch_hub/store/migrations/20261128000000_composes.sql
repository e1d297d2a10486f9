-- migrate:up

CREATE TABLE composer (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name               text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  principal          text NOT NULL,
  architectures      text[] NOT NULL CHECK (cardinality(architectures) > 0),
  slots              integer NOT NULL CHECK (slots > 0),
  versions           jsonb NOT NULL DEFAULT '{}',
  draining           boolean NOT NULL DEFAULT false,
  last_heartbeat_at  timestamptz NOT NULL DEFAULT now(),
  registered_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE compose_schedule (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name             text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  wanted           jsonb NOT NULL,
  daily_at         text CHECK (daily_at ~ '^[0-9]{2}:[0-9]{2}$'),
  weekdays         text[] NOT NULL DEFAULT '{}',
  every_s          integer CHECK (every_s > 0),
  enabled          boolean NOT NULL,
  owner            text NOT NULL,
  next_at          timestamptz NOT NULL,
  last_at          timestamptz,
  last_compose_id  bigint,
  created_at       timestamptz NOT NULL DEFAULT now(),
  CHECK ((daily_at IS NULL) <> (every_s IS NULL))
);
COMMENT ON COLUMN compose_schedule.wanted IS 'the body of POST /composes that it stands for';
CREATE INDEX compose_schedule_due ON compose_schedule (next_at) WHERE enabled;

CREATE TABLE compose (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name           text NOT NULL,
  engine_name    text NOT NULL DEFAULT '',
  owner          text NOT NULL,
  schedule_id    bigint REFERENCES compose_schedule ON DELETE SET NULL,
  wanted         jsonb NOT NULL,
  type           text NOT NULL,
  label          text,
  state          text NOT NULL DEFAULT 'requested'
                 CHECK (state IN ('requested', 'running', 'finished', 'finished_incomplete', 'failed', 'canceled')),
  attempt        integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  base_attempt   integer NOT NULL DEFAULT 0 CHECK (base_attempt <= attempt),
  composer_id    bigint REFERENCES composer,
  lease_until    timestamptz,
  announced_at   timestamptz NOT NULL DEFAULT now(),
  failure_class  text,
  message        text NOT NULL DEFAULT '',
  created_at     timestamptz NOT NULL DEFAULT now(),
  started_at     timestamptz,
  ended_at       timestamptz,
  CONSTRAINT compose_leased_while_it_runs CHECK ((state = 'running') = (lease_until IS NOT NULL)),
  CONSTRAINT compose_has_composer_while_it_runs CHECK (state <> 'running' OR composer_id IS NOT NULL),
  CONSTRAINT compose_ended_when_terminal CHECK ((state NOT IN ('requested', 'running')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 80);
COMMENT ON COLUMN compose.wanted IS 'the treefile, its files and what to make of them, as the composer gets it';
COMMENT ON COLUMN compose.base_attempt IS 'the attempt at which it was last resumed: attempts are counted from there';
COMMENT ON COLUMN compose.announced_at IS 'when compose.requested was last told';
CREATE INDEX compose_by_state ON compose (state, id);
CREATE INDEX compose_by_owner ON compose (owner, id);
CREATE INDEX compose_by_name ON compose (name, id);
CREATE INDEX compose_of_schedule ON compose (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX compose_lease ON compose (lease_until) WHERE state = 'running';
CREATE INDEX compose_waiting ON compose (announced_at) WHERE state = 'requested';
ALTER TABLE compose_schedule ADD FOREIGN KEY (last_compose_id) REFERENCES compose;

CREATE TABLE compose_file (
  compose_id  bigint NOT NULL REFERENCES compose ON DELETE CASCADE,
  path        text NOT NULL,
  sha256      bytea NOT NULL REFERENCES blob,
  PRIMARY KEY (compose_id, path)
);
COMMENT ON TABLE compose_file IS 'keeps the blobs of a treefile''s tree as long as the compose';

CREATE TABLE compose_phase (
  compose_id     bigint NOT NULL REFERENCES compose ON DELETE CASCADE,
  phase          text NOT NULL,
  target         text NOT NULL DEFAULT '',
  position       integer NOT NULL,
  state          text NOT NULL
                 CHECK (state IN ('waiting', 'running', 'done', 'reused', 'failed', 'skipped', 'canceled')),
  step           text NOT NULL DEFAULT '',
  done           double precision NOT NULL DEFAULT 0,
  total          double precision NOT NULL DEFAULT 0,
  seconds        double precision NOT NULL DEFAULT 0,
  failable       boolean NOT NULL DEFAULT false,
  message        text NOT NULL DEFAULT '',
  started_at     timestamptz,
  told_at        timestamptz,
  PRIMARY KEY (compose_id, phase, target)
) WITH (fillfactor = 80);
COMMENT ON COLUMN compose_phase.told_at IS 'when the last compose.progress of it was told';

CREATE TABLE compose_output (
  compose_id    bigint NOT NULL REFERENCES compose ON DELETE CASCADE,
  path          text NOT NULL CHECK (path !~ '(^|/)\.\.?(/|$)' AND path !~ '^/'),
  kind          text NOT NULL,
  variant       text NOT NULL,
  architecture  text NOT NULL,
  sha256        bytea NOT NULL REFERENCES blob,
  size_bytes    bigint NOT NULL CHECK (size_bytes >= 0),
  PRIMARY KEY (compose_id, path)
);

CREATE TABLE compose_commit (
  compose_id    bigint NOT NULL REFERENCES compose ON DELETE CASCADE,
  ref           text NOT NULL,
  commit        text NOT NULL CHECK (commit ~ '^[0-9a-f]{64}$'),
  variant       text NOT NULL,
  architecture  text NOT NULL,
  version       text NOT NULL,
  PRIMARY KEY (compose_id, ref)
);

CREATE TABLE compose_image (
  compose_id  bigint NOT NULL REFERENCES compose ON DELETE CASCADE,
  image       text NOT NULL,
  digest      text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  tags        text[] NOT NULL DEFAULT '{}',
  variant     text NOT NULL,
  PRIMARY KEY (compose_id, image, digest)
);

-- What users of images get: refs of the OSTree remote and tags of images, and each act that has moved one.
CREATE TABLE promotion (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind         text NOT NULL CHECK (kind IN ('ref', 'tag')),
  name         text NOT NULL,
  value        text NOT NULL,
  previous     text,
  compose_id   bigint REFERENCES compose,
  version      text NOT NULL DEFAULT '',
  promoted_by  text NOT NULL,
  promoted_at  timestamptz NOT NULL DEFAULT now(),
  rolled_back  boolean NOT NULL DEFAULT false
);
CREATE INDEX promotion_of_name ON promotion (kind, name, id);

CREATE TABLE published (
  kind          text NOT NULL CHECK (kind IN ('ref', 'tag')),
  name          text NOT NULL,
  value         text NOT NULL,
  promotion_id  bigint NOT NULL REFERENCES promotion,
  PRIMARY KEY (kind, name)
);
COMMENT ON TABLE published IS 'where each ref and tag is now; the remote answers from here, so that nothing can disagree with it';

CREATE VIEW compose_overview AS
  SELECT compose.id, compose.name, engine_name, state, type, label, compose.owner, attempt, composer.name AS composer,
         (SELECT compose_schedule.name FROM compose_schedule WHERE compose_schedule.id = schedule_id) AS schedule,
         failure_class, message, compose.created_at, started_at, ended_at, lease_until, wanted
  FROM compose LEFT JOIN composer ON composer.id = compose.composer_id;

ALTER TABLE event ADD COLUMN compose_id bigint;
CREATE INDEX event_of_compose ON event (compose_id, xid, seq) WHERE compose_id IS NOT NULL;

-- migrate:down

DROP INDEX event_of_compose;
ALTER TABLE event DROP COLUMN compose_id;
DROP VIEW compose_overview;
DROP TABLE published, promotion, compose_image, compose_commit, compose_output, compose_phase, compose_file CASCADE;
DROP TABLE compose, compose_schedule, composer CASCADE;
