-- Tenants, their keys, and the epoch by which every gateway learns that one of them changed.

CREATE TABLE tenants (
    id            uuid        PRIMARY KEY,
    name          text        NOT NULL,
    state         text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'deleted')),
    capture       text        NOT NULL DEFAULT 'none' CHECK (capture IN ('none', 'hashes', 'text')),
    default_model text        CHECK (length(default_model) BETWEEN 1 AND 256),
    tag_keys      text[]      NOT NULL DEFAULT '{}'
        CHECK (cardinality(tag_keys) <= 8 AND array_position(tag_keys, NULL) IS NULL),
    tag_limit     bigint      NOT NULL DEFAULT 1000 CHECK (tag_limit BETWEEN 1 AND 100000),
    created_at    timestamptz NOT NULL,
    CONSTRAINT tenants_name_key UNIQUE (name),
    CONSTRAINT tenants_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$')
);
COMMENT ON TABLE tenants IS 'Who uses the gateway. Deleting is a change of state: the ledger keeps pointing here.';
COMMENT ON COLUMN tenants.capture IS 'What is stored of prompts and answers: nothing, SHA-256 hashes, or the text.';
COMMENT ON COLUMN tenants.default_model IS 'The public model name that answers to the name default.';
COMMENT ON COLUMN tenants.tag_keys IS 'Members of metadata, and "user", that are kept and counted.';
COMMENT ON COLUMN tenants.tag_limit IS 'Values of one key that reports tell apart; what comes later is counted as "other".';

CREATE TABLE api_keys (
    id         uuid        PRIMARY KEY,
    tenant_id  uuid        NOT NULL REFERENCES tenants (id) ON DELETE RESTRICT,
    public_id  text        NOT NULL CHECK (public_id ~ '^[0-9A-Za-z]{12}$'),
    digest     bytea       NOT NULL CHECK (octet_length(digest) = 32),
    label      text        NOT NULL CHECK (length(label) <= 200),
    scopes     text[]      NOT NULL CHECK (
        cardinality(scopes) > 0 AND scopes <@ ARRAY['inference', 'usage.read', 'trace.read', 'admin']),
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT api_keys_public_id_key UNIQUE (public_id)
);
CREATE INDEX api_keys_tenant_id_idx ON api_keys (tenant_id);
COMMENT ON TABLE api_keys IS 'API keys. The secret is not stored: it is shown once, when the key is made.';
COMMENT ON COLUMN api_keys.public_id IS 'The part of the key that may be shown and logged.';
COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the whole key; the secret has 256 random bits, so no slow hash is needed.';

CREATE TABLE control_epoch (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch     bigint  NOT NULL
);
INSERT INTO control_epoch (epoch) VALUES (1);
COMMENT ON TABLE control_epoch IS
    'One number that grows with every change of tenants and keys; gateways poll it and drop what they remember.';

CREATE FUNCTION bump_control_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE control_epoch SET epoch = epoch + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER tenants_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenants
    FOR EACH STATEMENT EXECUTE FUNCTION bump_control_epoch();
CREATE TRIGGER api_keys_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION bump_control_epoch();
