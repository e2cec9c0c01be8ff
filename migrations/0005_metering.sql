-- Prices, tags, and usage by the hour. Reports read the tables of this file, never segments; their rows are written in
-- the same statement as the segments, so that they cannot disagree.

-- What a model costs from a moment on, in pico-dollars (10^-12 $): a price of 1 $ for a million tokens is 1,000,000
-- pico-dollars a token, so six decimals of such a price are exact.
CREATE TABLE prices (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text        NOT NULL CHECK (length(model) BETWEEN 1 AND 256),
    upstream       text        NOT NULL DEFAULT '' CHECK (length(upstream) <= 256),
    effective_from timestamptz NOT NULL,
    input          bigint      CHECK (input BETWEEN 0 AND 1000000000000),
    cached_input   bigint      CHECK (cached_input BETWEEN 0 AND 1000000000000),
    cache_write    bigint      CHECK (cache_write BETWEEN 0 AND 1000000000000),
    output         bigint      CHECK (output BETWEEN 0 AND 1000000000000),
    request        bigint      CHECK (request BETWEEN 0 AND 1000000000000000),
    actor          text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason         text        NOT NULL CHECK (length(reason) <= 2000),
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, upstream, effective_from),
    CHECK ((input IS NULL) = (output IS NULL)),
    CHECK (input IS NOT NULL OR cached_input IS NULL AND cache_write IS NULL AND request IS NULL)
);
COMMENT ON TABLE prices IS 'The price book. Append-only: what a request cost is what held when it began.';
COMMENT ON COLUMN prices.model IS 'The model name that the upstream serves.';
COMMENT ON COLUMN prices.upstream IS 'Only at this upstream; empty for every one that has no price of its own.';
COMMENT ON COLUMN prices.input IS 'A prompt token. NULL, and output too: from here on the model has no price.';
COMMENT ON COLUMN prices.cached_input IS 'A prompt token from the server''s cache; NULL: as input.';
COMMENT ON COLUMN prices.cache_write IS 'A prompt token that the server wrote to its cache; NULL: as input.';
COMMENT ON COLUMN prices.request IS 'Each attempt that was served; NULL: nothing.';
CREATE TRIGGER prices_append_only BEFORE UPDATE OR DELETE ON prices FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER prices_no_truncate BEFORE TRUNCATE ON prices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The price of a model at an upstream at a moment: that of the upstream before that of all, the latest before older.
CREATE FUNCTION price_at(name text, server text, moment timestamptz) RETURNS SETOF prices LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT p.* FROM prices p
    WHERE p.model = name AND p.upstream IN (server, '') AND p.effective_from <= moment
    ORDER BY p.upstream <> '' DESC, p.effective_from DESC LIMIT 1
$$;

