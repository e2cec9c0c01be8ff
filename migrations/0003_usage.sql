-- Usage by the hour, and the tags that it is told apart by. Reports read these tables, never segments; their rows are
-- written in the same statement as the segments, so that they cannot disagree.

CREATE TABLE tag_values (
    tenant_id  uuid        NOT NULL,
    key        text        NOT NULL,
    value      text        NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key, value)
);
COMMENT ON TABLE tag_values IS 'Values of tags that reports tell apart: the first ones of each tenant and key.';
COMMENT ON COLUMN tag_values.key IS 'The tag''s name, one of the tenant''s tag_keys.';

-- What reports call a set of tags: values beyond the tenant's limit are "other". Remembers new values.
CREATE FUNCTION report_tags(tenant uuid, tags jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    known boolean;
    room boolean;
    label jsonb := '{}';
    tag record;
BEGIN
    IF tags = '{}' THEN RETURN ''; END IF;
    FOR tag IN SELECT e.key, e.value FROM jsonb_each_text(tags) e ORDER BY 1 LOOP
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
        label := label || jsonb_build_object(tag.key, CASE WHEN known THEN tag.value ELSE 'other' END);
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

CREATE TABLE usage_requests (
    tenant_id      uuid        NOT NULL,
    hour           timestamptz NOT NULL,
    key_id         uuid        NOT NULL,
    model          text        NOT NULL,
    policy         text        NOT NULL,
    tags           text        NOT NULL,
    requests       bigint      NOT NULL CHECK (requests BETWEEN 0 AND 9000000000000000),
    degraded       bigint      NOT NULL CHECK (degraded BETWEEN 0 AND 9000000000000000),
    failed         bigint      NOT NULL CHECK (failed BETWEEN 0 AND 9000000000000000),
    calls          bigint      NOT NULL CHECK (calls BETWEEN 0 AND 9000000000000000),
    visible_tokens bigint      NOT NULL CHECK (visible_tokens BETWEEN 0 AND 9000000000000000),
    durations      numeric     NOT NULL CHECK (durations >= 0),
    first_tokens   numeric     NOT NULL CHECK (first_tokens >= 0),
    PRIMARY KEY (tenant_id, hour, key_id, model, policy, tags)
) WITH (fillfactor = 80);
CREATE INDEX usage_requests_hour_idx ON usage_requests (hour);
COMMENT ON TABLE usage_requests IS 'Requests by the hour in which they began, UTC. With usage_request_deltas: all of them.';
COMMENT ON COLUMN usage_requests.model IS 'The public model name.';
COMMENT ON COLUMN usage_requests.tags IS 'JSON of the tags that reports tell apart; empty when there are none.';
COMMENT ON COLUMN usage_requests.failed IS 'Those whose outcome is failed or cut.';
COMMENT ON COLUMN usage_requests.durations IS 'A histogram of latencies: see latency_bucket.';
COMMENT ON COLUMN usage_requests.first_tokens IS 'A histogram of times to the first token, of requests that had one.';

CREATE TABLE usage_segments (
    tenant_id        uuid        NOT NULL,
    hour             timestamptz NOT NULL,
    key_id           uuid        NOT NULL,
    model            text        NOT NULL,
    policy           text        NOT NULL,
    tags             text        NOT NULL,
    role             text        NOT NULL,
    upstream         text        NOT NULL,
    upstream_model   text        NOT NULL,
    segments         bigint      NOT NULL CHECK (segments BETWEEN 0 AND 9000000000000000),
    generated_tokens bigint      NOT NULL CHECK (generated_tokens BETWEEN 0 AND 9000000000000000),
    command_tokens   bigint      NOT NULL CHECK (command_tokens BETWEEN 0 AND 9000000000000000),
    prompt_tokens    bigint      NOT NULL CHECK (prompt_tokens BETWEEN 0 AND 9000000000000000),
    cached_tokens    bigint      NOT NULL CHECK (cached_tokens BETWEEN 0 AND 9000000000000000),
    prompts_unknown  bigint      NOT NULL CHECK (prompts_unknown BETWEEN 0 AND 9000000000000000),
    cost_pico        numeric     NOT NULL CHECK (cost_pico >= 0),
    unpriced         bigint      NOT NULL CHECK (unpriced BETWEEN 0 AND 9000000000000000),
    PRIMARY KEY (tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model)
) WITH (fillfactor = 80);
CREATE INDEX usage_segments_hour_idx ON usage_segments (hour);
COMMENT ON TABLE usage_segments IS 'Segments by the hour in which their request began, UTC. With usage_segment_deltas: all of them.';
COMMENT ON COLUMN usage_segments.upstream_model IS 'The name of the model that served.';
COMMENT ON COLUMN usage_segments.prompts_unknown IS 'Segments whose server did not say how many prompt tokens it read: they are not in prompt_tokens.';
COMMENT ON COLUMN usage_segments.cost_pico IS 'Of the segments that have a cost.';
COMMENT ON COLUMN usage_segments.unpriced IS 'Segments whose cost nobody can say.';

-- Batches append to these; nobody waits for a row that another batch holds. compact_usage moves them on.
CREATE TABLE usage_request_deltas (LIKE usage_requests INCLUDING COMMENTS);
CREATE TABLE usage_segment_deltas (LIKE usage_segments INCLUDING COMMENTS);
ALTER TABLE usage_request_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE usage_segment_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

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

-- Adds the deltas to the tables of hours; returns how many rows were moved. One at a time; the others do nothing.
CREATE FUNCTION compact_usage() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    moved bigint;
    total bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7236837482961126) THEN RETURN 0; END IF;
    WITH gone AS (DELETE FROM usage_request_deltas RETURNING *), kept AS (
        INSERT INTO usage_requests AS u
        SELECT tenant_id, hour, key_id, model, policy, tags, sum(requests), sum(degraded), sum(failed), sum(calls),
            sum(visible_tokens), sum(durations), sum(first_tokens)
        FROM gone GROUP BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (tenant_id, hour, key_id, model, policy, tags) DO UPDATE SET
            requests = u.requests + excluded.requests, degraded = u.degraded + excluded.degraded,
            failed = u.failed + excluded.failed, calls = u.calls + excluded.calls,
            visible_tokens = u.visible_tokens + excluded.visible_tokens,
            durations = u.durations + excluded.durations, first_tokens = u.first_tokens + excluded.first_tokens)
    SELECT count(*) INTO total FROM gone;
    WITH gone AS (DELETE FROM usage_segment_deltas RETURNING *), kept AS (
        INSERT INTO usage_segments AS u
        SELECT tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model, sum(segments),
            sum(generated_tokens), sum(command_tokens), sum(prompt_tokens), sum(cached_tokens), sum(prompts_unknown),
            sum(cost_pico), sum(unpriced)
        FROM gone GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT (tenant_id, hour, key_id, model, policy, tags, role, upstream, upstream_model) DO UPDATE SET
            segments = u.segments + excluded.segments,
            generated_tokens = u.generated_tokens + excluded.generated_tokens,
            command_tokens = u.command_tokens + excluded.command_tokens,
            prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
            cached_tokens = u.cached_tokens + excluded.cached_tokens,
            prompts_unknown = u.prompts_unknown + excluded.prompts_unknown,
            cost_pico = u.cost_pico + excluded.cost_pico, unpriced = u.unpriced + excluded.unpriced)
    SELECT count(*) INTO moved FROM gone;
    RETURN total + moved;
