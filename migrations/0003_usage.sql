-- Usage by the hour and the day, and the tags that it is told apart by. Reports read these tables, never segments;
-- their rows are written in the same statement as the segments, so that they cannot disagree.

CREATE TABLE tag_values (
    tenant_id  uuid        NOT NULL,
    key        text        NOT NULL,
    value      text        NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key, value)
);
COMMENT ON TABLE tag_values IS 'Values of tags that reports tell apart: the first ones of each tenant and key.';
COMMENT ON COLUMN tag_values.key IS 'The tag''s name, one of the tenant''s tag_keys.';

-- What reports call a set of tags: of the keys that the tenant has chosen, values of at most 128 bytes that are among the
-- first of the tenant's limit; any other value is "other". Remembers new values.
--
-- A label is part of the keys of the usage tables, and an index holds rows of at most 2,704 bytes. The longest key is
-- that of usage_segments: 8 bytes of header, 48 of ids, time and role, the lengths of five texts with 4 each, four names
-- of at most 256 and the label: 8 + 48 + 5 * 4 + 4 * 256 = 1100, which leaves 1,604. So a label has at most 1,600 bytes
-- (and what PostgreSQL compresses is not counted on). Eight keys of 64 bytes with values of 128 have 8 * (64 + 128 + 6)
-- + 7 * 2 + 2 = 1600. Where keys are longer, or characters need escapes, values become "other" from the first that does
-- not fit beside what stands before it, in the order of keys; a key that does not even fit with "other" is left out.
CREATE FUNCTION report_tags(tenant uuid, tags jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    most constant integer := 1600;
    known boolean;
    room boolean;
    label jsonb := '{}';
    wider jsonb;
    chosen text[];
    tag record;
BEGIN
    IF tags = '{}' THEN RETURN ''; END IF;
    SELECT t.tag_keys INTO chosen FROM tenants t WHERE t.id = tenant;
    FOR tag IN SELECT e.key FROM jsonb_each(tags) e WHERE e.key = ANY (chosen) ORDER BY 1 LOOP
        wider := label || jsonb_build_object(tag.key, 'other');
        IF octet_length(wider::text) <= most THEN label := wider; END IF;
    END LOOP;
    IF label = '{}' THEN RETURN ''; END IF;
    FOR tag IN SELECT e.key, e.value FROM jsonb_each_text(tags) e
        WHERE label ? e.key AND octet_length(e.value) <= 128 ORDER BY 1
    LOOP
        wider := label || jsonb_build_object(tag.key, tag.value);
        CONTINUE WHEN octet_length(wider::text) > most;
        SELECT true INTO known FROM tag_values v WHERE v.tenant_id = tenant AND v.key = tag.key AND v.value = tag.value;
        IF known IS NULL THEN
            -- One tenant's values are counted by one at a time.
            PERFORM pg_advisory_xact_lock(5917, hashtext(tenant::text));
            SELECT count(v.value) < max(t.tag_limit) INTO room FROM tenants t
                LEFT JOIN tag_values v ON v.tenant_id = t.id AND v.key = tag.key WHERE t.id = tenant;
            IF room THEN
                INSERT INTO tag_values (tenant_id, key, value) VALUES (tenant, tag.key, tag.value) ON CONFLICT DO NOTHING;
                known := true;
            END IF;
        END IF;
        IF known THEN label := wider; END IF;
        known := NULL;
    END LOOP;
    RETURN label::text;
END
$$;

-- Latencies are kept as histograms that a plain sum adds up: one number, of which every twelve decimal digits are the
-- count of one bucket. Bucket 0 is below a millisecond; four buckets make a factor of two, so what is read from them is
-- within 9.1 % of the truth (the eighth root of two).
CREATE FUNCTION latency_bucket(latency interval) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN latency < interval '1 millisecond' THEN 0
        ELSE least(99, 1 + floor(5.770780163555854 * ln((extract(epoch FROM latency) * 1000)::float8))::integer) END
$$;
CREATE FUNCTION latency_unit(bucket integer) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('1' || repeat('0', 12 * bucket))::numeric
$$;

-- Batches append to these two; nobody waits for a row that another batch holds. compact_usage moves them on.
CREATE TABLE usage_request_deltas (
    tenant_id      uuid        NOT NULL,
    hour           timestamptz NOT NULL,
    key_id         uuid        NOT NULL,
    model          text        NOT NULL,
    policy         text        NOT NULL,
    tags           text        NOT NULL,
    requests       bigint      NOT NULL,
    degraded       bigint      NOT NULL,
    failed         bigint      NOT NULL,
    calls          bigint      NOT NULL,
    visible_tokens bigint      NOT NULL,
    durations      numeric     NOT NULL,
    first_tokens   numeric     NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE usage_request_deltas IS 'Requests that usage_requests does not hold yet.';
COMMENT ON COLUMN usage_request_deltas.hour IS 'The hour in which the request began, UTC.';
COMMENT ON COLUMN usage_request_deltas.model IS 'The public model name.';
COMMENT ON COLUMN usage_request_deltas.policy IS 'The policy that answered.';
COMMENT ON COLUMN usage_request_deltas.tags IS 'JSON of the tags that reports tell apart; empty when there are none.';
COMMENT ON COLUMN usage_request_deltas.degraded IS 'Those in which the relay went on without the LLM.';
COMMENT ON COLUMN usage_request_deltas.failed IS 'Those whose outcome is failed or cut.';
COMMENT ON COLUMN usage_request_deltas.calls IS 'Calls of the LLM.';
COMMENT ON COLUMN usage_request_deltas.visible_tokens IS 'Tokens that callers saw.';
COMMENT ON COLUMN usage_request_deltas.durations IS 'A histogram of latencies: see latency_bucket.';
COMMENT ON COLUMN usage_request_deltas.first_tokens IS 'A histogram of times to the first token, of requests that had one.';

CREATE TABLE usage_segment_deltas (
    tenant_id        uuid        NOT NULL,
    hour             timestamptz NOT NULL,
    key_id           uuid        NOT NULL,
    model            text        NOT NULL,
    policy           text        NOT NULL,
    tags             text        NOT NULL,
    role             text        NOT NULL,
    upstream         text        NOT NULL,
    upstream_model   text        NOT NULL,
    segments         bigint      NOT NULL,
    generated_tokens bigint      NOT NULL,
    command_tokens   bigint      NOT NULL,
    prompt_tokens    bigint      NOT NULL,
    cached_tokens    bigint      NOT NULL,
    prompts_unknown  bigint      NOT NULL,
    cost_pico        numeric     NOT NULL,
    unpriced         bigint      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE usage_segment_deltas IS 'Segments that usage_segments does not hold yet.';
COMMENT ON COLUMN usage_segment_deltas.hour IS 'The hour in which the request began, UTC.';
COMMENT ON COLUMN usage_segment_deltas.model IS 'The public model name.';
COMMENT ON COLUMN usage_segment_deltas.policy IS 'The policy that answered.';
COMMENT ON COLUMN usage_segment_deltas.tags IS 'JSON of the tags that reports tell apart; empty when there are none.';
COMMENT ON COLUMN usage_segment_deltas.role IS 'slm or llm.';
COMMENT ON COLUMN usage_segment_deltas.upstream IS 'The server, by its name in the configuration.';
COMMENT ON COLUMN usage_segment_deltas.upstream_model IS 'The name of the model that served.';
COMMENT ON COLUMN usage_segment_deltas.segments IS 'Attempts at segments.';
COMMENT ON COLUMN usage_segment_deltas.generated_tokens IS 'Tokens generated, those of commands included.';
COMMENT ON COLUMN usage_segment_deltas.prompt_tokens IS 'Tokens read, cached ones included.';
COMMENT ON COLUMN usage_segment_deltas.prompts_unknown IS 'Segments whose server did not say how many prompt tokens it read: they are not in prompt_tokens.';
COMMENT ON COLUMN usage_segment_deltas.cost_pico IS 'Pico-dollars of the segments that have a cost.';
COMMENT ON COLUMN usage_segment_deltas.unpriced IS 'Segments whose cost nobody can say.';

-- Two levels of sums, by hours and by days of UTC. Requests carry the sums of their segments, so that only a report
-- that tells servers or roles apart has to read the many rows of usage_segments.
CREATE TABLE usage_segments (
    LIKE usage_segment_deltas INCLUDING COMMENTS,
    PRIMARY KEY (tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model),
    CHECK (least(segments, generated_tokens, command_tokens, prompt_tokens, cached_tokens, prompts_unknown, cost_pico,
        unpriced) >= 0),
    CHECK (greatest(segments, generated_tokens, command_tokens, prompt_tokens, cached_tokens, prompts_unknown, unpriced)
        <= 9000000000000000)
) WITH (fillfactor = 80);
CREATE INDEX usage_segments_hour_idx ON usage_segments (hour);
COMMENT ON TABLE usage_segments IS 'Segments by the hour in which their request began. With usage_segment_deltas: all of them.';

CREATE TABLE usage_requests (
    LIKE usage_request_deltas INCLUDING COMMENTS,
    slm_tokens      bigint  NOT NULL,
    llm_tokens      bigint  NOT NULL,
    command_tokens  bigint  NOT NULL,
    prompt_tokens   bigint  NOT NULL,
    cached_tokens   bigint  NOT NULL,
    prompts_unknown bigint  NOT NULL,
    cost_pico       numeric NOT NULL,
    unpriced        bigint  NOT NULL,
    PRIMARY KEY (tenant_id, hour, key_id, model, policy, tags),
    CHECK (least(requests, degraded, failed, calls, visible_tokens, durations, first_tokens, slm_tokens, llm_tokens,
        command_tokens, prompt_tokens, cached_tokens, prompts_unknown, cost_pico, unpriced) >= 0),
    CHECK (greatest(requests, degraded, failed, calls, visible_tokens, slm_tokens, llm_tokens, command_tokens,
        prompt_tokens, cached_tokens, prompts_unknown, unpriced) <= 9000000000000000)
) WITH (fillfactor = 80);
CREATE INDEX usage_requests_hour_idx ON usage_requests (hour);
COMMENT ON TABLE usage_requests IS 'Requests by the hour in which they began. With usage_deltas: all of them.';
COMMENT ON COLUMN usage_requests.slm_tokens IS 'Generated tokens of the segments that usage_segments counts by the same names; so are all that follow.';

CREATE TABLE usage_segment_days (LIKE usage_segments INCLUDING ALL) WITH (fillfactor = 80);
ALTER TABLE usage_segment_days RENAME hour TO day;
COMMENT ON TABLE usage_segment_days IS 'The sums of usage_segments by the day, UTC.';
COMMENT ON COLUMN usage_segment_days.day IS 'Its first moment, UTC.';
CREATE TABLE usage_request_days (LIKE usage_requests INCLUDING ALL) WITH (fillfactor = 80);
ALTER TABLE usage_request_days RENAME hour TO day;
COMMENT ON TABLE usage_request_days IS 'The sums of usage_requests by the day, UTC.';
COMMENT ON COLUMN usage_request_days.day IS 'Its first moment, UTC.';

-- Requests that were not admitted, as gateways count them: told every few seconds, and without a promise.
CREATE TABLE usage_refusals (
    tenant_id uuid        NOT NULL,
    hour      timestamptz NOT NULL,
    key_id    uuid        NOT NULL,
    model     text        NOT NULL,
    code      text        NOT NULL,
    requests  bigint      NOT NULL CHECK (requests BETWEEN 0 AND 9000000000000000),
    PRIMARY KEY (tenant_id, hour, key_id, model, code)
);
COMMENT ON TABLE usage_refusals IS 'Requests refused before they began (429, 400, 503), by error code. A gateway that dies forgets its last seconds.';

-- The sums that a usage table holds, each in a form such as 'sum(%1$I)', with commas between them.
CREATE FUNCTION usage_columns(of regclass, form text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format(form, a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = of AND a.attnum > 0 AND a.atttypid IN ('bigint'::regtype, 'numeric'::regtype)
$$;

-- How the adding up of usage goes.
CREATE TABLE usage_compaction (
    is_only       boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    added_at      timestamptz NOT NULL DEFAULT now(),
    failing_since timestamptz,
    reason        text        NOT NULL DEFAULT ''
);
COMMENT ON TABLE usage_compaction IS 'How compact_usage goes: one row.';
COMMENT ON COLUMN usage_compaction.added_at IS 'When deltas were last added up, within a minute.';
COMMENT ON COLUMN usage_compaction.failing_since IS 'Since when deltas of some tenants cannot be; NULL when all can.';
COMMENT ON COLUMN usage_compaction.reason IS 'Which tenant is the first of them, and what the database said.';
INSERT INTO usage_compaction DEFAULT VALUES;

-- Adds the deltas of a tenant, or of all when it is NULL, to the tables of hours and days; returns how many rows were
-- moved. It is one statement, so that a request and its segments move together.
CREATE FUNCTION add_usage(tenant uuid) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    moved bigint;
BEGIN
    EXECUTE format('
        WITH gone_requests AS (
            DELETE FROM usage_request_deltas WHERE $1 IS NULL OR tenant_id = $1 RETURNING *
        ), gone_segments AS (
            DELETE FROM usage_segment_deltas WHERE $1 IS NULL OR tenant_id = $1 RETURNING *
        ), by_segment AS (
            SELECT tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model, %1$s
            FROM gone_segments GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ), by_request AS (
            SELECT tenant_id, hour, key_id, model, policy, tags, %2$s FROM (
                SELECT *, 0 AS slm_tokens, 0 AS llm_tokens, 0 AS command_tokens, 0 AS prompt_tokens,
                    0 AS cached_tokens, 0 AS prompts_unknown, 0 AS cost_pico, 0 AS unpriced
                FROM gone_requests
                UNION ALL
                SELECT tenant_id, hour, key_id, model, policy, tags, 0, 0, 0, 0, 0, 0, 0,
                    CASE role WHEN ''slm'' THEN generated_tokens ELSE 0 END,
                    CASE role WHEN ''llm'' THEN generated_tokens ELSE 0 END, command_tokens, prompt_tokens,
                    cached_tokens, prompts_unknown, cost_pico, unpriced
                FROM by_segment) d
            GROUP BY 1, 2, 3, 4, 5, 6
        ), segment_hours AS (
            INSERT INTO usage_segments AS u TABLE by_segment
            ON CONFLICT (tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model)
                DO UPDATE SET %3$s
        ), segment_days AS (
            INSERT INTO usage_segment_days AS u
            SELECT tenant_id, date_trunc(''day'', hour, ''UTC''), key_id, model, policy, tags, role, upstream,
                upstream_model, %1$s
            FROM by_segment GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
            ON CONFLICT (tenant_id, day, key_id, model, policy, tags, role, upstream, upstream_model)
                DO UPDATE SET %3$s
        ), request_hours AS (
            INSERT INTO usage_requests AS u TABLE by_request
            ON CONFLICT (tenant_id, hour, key_id, model, policy, tags) DO UPDATE SET %4$s
        ), request_days AS (
            INSERT INTO usage_request_days AS u
            SELECT tenant_id, date_trunc(''day'', hour, ''UTC''), key_id, model, policy, tags, %2$s
            FROM by_request GROUP BY 1, 2, 3, 4, 5, 6
            ON CONFLICT (tenant_id, day, key_id, model, policy, tags) DO UPDATE SET %4$s
        )
        SELECT (SELECT count(*) FROM gone_requests) + (SELECT count(*) FROM gone_segments)',
        usage_columns('usage_segments', 'sum(%1$I) AS %1$I'), usage_columns('usage_requests', 'sum(%1$I) AS %1$I'),
        usage_columns('usage_segments', '%1$I = u.%1$I + excluded.%1$I'),
        usage_columns('usage_requests', '%1$I = u.%1$I + excluded.%1$I')) INTO moved USING tenant;
    RETURN moved;
END
$$;

-- Adds up what can be added up; returns how many rows were moved. One at a time; the others do nothing. Where the tables
-- refuse a row, as one whose sum leaves their bounds, it goes tenant by tenant: those of whom a row is refused keep their
-- deltas, which reports read as well, and the others do not wait for them.
CREATE FUNCTION compact_usage() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    moved bigint := 0;
    tenant uuid;
    refusal text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7236837482961126) THEN RETURN 0; END IF;
    BEGIN
        moved := add_usage(NULL);
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
        FOR tenant IN
            SELECT d.tenant_id FROM usage_request_deltas d UNION SELECT d.tenant_id FROM usage_segment_deltas d ORDER BY 1
        LOOP
            BEGIN
                moved := moved + add_usage(tenant);
            EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
                refusal := coalesce(refusal, format('tenant %s: %s (SQLSTATE %s)',
                    coalesce((SELECT t.name FROM tenants t WHERE t.id = tenant), tenant::text), SQLERRM, SQLSTATE));
            END;
        END LOOP;
    END;
    UPDATE usage_compaction c SET added_at = now(), reason = coalesce(refusal, ''),
        failing_since = CASE WHEN refusal IS NOT NULL THEN coalesce(c.failing_since, now()) END
        WHERE moved > 0 OR c.reason <> coalesce(refusal, '') OR c.added_at < now() - interval '1 minute';
    RETURN moved;
END
$$;

-- What usage_requests does not hold yet, in its columns: requests, and the sums of segments.
CREATE VIEW usage_deltas AS
SELECT tenant_id, hour, key_id, model, policy, tags, requests, degraded, failed, calls, visible_tokens, durations,
    first_tokens, 0::bigint AS slm_tokens, 0::bigint AS llm_tokens, 0::bigint AS command_tokens,
    0::bigint AS prompt_tokens, 0::bigint AS cached_tokens, 0::bigint AS prompts_unknown, 0::numeric AS cost_pico,
    0::bigint AS unpriced
FROM usage_request_deltas
UNION ALL
SELECT tenant_id, hour, key_id, model, policy, tags, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::numeric,
    0::numeric, CASE role WHEN 'slm' THEN generated_tokens ELSE 0 END,
    CASE role WHEN 'llm' THEN generated_tokens ELSE 0 END, command_tokens, prompt_tokens, cached_tokens, prompts_unknown, cost_pico, unpriced
FROM usage_segment_deltas;
COMMENT ON VIEW usage_deltas IS 'What usage_requests does not hold yet.';

CREATE VIEW usage_of_requests AS
SELECT tenant_id, hour, key_id, model, policy, tags, requests, degraded, failed, calls, visible_tokens, durations,
    first_tokens FROM usage_requests
UNION ALL TABLE usage_request_deltas;
COMMENT ON VIEW usage_of_requests IS 'All requests by hour; several rows may be of the same hour and names.';
CREATE VIEW usage_of_segments AS TABLE usage_segments UNION ALL TABLE usage_segment_deltas;
COMMENT ON VIEW usage_of_segments IS 'All segments by hour; several rows may be of the same hour and names.';

-- I8: the usage tables and their deltas are the sums of what is in the ledger; months that were pruned are left out.
-- Days are the sums of their hours, and requests have the sums of their segments, in all months.
CREATE FUNCTION broken_usage(tenant text, starts timestamptz)
RETURNS TABLE (invariant text, what text) LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH r AS (
        SELECT r0.*, date_trunc('hour', r0.started_at, 'UTC') AS hour
        FROM requests r0 JOIN tenants t ON t.id = r0.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant) AND NOT is_pruned(r0.started_at)
    ), segment_sums AS (
        SELECT r.tenant_id, r.hour, r.key_id, r.model, r.policy, g.role, g.upstream, g.model AS upstream_model,
            count(*) AS segments, sum(g.generated_tokens) AS generated, sum(g.command_tokens) AS command,
            coalesce(sum(g.prompt_tokens), 0) AS prompt, coalesce(sum(g.cached_tokens), 0) AS cached,
            coalesce(sum(g.cost_pico), 0) AS cost, count(*) FILTER (WHERE g.cost_pico IS NULL) AS unpriced
        FROM r JOIN segments g ON g.request_id = r.id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), segment_usage AS (
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, u.role, u.upstream, u.upstream_model,
            sum(u.segments) AS segments, sum(u.generated_tokens) AS generated, sum(u.command_tokens) AS command,
            sum(u.prompt_tokens) AS prompt, sum(u.cached_tokens) AS cached, sum(u.cost_pico) AS cost,
            sum(u.unpriced) AS unpriced
        FROM usage_of_segments u JOIN tenants t ON t.id = u.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant) AND NOT is_pruned(u.hour) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), request_sums AS (
        SELECT r.tenant_id, r.hour, r.key_id, r.model, r.policy, count(*) AS requests, count(r.degraded) AS degraded,
            sum(r.calls) AS calls, sum(r.visible_tokens) AS visible
        FROM r GROUP BY 1, 2, 3, 4, 5
    ), request_usage AS (
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, sum(u.requests) AS requests,
            sum(u.degraded) AS degraded, sum(u.calls) AS calls, sum(u.visible_tokens) AS visible
        FROM usage_of_requests u JOIN tenants t ON t.id = u.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant) AND NOT is_pruned(u.hour) GROUP BY 1, 2, 3, 4, 5
    ), t AS (
        SELECT t0.id FROM tenants t0 WHERE starts IS NULL AND (tenant IS NULL OR t0.name = tenant)
    ), segment_days AS (
        SELECT u.tenant_id, date_trunc('day', u.hour, 'UTC') AS day, u.key_id, u.model, u.policy, u.tags, u.role,
            u.upstream, u.upstream_model, sum(u.segments), sum(u.generated_tokens), sum(u.command_tokens),
            sum(u.prompt_tokens), sum(u.cached_tokens), sum(u.prompts_unknown), sum(u.cost_pico), sum(u.unpriced)
        FROM usage_segments u JOIN t ON t.id = u.tenant_id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ), kept_segment_days AS (
        SELECT u.* FROM usage_segment_days u JOIN t ON t.id = u.tenant_id
    ), request_days AS (
        SELECT u.tenant_id, date_trunc('day', u.hour, 'UTC') AS day, u.key_id, u.model, u.policy, u.tags,
            sum(u.requests), sum(u.degraded), sum(u.failed), sum(u.calls), sum(u.visible_tokens), sum(u.durations),
            sum(u.first_tokens), sum(u.slm_tokens), sum(u.llm_tokens), sum(u.command_tokens), sum(u.prompt_tokens),
            sum(u.cached_tokens), sum(u.prompts_unknown), sum(u.cost_pico), sum(u.unpriced)
        FROM usage_requests u JOIN t ON t.id = u.tenant_id GROUP BY 1, 2, 3, 4, 5, 6
    ), kept_request_days AS (
        SELECT u.* FROM usage_request_days u JOIN t ON t.id = u.tenant_id
    ), carried AS (
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, u.tags,
            coalesce(sum(u.generated_tokens) FILTER (WHERE u.role = 'slm'), 0),
            coalesce(sum(u.generated_tokens) FILTER (WHERE u.role = 'llm'), 0), sum(u.command_tokens),
            sum(u.prompt_tokens), sum(u.cached_tokens), sum(u.prompts_unknown), sum(u.cost_pico), sum(u.unpriced)
        FROM usage_segments u JOIN t ON t.id = u.tenant_id GROUP BY 1, 2, 3, 4, 5, 6
    ), kept_carried AS (
        -- A request may have no segments.
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, u.tags, u.slm_tokens, u.llm_tokens, u.command_tokens,
            u.prompt_tokens, u.cached_tokens, u.prompts_unknown, u.cost_pico, u.unpriced
        FROM usage_requests u JOIN t ON t.id = u.tenant_id
        WHERE greatest(u.slm_tokens, u.llm_tokens, u.command_tokens, u.prompt_tokens, u.cached_tokens,
            u.prompts_unknown, u.cost_pico, u.unpriced) > 0
            OR EXISTS (SELECT FROM usage_segments s WHERE s.tenant_id = u.tenant_id AND s.hour = u.hour
                AND s.key_id = u.key_id AND s.model = u.model AND s.policy = u.policy AND s.tags = u.tags)
    )
    SELECT 'I8', 'usage of ' || d.hour || ' ' || d.model || ' ' || d.role || ' at ' || d.upstream
    FROM ((TABLE segment_sums EXCEPT TABLE segment_usage) UNION (TABLE segment_usage EXCEPT TABLE segment_sums)) d
    UNION ALL
    SELECT 'I8', 'requests of ' || d.hour || ' ' || d.model
    FROM ((TABLE request_sums EXCEPT TABLE request_usage) UNION (TABLE request_usage EXCEPT TABLE request_sums)) d
    UNION ALL
    SELECT 'I8', 'day ' || d.day || ' of ' || d.model || ' ' || d.role || ' at ' || d.upstream FROM (
        (TABLE segment_days EXCEPT TABLE kept_segment_days) UNION (TABLE kept_segment_days EXCEPT TABLE segment_days)) d
    UNION ALL
    SELECT 'I8', 'day ' || d.day || ' of requests of ' || d.model FROM (
        (TABLE request_days EXCEPT TABLE kept_request_days) UNION (TABLE kept_request_days EXCEPT TABLE request_days)) d
    UNION ALL
    SELECT 'I8', 'segments of requests of ' || d.hour || ' ' || d.model FROM (
        (TABLE carried EXCEPT TABLE kept_carried) UNION (TABLE kept_carried EXCEPT TABLE carried)) d
$$;
