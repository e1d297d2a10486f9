-- migrate:up

-- What is built and where -------------------------------------------------------------------------------------------

CREATE TABLE suite (
  name        text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9.-]{0,62}$'),
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE target (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name               text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  suite              text NOT NULL REFERENCES suite,
  architectures      text[] NOT NULL CHECK (cardinality(architectures) > 0),
  components         text[] NOT NULL CHECK (cardinality(components) > 0),
  required_tags      text[] NOT NULL DEFAULT '{}',
  require_signature  boolean NOT NULL DEFAULT false,
  created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE blob (
  sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
  size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE source_package (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name  text NOT NULL UNIQUE
);

CREATE TABLE source_version (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source_package_id  bigint NOT NULL REFERENCES source_package,
  version            text NOT NULL,
  version_key        bytea NOT NULL,
  dsc_sha256         bytea NOT NULL REFERENCES blob,
  dsc_name           text NOT NULL,
  control            text NOT NULL,
  architectures      text[] NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source_package_id, version, dsc_sha256)
);

CREATE TABLE source_file (
  source_version_id  bigint NOT NULL REFERENCES source_version ON DELETE CASCADE,
  name               text NOT NULL CHECK (name !~ '/' AND name !~ '^\.'),
  sha256             bytea NOT NULL REFERENCES blob,
  size_bytes         bigint NOT NULL CHECK (size_bytes >= 0),
  PRIMARY KEY (source_version_id, name)
);

-- Builds, tasks, attempts, hosts ------------------------------------------------------------------------------------

CREATE TABLE build (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target_id          bigint NOT NULL REFERENCES target,
  source_name        text NOT NULL,
  version            text,
  source_version_id  bigint REFERENCES source_version,
  architectures      text[] NOT NULL DEFAULT '{}',
  required_tags      text[] NOT NULL DEFAULT '{}',
  state              text NOT NULL DEFAULT 'building'
                     CHECK (state IN ('building', 'publishing', 'completed', 'failed', 'canceled')),
  scratch            boolean NOT NULL,
  owner              text NOT NULL,
  priority           integer NOT NULL DEFAULT 0,
  message            text NOT NULL DEFAULT '',
  generation         bigint,
  created_at         timestamptz NOT NULL DEFAULT now(),
  ended_at           timestamptz,
  CHECK ((state IN ('completed', 'failed', 'canceled')) = (ended_at IS NOT NULL)),
  CHECK (state <> 'publishing' OR generation IS NOT NULL)
);
COMMENT ON COLUMN build.generation IS 'archive generation that will hold its packages';
-- One build at a time of a version in a target.
CREATE UNIQUE INDEX build_one_active ON build (target_id, source_name, version)
  WHERE NOT scratch AND version IS NOT NULL AND state IN ('building', 'publishing');
CREATE INDEX build_by_state ON build (state, id);
CREATE INDEX build_by_target ON build (target_id, id);
CREATE INDEX build_by_source ON build (source_name, id);
CREATE INDEX build_by_owner ON build (owner, id);

CREATE TABLE build_dependency (
  build_id  bigint NOT NULL REFERENCES build ON DELETE CASCADE,
  after_id  bigint NOT NULL REFERENCES build,
  PRIMARY KEY (build_id, after_id),
  CHECK (after_id < build_id)
);
CREATE INDEX build_dependency_after ON build_dependency (after_id);

CREATE TABLE host (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name               text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9+._-]{0,62}$'),
  principal          text NOT NULL,
  state              text NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'disabled', 'draining')),
  online             boolean NOT NULL DEFAULT true,
  leaving            boolean NOT NULL DEFAULT false,
  architectures      text[] NOT NULL CHECK (cardinality(architectures) > 0),
  tags               text[] NOT NULL DEFAULT '{}',
  cpu                integer NOT NULL CHECK (cpu >= 0),
  memory_bytes       bigint NOT NULL CHECK (memory_bytes >= 0),
  disk_bytes         bigint NOT NULL CHECK (disk_bytes >= 0),
  versions           jsonb NOT NULL DEFAULT '{}',
  load_1m            double precision NOT NULL DEFAULT 0,
  last_heartbeat_at  timestamptz,
  registered_at      timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN host.leaving IS 'the builder itself said that it drains; state is what operators say';

-- What a task asks of a host. Tasks that ask for the same share a row, so that the scheduler looks at classes of
-- tasks and never at each of a long queue.
CREATE TABLE requirement (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  architecture   text NOT NULL,
  required_tags  text[] NOT NULL,
  cpu            integer NOT NULL CHECK (cpu >= 0),
  memory_bytes   bigint NOT NULL CHECK (memory_bytes >= 0),
  disk_bytes     bigint NOT NULL CHECK (disk_bytes >= 0),
  UNIQUE (architecture, required_tags, cpu, memory_bytes, disk_bytes)
);
COMMENT ON COLUMN requirement.architecture IS 'empty: any';