END
$$;

CREATE VIEW usage_of_requests AS TABLE usage_requests UNION ALL TABLE usage_request_deltas;
CREATE VIEW usage_of_segments AS TABLE usage_segments UNION ALL TABLE usage_segment_deltas;
COMMENT ON VIEW usage_of_requests IS 'All requests by hour; several rows may be of the same hour and names.';
COMMENT ON VIEW usage_of_segments IS 'All segments by hour; several rows may be of the same hour and names.';

-- I8: the usage tables and their deltas are the sums of what is in the ledger. Months that were pruned are left out.
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
    )
    SELECT 'I8', 'usage of ' || d.hour || ' ' || d.model || ' ' || d.role || ' at ' || d.upstream
    FROM ((TABLE segment_sums EXCEPT TABLE segment_usage) UNION (TABLE segment_usage EXCEPT TABLE segment_sums)) d
    UNION ALL
    SELECT 'I8', 'requests of ' || d.hour || ' ' || d.model
    FROM ((TABLE request_sums EXCEPT TABLE request_usage) UNION (TABLE request_usage EXCEPT TABLE request_sums)) d
$$;

-- These write with their owner's rights: whoever else may log in must not call them.
REVOKE EXECUTE ON FUNCTION compact_usage(), report_tags(uuid, jsonb) FROM PUBLIC;
