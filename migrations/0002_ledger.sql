-- The ledger: what was asked, and every attempt at every segment of the answer. Append-only.
-- All ids are UUIDs of version 7, made by the gateway: a range of ids is a range of time, so tables are cut by id.

CREATE TABLE requests (
    id             uuid        NOT NULL,
    tenant_id      uuid        NOT NULL,
    key_id         uuid        NOT NULL,
    model          text        NOT NULL,
    policy         text        NOT NULL,
    policy_version text        NOT NULL,
    propensity     float8      CHECK (propensity > 0 AND propensity <= 1),
    endpoint       text        NOT NULL,
    is_stream      boolean     NOT NULL,
    choices        bigint      NOT NULL CHECK (choices BETWEEN 0 AND 9000000000000000),
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('completed', 'client_gone', 'failed', 'cut')),
    finish         text        NOT NULL,
    error_code     text,
    degraded       text,
    calls          bigint      NOT NULL CHECK (calls BETWEEN 0 AND 9000000000000000),
    malformed      bigint      NOT NULL CHECK (malformed BETWEEN 0 AND 9000000000000000),
    prompt_tokens  bigint      NOT NULL CHECK (prompt_tokens BETWEEN 0 AND 9000000000000000),
    slm_tokens     bigint      NOT NULL CHECK (slm_tokens BETWEEN 0 AND 9000000000000000),
    llm_tokens     bigint      NOT NULL CHECK (llm_tokens BETWEEN 0 AND 9000000000000000),
    command_tokens bigint      NOT NULL CHECK (command_tokens BETWEEN 0 AND 9000000000000000),
    visible_tokens bigint      NOT NULL CHECK (visible_tokens BETWEEN 0 AND 9000000000000000),
    tags           jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX requests_tenant_id_idx ON requests (tenant_id, id);
COMMENT ON TABLE requests IS 'One row per admitted request. Append-only; written in one statement with its segments.';
COMMENT ON COLUMN requests.model IS 'The public model name that the caller asked for.';
COMMENT ON COLUMN requests.propensity IS 'The probability of the choice that was drawn at random; NULL when none was.';
COMMENT ON COLUMN requests.degraded IS 'Why the relay went on without the LLM; NULL when it did not.';
COMMENT ON COLUMN requests.tags IS 'The chosen members of metadata, and user, as the caller sent them.';
COMMENT ON COLUMN requests.finish IS 'The finish reasons of the choices, joined by commas.';

CREATE TABLE segments (
    request_id      uuid        NOT NULL,
    choice          bigint      NOT NULL CHECK (choice BETWEEN 0 AND 9000000000000000),
    seq             bigint      NOT NULL CHECK (seq BETWEEN 0 AND 9000000000000000),
    attempt         bigint      NOT NULL CHECK (attempt BETWEEN 1 AND 9000000000000000),
    role            text        NOT NULL CHECK (role IN ('slm', 'llm')),
    model           text        NOT NULL,
    upstream        text        NOT NULL,
    requested       bigint      CHECK (requested BETWEEN 0 AND 9000000000000000),
    granted         bigint      CHECK (granted BETWEEN 0 AND 9000000000000000),
    prompt_tokens   bigint      CHECK (prompt_tokens BETWEEN 0 AND 9000000000000000),
    cached_tokens   bigint      CHECK (cached_tokens BETWEEN 0 AND 9000000000000000),
    cache_write_tokens bigint   CHECK (cache_write_tokens BETWEEN 0 AND 9000000000000000),
    generated_tokens bigint     NOT NULL CHECK (generated_tokens BETWEEN 0 AND 9000000000000000),
    command_tokens  bigint      NOT NULL CHECK (command_tokens BETWEEN 0 AND 9000000000000000),
    source          text        NOT NULL CHECK (source IN ('reported', 'counted', 'estimated')),
    command_source  text        NOT NULL CHECK (command_source IN ('reported', 'counted', 'estimated')),
    finish          text        NOT NULL,
    started_at      timestamptz NOT NULL,
    first_token_us  bigint      CHECK (first_token_us BETWEEN 0 AND 9000000000000000),
    duration_us     bigint      NOT NULL CHECK (duration_us BETWEEN 0 AND 9000000000000000),
    error           text,
    price_id        bigint,
    cost_pico       bigint      CHECK (cost_pico >= 0),
    PRIMARY KEY (request_id, choice, seq, attempt)
) PARTITION BY RANGE (request_id);
COMMENT ON TABLE segments IS 'One row per attempt at a segment, calls that were refused before they were made included.';
COMMENT ON COLUMN segments.requested IS 'The n of the command as the SLM wrote it; NULL where no command led here.';
COMMENT ON COLUMN segments.prompt_tokens IS 'Tokens the server read, cached ones included; NULL when it did not say, which is not 0.';
COMMENT ON COLUMN segments.cached_tokens IS 'Of prompt_tokens, those read from the server''s cache; NULL when it did not say.';
COMMENT ON COLUMN segments.cache_write_tokens IS 'Of prompt_tokens, those written to the server''s cache; NULL when it did not say.';
COMMENT ON COLUMN segments.generated_tokens IS 'Tokens the server generated, those of commands and stop strings included.';
COMMENT ON COLUMN segments.source IS 'Where generated_tokens came from.';
COMMENT ON COLUMN segments.command_source IS 'Where command_tokens came from.';
COMMENT ON COLUMN segments.first_token_us IS 'Microseconds from the start to the first text.';
COMMENT ON COLUMN segments.price_id IS 'The price that held; NULL when there was none.';
COMMENT ON COLUMN segments.cost_pico IS 'Pico-dollars; NULL when nobody can say, which is not 0.';