CREATE TABLE task (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  build_id        bigint REFERENCES build,
  kind            text NOT NULL CHECK (kind IN ('fetch-source', 'build-package', 'noop')),
  architecture    text NOT NULL DEFAULT '',
  label           text NOT NULL DEFAULT '',
  state           text NOT NULL
                  CHECK (state IN ('blocked', 'free', 'assigned', 'running', 'completed', 'failed', 'canceled')),
  blocked_reason  text CHECK (blocked_reason IN ('tasks', 'build-dependencies', 'archive', 'person')),
  missing         text[] NOT NULL DEFAULT '{}',
  attempt         integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  max_attempts    integer NOT NULL DEFAULT 3 CHECK (max_attempts > 0),
  priority        integer NOT NULL DEFAULT 0,
  requirement_id  bigint NOT NULL REFERENCES requirement,
  host_id         bigint REFERENCES host,
  lease_until     timestamptz,
  payload         jsonb NOT NULL DEFAULT '{}',
  failure_class   text,
  message         text NOT NULL DEFAULT '',
  created_at      timestamptz NOT NULL DEFAULT now(),
  assigned_at     timestamptz,
  started_at      timestamptz,
  ended_at        timestamptz,
  CONSTRAINT blocked_says_why CHECK ((state = 'blocked') = (blocked_reason IS NOT NULL)),
  CONSTRAINT leased_while_on_a_host CHECK ((state IN ('assigned', 'running')) = (lease_until IS NOT NULL)),
  CONSTRAINT has_host_while_on_one CHECK (state NOT IN ('assigned', 'running') OR host_id IS NOT NULL),
  CONSTRAINT ended_when_terminal CHECK ((state IN ('completed', 'failed', 'canceled')) = (ended_at IS NOT NULL)),
  CONSTRAINT kind_has_build CHECK ((kind = 'noop') = (build_id IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX task_free ON task (requirement_id, priority DESC, id) WHERE state = 'free';
CREATE INDEX task_on_host ON task (host_id, id) WHERE state IN ('assigned', 'running');
CREATE INDEX task_lease ON task (lease_until) WHERE state IN ('assigned', 'running');
CREATE INDEX task_blocked ON task (id) WHERE state = 'blocked';
CREATE INDEX task_unsuccessful ON task (state, id) WHERE state IN ('failed', 'canceled');
CREATE INDEX task_of_build ON task (build_id, id) WHERE build_id IS NOT NULL;
CREATE UNIQUE INDEX task_one_of_a_kind ON task (build_id, kind, architecture) WHERE build_id IS NOT NULL;

CREATE TABLE task_dependency (
  task_id   bigint NOT NULL REFERENCES task ON DELETE CASCADE,
  needs_id  bigint NOT NULL REFERENCES task,
  PRIMARY KEY (task_id, needs_id),
  CHECK (task_id <> needs_id)
);
CREATE INDEX task_dependency_needs ON task_dependency (needs_id);

CREATE TABLE attempt (
  task_id        bigint NOT NULL REFERENCES task ON DELETE CASCADE,
  attempt        integer NOT NULL CHECK (attempt > 0),
  host_id        bigint NOT NULL REFERENCES host,
  assigned_at    timestamptz NOT NULL DEFAULT now(),
  started_at     timestamptz,
  ended_at       timestamptz,
  outcome        text CHECK (outcome IN ('completed', 'failed', 'canceled', 'freed', 'blocked')),
  failure_class  text,
  message        text NOT NULL DEFAULT '',
  stages         jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (task_id, attempt),
  CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX attempt_on_host ON attempt (host_id, task_id);

CREATE TABLE artifact (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id     bigint NOT NULL REFERENCES task,
  build_id    bigint REFERENCES build,
  name        text NOT NULL CHECK (name !~ '/' AND name !~ '^\.'),
  kind        text NOT NULL CHECK (kind IN ('deb', 'udeb', 'ddeb', 'changes', 'buildinfo', 'dsc', 'source', 'log')),
  sha256      bytea NOT NULL REFERENCES blob,
  size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
  created_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (task_id, name)
);
CREATE INDEX artifact_of_build ON artifact (build_id, id);

-- Archives ----------------------------------------------------------------------------------------------------------

CREATE TABLE archive (
  id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target_id             bigint NOT NULL UNIQUE REFERENCES target,
  wanted_generation     bigint NOT NULL DEFAULT 1,
  published_generation  bigint NOT NULL DEFAULT 0,
  published_at          timestamptz,
  CHECK (published_generation <= wanted_generation)
);
COMMENT ON COLUMN archive.wanted_generation IS 'raised by every change of the contents; the publisher catches up with it';

CREATE TABLE binary_package (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  package       text NOT NULL,
  version       text NOT NULL,
  version_key   bytea NOT NULL,
  architecture  text NOT NULL,
  source        text NOT NULL,
  udeb          boolean NOT NULL DEFAULT false,
  control       text NOT NULL,
  file_name     text NOT NULL,
  sha256        bytea NOT NULL REFERENCES blob,
  size_bytes    bigint NOT NULL,
  UNIQUE (package, version, architecture, sha256)
);
COMMENT ON COLUMN binary_package.control IS 'the control stanza of the .deb as it is, without Filename, Size and digests';

CREATE TABLE archive_binary (
  archive_id         bigint NOT NULL REFERENCES archive,
  package            text NOT NULL,
  version            text NOT NULL,
  architecture       text NOT NULL,
  binary_package_id  bigint NOT NULL REFERENCES binary_package,
  build_id           bigint REFERENCES build,
  generation         bigint NOT NULL,
  added_at           timestamptz NOT NULL DEFAULT now(),
  -- the same version with other content is refused here, whoever asks
  PRIMARY KEY (archive_id, package, version, architecture)
);
CREATE INDEX archive_binary_generation ON archive_binary (archive_id, generation);

CREATE TABLE archive_source (
  archive_id         bigint NOT NULL REFERENCES archive,
  package            text NOT NULL,
  version            text NOT NULL,
  source_version_id  bigint NOT NULL REFERENCES source_version,
  build_id           bigint REFERENCES build,
  generation         bigint NOT NULL,
  added_at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (archive_id, package, version)
);
CREATE INDEX archive_source_generation ON archive_source (archive_id, generation);

CREATE TABLE snapshot (
  archive_id    bigint NOT NULL REFERENCES archive,
  name          text NOT NULL CHECK (name ~ '^[0-9]{8}T[0-9]{6}Z(-[0-9]+)?$'),
  generation    bigint NOT NULL,
  packages      bigint NOT NULL,
  published_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (archive_id, name),
  UNIQUE (archive_id, generation)
);

-- Events, delivery, leadership --------------------------------------------------------------------------------------

CREATE TABLE event (
  seq   bigint GENERATED ALWAYS AS IDENTITY,
  xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at    timestamptz NOT NULL DEFAULT now(),
  type  text NOT NULL,
  task_id   bigint,
  build_id  bigint,
  body  text NOT NULL,
  PRIMARY KEY (xid, seq)
);
COMMENT ON TABLE event IS 'the record that server-sent events resume from; in commit order by (xid, seq) below the oldest running transaction';
CREATE INDEX event_of_build ON event (build_id, xid, seq) WHERE build_id IS NOT NULL;
CREATE INDEX event_at ON event USING brin (at);

CREATE TABLE outbox (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  exchange      text NOT NULL,
  routing_key   text NOT NULL,
  content_type  text NOT NULL,
  body          bytea NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbox IS 'messages not yet confirmed by the broker; written with the change that they tell of';

CREATE TABLE inbox (
  consumer     text NOT NULL,
  event_id     uuid NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_received ON inbox USING brin (received_at);

CREATE TABLE scheduler_lease (
  singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch       bigint NOT NULL,
  holder      text NOT NULL,
  expires_at  timestamptz NOT NULL
);
INSERT INTO scheduler_lease (epoch, holder, expires_at) VALUES (0, '', '-infinity');

CREATE TABLE idempotency_key (
  principal   text NOT NULL,
  key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
  request     bytea NOT NULL,
  result_id   bigint NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (principal, key)
);
COMMENT ON COLUMN idempotency_key.request IS 'SHA-256 of method, path and body: the same key with another request is refused';

-- What people and programs read -------------------------------------------------------------------------------------

-- The name is looked up, not joined: a join would lead some plans away from the index that a list reads along.
CREATE VIEW build_overview AS
  SELECT id, (SELECT name FROM target WHERE target.id = target_id) AS target, target_id, source_name AS source, version,
         state, scratch, owner, priority, message, created_at, ended_at, source_version_id
  FROM build;

CREATE VIEW task_overview AS
  SELECT task.id, task.build_id, task.kind, task.architecture, task.state, task.attempt, host.name AS host,
         task.blocked_reason, task.failure_class, task.message, task.created_at, task.assigned_at, task.started_at,
         task.ended_at, task.label, task.priority, task.max_attempts, task.missing, task.lease_until,
         task.requirement_id, task.host_id
  FROM task LEFT JOIN host ON host.id = task.host_id;

-- migrate:down

DROP VIEW build_overview, task_overview;
DROP TABLE idempotency_key, scheduler_lease, inbox, outbox, event, snapshot, archive_source, archive_binary,
  binary_package, archive, artifact, attempt, task_dependency, task, requirement, host, build_dependency, build,
  source_file, source_version, source_package, blob, target, suite CASCADE;
