-- migrate:up
ALTER TABLE api_key DROP CONSTRAINT api_key_role_check;
ALTER TABLE api_key ADD CONSTRAINT api_key_role_check
  CHECK (role IN ('viewer', 'builder', 'composer', 'developer', 'releaser', 'admin'));
ALTER TABLE api_key DROP CONSTRAINT api_key_host_is_builder;
ALTER TABLE api_key ADD CONSTRAINT api_key_host_is_machine CHECK (
  (kind = 'host') = (host IS NOT NULL) AND (kind = 'host') = (role IN ('builder', 'composer'))
);
ALTER TABLE enrolment_token ADD COLUMN role text NOT NULL DEFAULT 'builder' CHECK (role IN ('builder', 'composer'));
ALTER TABLE enrolment_token ALTER COLUMN role DROP DEFAULT;

-- migrate:down
ALTER TABLE enrolment_token DROP COLUMN role;
DELETE FROM api_key WHERE role IN ('composer', 'releaser');
ALTER TABLE api_key DROP CONSTRAINT api_key_host_is_machine;
ALTER TABLE api_key ADD CONSTRAINT api_key_host_is_builder
  CHECK ((kind = 'host') = (host IS NOT NULL) AND (kind = 'host') = (role = 'builder'));
ALTER TABLE api_key DROP CONSTRAINT api_key_role_check;
ALTER TABLE api_key ADD CONSTRAINT api_key_role_check CHECK (role IN ('viewer', 'builder', 'developer', 'admin'));
