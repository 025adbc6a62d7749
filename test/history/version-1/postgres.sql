CREATE SCHEMA tripline;
CREATE TABLE tripline.events (
    key bigint NOT NULL,
    workspace bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    occurred bigint NOT NULL,
    received bigint NOT NULL,
    name bigint NOT NULL,
    resource bigint NOT NULL,
    text_length bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    searched text NOT NULL COLLATE pg_catalog."C"
);
CREATE SEQUENCE tripline.events_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tripline.events_key_seq OWNED BY tripline.events.key;
CREATE TABLE tripline.labels (
    resource bigint NOT NULL,
    workspace bigint NOT NULL,
    label text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE tripline.names (
    key bigint NOT NULL,
    workspace bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C"
);
CREATE SEQUENCE tripline.names_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tripline.names_key_seq OWNED BY tripline.names.key;
CREATE TABLE tripline.related (
    event bigint NOT NULL,
    occurred bigint NOT NULL,
    resource bigint NOT NULL
);
CREATE TABLE tripline.resources (
    key bigint NOT NULL,
    workspace bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C"
);
CREATE SEQUENCE tripline.resources_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tripline.resources_key_seq OWNED BY tripline.resources.key;
CREATE TABLE tripline.versions (
    version integer NOT NULL
);
CREATE TABLE tripline.workspaces (
    key bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    "position" text DEFAULT '0-0'::text NOT NULL COLLATE pg_catalog."C",
    event_count bigint DEFAULT 0 NOT NULL,
    text_length bigint DEFAULT 0 NOT NULL
);
CREATE SEQUENCE tripline.workspaces_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tripline.workspaces_key_seq OWNED BY tripline.workspaces.key;
ALTER TABLE ONLY tripline.events ALTER COLUMN key SET DEFAULT nextval('tripline.events_key_seq'::regclass);
ALTER TABLE ONLY tripline.names ALTER COLUMN key SET DEFAULT nextval('tripline.names_key_seq'::regclass);
ALTER TABLE ONLY tripline.resources ALTER COLUMN key SET DEFAULT nextval('tripline.resources_key_seq'::regclass);
ALTER TABLE ONLY tripline.workspaces ALTER COLUMN key SET DEFAULT nextval('tripline.workspaces_key_seq'::regclass);
INSERT INTO tripline.events VALUES (1, 1, '00000000-0000-4000-8000-000000000001', 1772366400000000, 1772366400000000, 1, 1, 243, '{"occurred":"2026-03-01T12:00:00Z","event":"pump.started","resource":{"prefect.resource.id":"pump.1"},"related":[],"payload":{},"id":"00000000-0000-4000-8000-000000000001","follows":null,"received":"2026-03-01T12:00:00Z"}', 'pump.startedpump.1{}');
INSERT INTO tripline.events VALUES (2, 1, '00000000-0000-4000-8000-000000000002', 1772366400000000, 1772366400000000, 1, 1, 243, '{"occurred":"2026-03-01T12:00:00Z","event":"pump.started","resource":{"prefect.resource.id":"pump.1"},"related":[],"payload":{},"id":"00000000-0000-4000-8000-000000000002","follows":null,"received":"2026-03-01T12:00:00Z"}', 'pump.startedpump.1{}');
INSERT INTO tripline.labels VALUES (1, 1, 'prefect.resource.id', 'pump.1');
INSERT INTO tripline.names VALUES (1, 1, 'oovQ5hrwFK8tpQ8FZtPV4F', 'pump.started');
INSERT INTO tripline.resources VALUES (1, 1, 'rEWEsdCaf2hajUaDE_5vdN', 'pump.1', 'pump.1');
INSERT INTO tripline.versions VALUES (1);
INSERT INTO tripline.workspaces VALUES (1, 'greenhouse', '1-2', 2, 486);
SELECT pg_catalog.setval('tripline.events_key_seq', 2, true);
SELECT pg_catalog.setval('tripline.names_key_seq', 1, true);
SELECT pg_catalog.setval('tripline.resources_key_seq', 1, true);
SELECT pg_catalog.setval('tripline.workspaces_key_seq', 1, true);
ALTER TABLE ONLY tripline.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (key);
ALTER TABLE ONLY tripline.names
    ADD CONSTRAINT names_pkey PRIMARY KEY (key);
ALTER TABLE ONLY tripline.resources
    ADD CONSTRAINT resources_pkey PRIMARY KEY (key);
ALTER TABLE ONLY tripline.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (key);
CREATE UNIQUE INDEX events_id ON tripline.events USING btree (workspace, id);
CREATE INDEX events_name ON tripline.events USING btree (workspace, name, occurred, key, resource);
CREATE INDEX events_occurred ON tripline.events USING btree (workspace, occurred, key, name, resource);
CREATE INDEX events_received ON tripline.events USING btree (workspace, received, key);
CREATE INDEX events_resource ON tripline.events USING btree (workspace, resource, occurred, key, name);
CREATE INDEX labels_resource ON tripline.labels USING btree (resource);
CREATE INDEX labels_value ON tripline.labels USING btree (workspace, substr(label, 1, 100), substr(value, 1, 100), resource);
CREATE UNIQUE INDEX names_hash ON tripline.names USING btree (workspace, hash);
CREATE INDEX names_name ON tripline.names USING btree (workspace, substr(name, 1, 100));
CREATE UNIQUE INDEX related_event ON tripline.related USING btree (event, resource);
CREATE INDEX related_resource ON tripline.related USING btree (resource, occurred, event);
CREATE UNIQUE INDEX resources_hash ON tripline.resources USING btree (workspace, hash);
CREATE UNIQUE INDEX workspaces_name ON tripline.workspaces USING btree (name);