-- The prices of models at upstreams, each with the span of time in which it holds: prices for every upstream hold until
-- the upstream gets one of its own.
CREATE FUNCTION price_spans(models text[], upstreams text[]) RETURNS TABLE (
    model text, upstream text, price bigint, input bigint, cached_input bigint, cache_write bigint, output bigint,
    request bigint, since timestamptz, until timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT k.model, k.upstream, p.id, p.input, p.cached_input, p.cache_write, p.output, p.request, p.effective_from,
        lead(p.effective_from, 1, 'infinity') OVER (PARTITION BY k.model, k.upstream ORDER BY p.effective_from)
    FROM (SELECT DISTINCT u.model, u.upstream FROM unnest(models, upstreams) AS u (model, upstream)) k
    JOIN prices p ON p.model = k.model AND p.upstream IN (k.upstream, '')
    WHERE p.upstream <> '' OR p.effective_from < ALL (
        SELECT o.effective_from FROM prices o WHERE o.model = k.model AND o.upstream = k.upstream AND o.upstream <> '')
$$;

-- cost_of for numbers that could leave a bigint; NULL where the cost does.
CREATE FUNCTION large_cost(
    input bigint, cached_input bigint, cache_write bigint, output bigint, request bigint, prompt bigint, cached bigint,
    written bigint, generated bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN c.cost <= 9000000000000000000 THEN c.cost::bigint END
    FROM (SELECT
        greatest(0, coalesce(prompt, 0) - coalesce(cached, 0) - coalesce(written, 0))::numeric * input
        + coalesce(cached, 0)::numeric * coalesce(cached_input, input)
        + coalesce(written, 0)::numeric * coalesce(cache_write, input)
        + generated::numeric * output + coalesce(request, 0)) AS c (cost)
$$;

-- Pico-dollars for one attempt; NULL where nobody can say: no price, or tokens that cost something were not counted by
-- the server. An attempt that gave neither text nor a count was not served and costs nothing.
CREATE FUNCTION cost_of(
    input bigint, cached_input bigint, cache_write bigint, output bigint, request bigint, prompt bigint, cached bigint,
    written bigint, generated bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN prompt IS NULL AND generated = 0 THEN 0
        WHEN input IS NULL THEN NULL
        WHEN prompt IS NULL AND greatest(input, cached_input, cache_write) > 0 THEN NULL
        -- No sum of four products of numbers like these leaves a bigint.
        WHEN greatest(prompt, cached, written, generated, 0) <= 2000000
            AND greatest(input, cached_input, cache_write, output) <= 1000000000000 THEN
            greatest(0, coalesce(prompt, 0) - coalesce(cached, 0) - coalesce(written, 0)) * input
                + coalesce(cached, 0) * coalesce(cached_input, input)
                + coalesce(written, 0) * coalesce(cache_write, input) + generated * output + coalesce(request, 0)
        ELSE large_cost(input, cached_input, cache_write, output, request, prompt, cached, written, generated) END
$$;
-- The same by a row of the price book.
CREATE FUNCTION cost_of(p prices, prompt bigint, cached bigint, written bigint, generated bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT cost_of(p.input, p.cached_input, p.cache_write, p.output, p.request, prompt, cached, written, generated)
$$;

ALTER TABLE segments DROP COLUMN price_version;
ALTER TABLE segments ADD COLUMN cache_write_tokens bigint CHECK (cache_write_tokens BETWEEN 0 AND 9000000000000000);
ALTER TABLE segments ADD COLUMN price_id bigint;
ALTER TABLE segments ADD COLUMN cost_pico bigint CHECK (cost_pico >= 0);
COMMENT ON COLUMN segments.price_id IS 'The price that held; NULL when there was none.';
COMMENT ON COLUMN segments.cost_pico IS 'Pico-dollars; NULL when nobody can say, which is not 0.';

-- Tags: what callers say of their requests in metadata and user, as far as the tenant has chosen.
ALTER TABLE tenants ADD COLUMN tag_keys text[] NOT NULL DEFAULT '{}'
    CHECK (cardinality(tag_keys) <= 8 AND array_position(tag_keys, NULL) IS NULL);
ALTER TABLE tenants ADD COLUMN tag_limit bigint NOT NULL DEFAULT 1000 CHECK (tag_limit BETWEEN 1 AND 100000);
COMMENT ON COLUMN tenants.tag_keys IS 'Members of metadata, and "user", that are kept and counted.';
COMMENT ON COLUMN tenants.tag_limit IS 'Values of one key that reports tell apart; what comes later is counted as "other".';
ALTER TABLE requests ADD COLUMN tags jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN requests.tags IS 'The chosen members of metadata, and user, as the caller sent them.';

CREATE TABLE tag_values (
    tenant_id  uuid        NOT NULL,
    key        text        NOT NULL,
    value      text        NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key, value)
);
COMMENT ON TABLE tag_values IS 'Values of tags that reports tell apart: the first ones of each tenant and key.';

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
CREATE FUNCTION latency_bucket(us bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT latency_bucket(us * interval '1 microsecond')
$$;
CREATE FUNCTION latency_unit(bucket integer) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('1' || repeat('0', 12 * bucket))::numeric
$$;

DROP TABLE usage_hourly;

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

-- What the ledger holds already, counted anew: it has neither prices nor tags.
INSERT INTO usage_requests
    SELECT r.tenant_id, date_trunc('hour', r.started_at, 'UTC'), r.key_id, r.model, r.policy, '', count(*),
        count(r.degraded), count(*) FILTER (WHERE r.outcome IN ('failed', 'cut')), sum(r.calls), sum(r.visible_tokens),
        sum(latency_unit(latency_bucket(r.finished_at - r.started_at))),
        coalesce(sum(latency_unit(latency_bucket(f.at - r.started_at))), 0)
    FROM requests r LEFT JOIN LATERAL (
        SELECT min(s.started_at + s.first_token_us * interval '1 microsecond') AS at
        FROM segments s WHERE s.request_id = r.id AND s.first_token_us IS NOT NULL) f ON true
    GROUP BY 1, 2, 3, 4, 5;
INSERT INTO usage_segments
    SELECT r.tenant_id, date_trunc('hour', r.started_at, 'UTC'), r.key_id, r.model, r.policy, '', s.role, s.upstream,
        s.model, count(*), sum(s.generated_tokens), sum(s.command_tokens), coalesce(sum(s.prompt_tokens), 0),
        coalesce(sum(s.cached_tokens), 0), count(*) FILTER (WHERE s.prompt_tokens IS NULL), 0,
        count(*) FILTER (WHERE s.prompt_tokens IS NOT NULL OR s.generated_tokens > 0)
    FROM segments s JOIN requests r ON r.id = s.request_id
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

-- I8: the usage tables and their deltas are the sums of what is in the ledger.
CREATE OR REPLACE FUNCTION broken_usage(tenant text, starts timestamptz)
RETURNS TABLE (invariant text, what text) LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH r AS (
        SELECT r0.*, date_trunc('hour', r0.started_at, 'UTC') AS hour
        FROM requests r0 JOIN tenants t ON t.id = r0.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant)
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
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), request_sums AS (
        SELECT r.tenant_id, r.hour, r.key_id, r.model, r.policy, count(*) AS requests, count(r.degraded) AS degraded,
            sum(r.calls) AS calls, sum(r.visible_tokens) AS visible
        FROM r GROUP BY 1, 2, 3, 4, 5
    ), request_usage AS (
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, sum(u.requests) AS requests,
            sum(u.degraded) AS degraded, sum(u.calls) AS calls, sum(u.visible_tokens) AS visible
        FROM usage_of_requests u JOIN tenants t ON t.id = u.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant) GROUP BY 1, 2, 3, 4, 5
    )
    SELECT 'I8', 'usage of ' || d.hour || ' ' || d.model || ' ' || d.role || ' at ' || d.upstream
    FROM ((TABLE segment_sums EXCEPT TABLE segment_usage) UNION (TABLE segment_usage EXCEPT TABLE segment_sums)) d
    UNION ALL
    SELECT 'I8', 'requests of ' || d.hour || ' ' || d.model
    FROM ((TABLE request_sums EXCEPT TABLE request_usage) UNION (TABLE request_usage EXCEPT TABLE request_sums)) d
$$;

-- Verdicts: whether an answer was right, by whoever judged it. Several sources are kept apart; the same source may
-- change its mind, and the latest counts.
CREATE TABLE verdicts (
    request_id uuid             NOT NULL,
    choice     bigint           NOT NULL DEFAULT 0 CHECK (choice BETWEEN 0 AND 9000000000000000),
    tenant_id  uuid             NOT NULL,
    source     text             NOT NULL CHECK (source ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
    verdict    double precision NOT NULL CHECK (verdict BETWEEN 0 AND 1),
    judged_at  timestamptz      NOT NULL,
    note       text             NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    created_at timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, choice, source, judged_at)
);
CREATE INDEX verdicts_tenant_idx ON verdicts (tenant_id, request_id);
COMMENT ON TABLE verdicts IS 'Judgements of answers: 1 is right, 0 wrong, between them a share. Append-only; of one source the latest counts.';
CREATE TRIGGER verdicts_append_only BEFORE UPDATE ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse_change();
