-- migrate:up

ALTER TABLE task ADD COLUMN traceparent text NOT NULL DEFAULT '';
COMMENT ON COLUMN task.traceparent IS 'W3C trace context of the request that made the task: the assignment links to it';

-- migrate:down

ALTER TABLE task DROP COLUMN traceparent;