CREATE TABLE payloads (
    request_id uuid  NOT NULL,
    part       text  NOT NULL,
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    body       bytea,
    PRIMARY KEY (request_id, part)
) PARTITION BY RANGE (request_id);
COMMENT ON TABLE payloads IS 'Text of prompts and answers, or its hash, for tenants that ask for it. Has its own retention.';
COMMENT ON COLUMN payloads.part IS 'prompt; answer.<choice>, what the caller saw; controller.<choice>, the same with the commands.';
COMMENT ON COLUMN payloads.body IS 'NULL when the tenant captures hashes only, or after a purge.';

CREATE TABLE dead_letters (
    request_id uuid        PRIMARY KEY,
    sqlstate   text        NOT NULL,
    record     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE dead_letters IS 'Requests whose rows the database refused, as JSON without payloads. Not in the usage tables.';

-- The smallest UUID of version 7 that a moment can have; the bound of partitions and of searches by time.
CREATE FUNCTION uuid7_bound(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the monthly partitions of all tables that are cut, from the month of `first` to `months_ahead` after it. Rows
-- whose id lies outside of every month, as after a leap of a clock, go to the DEFAULT partition: none is lost. A month
-- that already has rows there is left there, since moving them would break append-only; returns how many partitions
-- were made.
CREATE FUNCTION ensure_partitions(months_ahead integer, first timestamptz DEFAULT now())
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    month timestamp;
    low uuid;
    high uuid;
    partition text;
    is_taken boolean;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7236837482961125);
    FOR parent IN SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
        WHERE c.relnamespace = current_schema()::regnamespace ORDER BY 1
    LOOP
        FOR offset_months IN 0..months_ahead LOOP
            month := date_trunc('month', first AT TIME ZONE 'UTC') + make_interval(months => offset_months);
            partition := parent || to_char(month, '_YYYY_MM');
            CONTINUE WHEN to_regclass(partition) IS NOT NULL;
            low := uuid7_bound(month AT TIME ZONE 'UTC');
            high := uuid7_bound((month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= %L AND %I < %L)', parent || '_default',
                CASE parent WHEN 'requests' THEN 'id' ELSE 'request_id' END, low,
                CASE parent WHEN 'requests' THEN 'id' ELSE 'request_id' END, high) INTO is_taken;
            CONTINUE WHEN is_taken;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', partition, parent, low, high);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

CREATE TABLE requests_default PARTITION OF requests DEFAULT;
CREATE TABLE segments_default PARTITION OF segments DEFAULT;
CREATE TABLE payloads_default PARTITION OF payloads DEFAULT;
SELECT ensure_partitions(3);

-- A fact is never changed. Dropping a partition whose time has passed stays possible: it is not a DELETE.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

-- The same, but a person can be forgotten: tags of requests and notes of verdicts may be emptied by the
-- functions of forgetting, which set relaygate.forgetting for their transaction.
CREATE FUNCTION refuse_change_but_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND coalesce(current_setting('relaygate.forgetting', true), '') = 'on'
        AND to_jsonb(NEW) - ARRAY['tags', 'note'] = to_jsonb(OLD) - ARRAY['tags', 'note']
        AND coalesce(to_jsonb(NEW) ->> 'tags', '{}') = '{}' AND coalesce(to_jsonb(NEW) ->> 'note', '') = ''
    THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER requests_append_only BEFORE UPDATE OR DELETE ON requests
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_forgetting();
CREATE TRIGGER segments_append_only BEFORE UPDATE OR DELETE ON segments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER requests_no_truncate BEFORE TRUNCATE ON requests
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER segments_no_truncate BEFORE TRUNCATE ON segments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Months go as a whole, when their time has passed (0008). What has gone is written down, so that an audit stays right
-- about what is left.
CREATE TABLE pruned_partitions (
    parent    text        NOT NULL,
    month     timestamptz NOT NULL,
    partition text        NOT NULL,
    rows      bigint      NOT NULL,
    bytes     bigint      NOT NULL,
    actor     text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    pruned_at timestamptz NOT NULL DEFAULT now(),
    dropped_at timestamptz,
    PRIMARY KEY (parent, month)
);
COMMENT ON TABLE pruned_partitions IS 'Months of the ledger that are gone: detached at pruned_at, their files freed at dropped_at.';
COMMENT ON COLUMN pruned_partitions.parent IS 'The table that it was a month of.';
COMMENT ON COLUMN pruned_partitions.month IS 'Its first moment, UTC.';
COMMENT ON COLUMN pruned_partitions.partition IS 'Its own name; empty where the month had no table.';
COMMENT ON COLUMN pruned_partitions.rows IS 'Counted when it was detached.';
COMMENT ON COLUMN pruned_partitions.bytes IS 'Its size then, indexes and long values included.';
COMMENT ON COLUMN pruned_partitions.actor IS 'Who pruned.';
COMMENT ON COLUMN pruned_partitions.dropped_at IS 'NULL while its files are still there.';

-- Whether the month of that moment is gone.
CREATE FUNCTION is_pruned(moment timestamptz) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM pruned_partitions p
        WHERE p.parent = 'requests' AND p.month = date_trunc('month', moment, 'UTC'))
$$;
