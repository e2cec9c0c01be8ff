-- What SQL clients and dashboards may read: views that a role can be given without any table. They run with their
-- owner's rights; none shows text of prompts or answers, hashes of keys, or notes of judges. Docs/sql.md is their page.

-- Somebody else may have made the schema for a role that may make none.
DO $$
BEGIN
    IF to_regnamespace('report') IS NULL THEN
        CREATE SCHEMA report;
        COMMENT ON SCHEMA report IS 'Views for SQL clients and dashboards; see Docs/sql.md.';
    END IF;
END
$$;

CREATE VIEW report.usage_by_hour WITH (security_barrier) AS
SELECT u.hour, t.name AS tenant, k.public_id AS key, u.model, u.policy,
    CASE u.tags WHEN '' THEN '{}' ELSE u.tags::jsonb END AS tags, u.role, u.upstream, u.upstream_model, u.segments,
    u.generated_tokens, u.command_tokens, u.prompt_tokens, u.cached_tokens, u.prompts_unknown,
    u.cost_pico * 0.000000000001 AS cost_dollars, u.unpriced
FROM (
    SELECT hour, tenant_id, key_id, model, policy, tags, role, upstream, upstream_model,
        sum(segments)::bigint AS segments, sum(generated_tokens)::bigint AS generated_tokens,
        sum(command_tokens)::bigint AS command_tokens, sum(prompt_tokens)::bigint AS prompt_tokens,
        sum(cached_tokens)::bigint AS cached_tokens, sum(prompts_unknown)::bigint AS prompts_unknown,
        sum(cost_pico) AS cost_pico, sum(unpriced)::bigint AS unpriced
    FROM usage_of_segments GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) u LEFT JOIN tenants t ON t.id = u.tenant_id LEFT JOIN api_keys k ON k.id = u.key_id;
COMMENT ON VIEW report.usage_by_hour IS 'Tokens and costs of the attempts at segments, by hour.';
COMMENT ON COLUMN report.usage_by_hour.hour IS 'The hour in which the request began.';
COMMENT ON COLUMN report.usage_by_hour.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.usage_by_hour.key IS 'The public part of the API key.';
COMMENT ON COLUMN report.usage_by_hour.model IS 'The public model name.';
COMMENT ON COLUMN report.usage_by_hour.policy IS 'The policy that answered.';
COMMENT ON COLUMN report.usage_by_hour.tags IS 'The tags that reports tell apart, as an object.';
COMMENT ON COLUMN report.usage_by_hour.role IS 'slm or llm.';
COMMENT ON COLUMN report.usage_by_hour.upstream IS 'The server, by its name in the configuration.';
COMMENT ON COLUMN report.usage_by_hour.upstream_model IS 'The model that served.';
COMMENT ON COLUMN report.usage_by_hour.segments IS 'Attempts at segments.';
COMMENT ON COLUMN report.usage_by_hour.generated_tokens IS 'Tokens generated, those of commands included.';
COMMENT ON COLUMN report.usage_by_hour.command_tokens IS 'Tokens of commands.';
COMMENT ON COLUMN report.usage_by_hour.prompt_tokens IS 'Tokens read, cached ones included.';
COMMENT ON COLUMN report.usage_by_hour.cached_tokens IS 'Tokens read from the server''s cache.';
COMMENT ON COLUMN report.usage_by_hour.prompts_unknown IS 'Attempts whose server did not say how many prompt tokens it read: not in prompt_tokens.';
COMMENT ON COLUMN report.usage_by_hour.cost_dollars IS 'Of the attempts that have a cost; exact.';
COMMENT ON COLUMN report.usage_by_hour.unpriced IS 'Attempts whose cost nobody can say: not in cost_dollars.';

CREATE VIEW report.requests_by_hour WITH (security_barrier) AS
SELECT u.hour, t.name AS tenant, k.public_id AS key, u.model, u.policy,
    CASE u.tags WHEN '' THEN '{}' ELSE u.tags::jsonb END AS tags, u.requests, u.degraded, u.failed, u.calls,
    u.visible_tokens, u.durations, u.first_tokens
FROM (
    SELECT hour, tenant_id, key_id, model, policy, tags, sum(requests)::bigint AS requests,
        sum(degraded)::bigint AS degraded, sum(failed)::bigint AS failed, sum(calls)::bigint AS calls,
        sum(visible_tokens)::bigint AS visible_tokens, sum(durations) AS durations, sum(first_tokens) AS first_tokens
    FROM usage_of_requests GROUP BY 1, 2, 3, 4, 5, 6
) u LEFT JOIN tenants t ON t.id = u.tenant_id LEFT JOIN api_keys k ON k.id = u.key_id;
COMMENT ON VIEW report.requests_by_hour IS 'Requests, by hour.';
COMMENT ON COLUMN report.requests_by_hour.hour IS 'The hour in which the request began.';
COMMENT ON COLUMN report.requests_by_hour.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.requests_by_hour.key IS 'The public part of the API key.';
COMMENT ON COLUMN report.requests_by_hour.model IS 'The public model name.';
COMMENT ON COLUMN report.requests_by_hour.policy IS 'The policy that answered.';
COMMENT ON COLUMN report.requests_by_hour.tags IS 'The tags that reports tell apart, as an object.';
COMMENT ON COLUMN report.requests_by_hour.requests IS 'Requests that were admitted.';
COMMENT ON COLUMN report.requests_by_hour.degraded IS 'Those in which the relay went on without the LLM.';
COMMENT ON COLUMN report.requests_by_hour.failed IS 'Those whose outcome is failed or cut.';
COMMENT ON COLUMN report.requests_by_hour.calls IS 'Calls of the LLM.';
COMMENT ON COLUMN report.requests_by_hour.visible_tokens IS 'Tokens that callers saw.';
COMMENT ON COLUMN report.requests_by_hour.durations IS 'A histogram of latencies: sum it, then read it with report.latency_ms.';
COMMENT ON COLUMN report.requests_by_hour.first_tokens IS 'The same of the times to the first token.';

-- cost_dollars and unpriced are subqueries: who does not ask for them does not pay for them.
CREATE VIEW report.requests WITH (security_barrier) AS
SELECT r.id, t.name AS tenant, k.public_id AS key, r.model, r.policy, r.policy_version, r.propensity, r.endpoint,
    r.is_stream, r.choices, r.tags, r.started_at, r.finished_at, r.outcome, r.finish, r.error_code, r.degraded, r.calls,
    r.malformed, r.prompt_tokens, r.slm_tokens, r.llm_tokens, r.command_tokens, r.visible_tokens,
    (SELECT sum(s.cost_pico) * 0.000000000001 FROM segments s WHERE s.request_id = r.id) AS cost_dollars,
    (SELECT count(*) FROM segments s WHERE s.request_id = r.id AND s.cost_pico IS NULL
        AND (s.prompt_tokens IS NOT NULL OR s.generated_tokens > 0)) AS unpriced
FROM requests r LEFT JOIN tenants t ON t.id = r.tenant_id LEFT JOIN api_keys k ON k.id = r.key_id;
COMMENT ON VIEW report.requests IS 'The ledger''s requests, without text.';
COMMENT ON COLUMN report.requests.id IS 'A UUID of version 7: a range of time is a range of ids, see report.first_id.';
COMMENT ON COLUMN report.requests.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.requests.key IS 'The public part of the API key.';
COMMENT ON COLUMN report.requests.model IS 'The public model name.';
COMMENT ON COLUMN report.requests.policy IS 'The policy that answered.';
COMMENT ON COLUMN report.requests.policy_version IS 'The version of the configuration that the policy came from.';
COMMENT ON COLUMN report.requests.propensity IS 'The probability of the choice that was drawn at random; NULL when none was.';
COMMENT ON COLUMN report.requests.endpoint IS 'chat or completions.';
COMMENT ON COLUMN report.requests.is_stream IS 'Whether the answer was a stream.';
COMMENT ON COLUMN report.requests.choices IS 'How many answers were asked for.';
COMMENT ON COLUMN report.requests.tags IS 'The chosen members of metadata, and user, as the caller sent them.';
COMMENT ON COLUMN report.requests.started_at IS 'When it began.';
COMMENT ON COLUMN report.requests.finished_at IS 'When it was over.';
COMMENT ON COLUMN report.requests.outcome IS 'completed, client_gone, failed or cut.';
COMMENT ON COLUMN report.requests.finish IS 'The finish reasons of the choices, joined by commas.';
COMMENT ON COLUMN report.requests.error_code IS 'The code of the error that the caller got; NULL when none.';
COMMENT ON COLUMN report.requests.degraded IS 'Why the relay went on without the LLM; NULL when it did not.';
COMMENT ON COLUMN report.requests.calls IS 'Calls of the LLM.';
COMMENT ON COLUMN report.requests.malformed IS 'Commands that were not well formed.';
COMMENT ON COLUMN report.requests.prompt_tokens IS 'Tokens of the caller''s prompt, counted once.';
COMMENT ON COLUMN report.requests.slm_tokens IS 'Tokens that the SLM generated.';
COMMENT ON COLUMN report.requests.llm_tokens IS 'Tokens that the LLM generated.';
COMMENT ON COLUMN report.requests.command_tokens IS 'Tokens of commands.';
COMMENT ON COLUMN report.requests.visible_tokens IS 'Tokens that the caller saw.';
COMMENT ON COLUMN report.requests.cost_dollars IS 'Of its segments that have a cost; NULL when none has one.';
COMMENT ON COLUMN report.requests.unpriced IS 'Its segments whose cost nobody can say.';

CREATE VIEW report.segments WITH (security_barrier) AS
SELECT s.request_id, t.name AS tenant, k.public_id AS key, r.model, r.policy, s.choice, s.seq, s.attempt, s.role,
    s.upstream, s.model AS upstream_model, s.requested, s.granted, s.prompt_tokens, s.cached_tokens,
    s.cache_write_tokens, s.generated_tokens, s.command_tokens, s.source, s.command_source, s.finish, s.error,
    s.started_at, s.first_token_us, s.duration_us, s.price_id, s.cost_pico * 0.000000000001 AS cost_dollars
FROM segments s LEFT JOIN requests r ON r.id = s.request_id
LEFT JOIN tenants t ON t.id = r.tenant_id LEFT JOIN api_keys k ON k.id = r.key_id;
COMMENT ON VIEW report.segments IS 'The ledger''s attempts at segments, without text.';
COMMENT ON COLUMN report.segments.request_id IS 'The request''s id.';
COMMENT ON COLUMN report.segments.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.segments.key IS 'The public part of the API key.';
COMMENT ON COLUMN report.segments.model IS 'The public model name.';
COMMENT ON COLUMN report.segments.policy IS 'The policy that answered.';
COMMENT ON COLUMN report.segments.choice IS 'Which of the answers, from 0.';
COMMENT ON COLUMN report.segments.seq IS 'The place in the answer, from 0.';
COMMENT ON COLUMN report.segments.attempt IS 'From 1; more when it was tried again.';
COMMENT ON COLUMN report.segments.role IS 'slm or llm.';
COMMENT ON COLUMN report.segments.upstream IS 'The server, by its name in the configuration.';
COMMENT ON COLUMN report.segments.upstream_model IS 'The model that served.';
COMMENT ON COLUMN report.segments.requested IS 'The n of the command; NULL where no command led here.';
COMMENT ON COLUMN report.segments.granted IS 'Tokens that the call was allowed; NULL where no command led here.';
COMMENT ON COLUMN report.segments.prompt_tokens IS 'Tokens read, cached ones included; NULL when the server did not say.';
COMMENT ON COLUMN report.segments.cached_tokens IS 'Tokens read from the server''s cache; NULL when it did not say.';
COMMENT ON COLUMN report.segments.cache_write_tokens IS 'Tokens written to the server''s cache; NULL when it did not say.';
COMMENT ON COLUMN report.segments.generated_tokens IS 'Tokens generated, those of commands included.';
COMMENT ON COLUMN report.segments.command_tokens IS 'Tokens of commands.';
COMMENT ON COLUMN report.segments.source IS 'Where generated_tokens came from: reported, counted or estimated.';
COMMENT ON COLUMN report.segments.command_source IS 'Where command_tokens came from.';
COMMENT ON COLUMN report.segments.finish IS 'How it ended.';
COMMENT ON COLUMN report.segments.error IS 'The code of its failure; NULL when none.';
COMMENT ON COLUMN report.segments.started_at IS 'When it began.';
COMMENT ON COLUMN report.segments.first_token_us IS 'Microseconds to the first text; NULL when there was none.';
COMMENT ON COLUMN report.segments.duration_us IS 'Microseconds.';
COMMENT ON COLUMN report.segments.price_id IS 'The price that held; NULL when there was none.';
COMMENT ON COLUMN report.segments.cost_dollars IS 'Exact; NULL when nobody can say.';

CREATE VIEW report.budget_windows WITH (security_barrier) AS
SELECT t.name AS tenant, k.public_id AS key, u.name, u.resource, u.counts, u."window", u.on_exhausted, u.clamps, u.mode,
    u.thresholds, u.state, u.window_start, u.window_end, u.is_current, u.amount, u.used, u.held, u.unreconciled,
    u.overrun, u.remaining
FROM budget_usage u JOIN tenants t ON t.id = u.tenant_id LEFT JOIN api_keys k ON k.id = u.key_id;
CREATE VIEW report.budgets WITH (security_barrier) AS
SELECT t.name AS tenant, k.public_id AS key, u.name, u.resource, u.counts, u."window", u.on_exhausted, u.clamps, u.mode,
    u.thresholds, u.window_start, u.window_end, u.amount, u.used, u.held, u.unreconciled, u.overrun, u.remaining
FROM budget_usage u JOIN tenants t ON t.id = u.tenant_id LEFT JOIN api_keys k ON k.id = u.key_id
WHERE u.is_current AND u.state = 'active' AND t.state = 'active';
COMMENT ON VIEW report.budgets IS 'Budgets and rates in force, with their current window.';
COMMENT ON VIEW report.budget_windows IS 'All windows in which something was used, and the current ones; removed budgets too.';
-- Both views have these columns; the state and whether it is current, the second alone.
DO $$
DECLARE
    line record;
    name text;
BEGIN
    FOR line IN SELECT * FROM (VALUES
        ('tenant', 'The tenant''s name.'),
        ('key', 'The public part of the API key that it is for; NULL for the whole tenant.'),
        ('name', 'The budget''s name.'),
        ('resource', 'llm_tokens for budgets; tokens, requests or concurrency for rates.'),
        ('counts', 'generated or billed.'),
        ('window', 'minute, hour, day, week, month or fixed.'),
        ('on_exhausted', 'degrade or reject.'),
        ('clamps', 'Whether a call may be granted less than it asked for.'),
        ('mode', 'leased or strict.'),
        ('thresholds', 'Percents that are told of.'),
        ('window_start', 'When the window began.'),
        ('window_end', 'When it ends; NULL when it never does.'),
        ('amount', 'What may be used in the window.'),
        ('used', 'Charged, with corrections.'),
        ('held', 'In leases of gateways and not used.'),
        ('unreconciled', 'Held by gateways that died; counts as used until proof.'),
        ('overrun', 'What servers sent beyond the budget.'),
        ('remaining', 'What nobody has.')) AS c (col, says)
    LOOP
        FOREACH name IN ARRAY ARRAY['budgets', 'budget_windows'] LOOP
            EXECUTE format('COMMENT ON COLUMN report.%I.%I IS %L', name, line.col, line.says);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON COLUMN report.budget_windows.state IS 'active or removed.';
COMMENT ON COLUMN report.budget_windows.is_current IS 'Whether now lies in it.';

CREATE VIEW report.prices WITH (security_barrier) AS
SELECT p.id, p.model, nullif(p.upstream, '') AS upstream, p.effective_from,
    lead(p.effective_from) OVER (PARTITION BY p.model, p.upstream ORDER BY p.effective_from) AS effective_to,
    p.input * 0.000001 AS input, p.cached_input * 0.000001 AS cached_input, p.cache_write * 0.000001 AS cache_write,
    p.output * 0.000001 AS output, p.request * 0.000000000001 AS request, p.actor, p.reason, p.created_at
FROM prices p;
COMMENT ON VIEW report.prices IS 'The price book, with its past and its future.';
COMMENT ON COLUMN report.prices.id IS 'What price_id of segments names.';
COMMENT ON COLUMN report.prices.model IS 'The model that serves.';
COMMENT ON COLUMN report.prices.upstream IS 'Only at this upstream; NULL for every one that has no price of its own.';
COMMENT ON COLUMN report.prices.effective_from IS 'For requests that begin then or later.';
COMMENT ON COLUMN report.prices.effective_to IS 'And before this, when the next price begins; NULL while there is none.';
COMMENT ON COLUMN report.prices.input IS 'Dollars for a million prompt tokens. NULL, and output too: no price.';
COMMENT ON COLUMN report.prices.cached_input IS 'Those from the server''s cache; NULL: as input.';
COMMENT ON COLUMN report.prices.cache_write IS 'Those written to the server''s cache; NULL: as input.';
COMMENT ON COLUMN report.prices.output IS 'Dollars for a million generated tokens.';
COMMENT ON COLUMN report.prices.request IS 'Dollars for each attempt that was served; NULL: nothing.';
COMMENT ON COLUMN report.prices.actor IS 'Who set it.';
COMMENT ON COLUMN report.prices.reason IS 'Why.';
COMMENT ON COLUMN report.prices.created_at IS 'When it was set.';

CREATE VIEW report.verdicts WITH (security_barrier) AS
SELECT v.request_id, v.choice, t.name AS tenant, v.source, v.verdict, v.judged_at
FROM (
    SELECT DISTINCT ON (request_id, choice, source) request_id, choice, tenant_id, source, verdict, judged_at
    FROM verdicts ORDER BY request_id, choice, source, judged_at DESC
) v LEFT JOIN tenants t ON t.id = v.tenant_id;
COMMENT ON VIEW report.verdicts IS 'The latest verdict of each source on each answer, without notes.';
COMMENT ON COLUMN report.verdicts.request_id IS 'The request''s id.';
COMMENT ON COLUMN report.verdicts.choice IS 'Which of the answers, from 0.';
COMMENT ON COLUMN report.verdicts.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.verdicts.source IS 'Who judged.';
COMMENT ON COLUMN report.verdicts.verdict IS '1 is right, 0 wrong, between them a share.';
COMMENT ON COLUMN report.verdicts.judged_at IS 'When.';

CREATE VIEW report.refusals WITH (security_barrier) AS
SELECT u.hour, t.name AS tenant, k.public_id AS key, u.model, u.code, u.requests
FROM usage_refusals u LEFT JOIN tenants t ON t.id = u.tenant_id LEFT JOIN api_keys k ON k.id = u.key_id;
COMMENT ON VIEW report.refusals IS 'Requests that were refused before they began, by hour. A gateway that dies forgets its last seconds.';
COMMENT ON COLUMN report.refusals.hour IS 'The hour in which they came.';
COMMENT ON COLUMN report.refusals.tenant IS 'The tenant''s name.';
COMMENT ON COLUMN report.refusals.key IS 'The public part of the API key.';
COMMENT ON COLUMN report.refusals.model IS 'The model name that was asked for.';
COMMENT ON COLUMN report.refusals.code IS 'The error''s code.';
COMMENT ON COLUMN report.refusals.requests IS 'How many.';

CREATE FUNCTION report.first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN uuid7_bound(moment);
COMMENT ON FUNCTION report.first_id IS 'The smallest id that a request of this moment can have: requests and segments are cut and found by id.';

-- The middle of the bucket in which that share of the latencies lies, by the scale of latency_bucket.
CREATE FUNCTION report.latency_ms(histogram numeric, share double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT CASE c.bucket WHEN 0 THEN 0.5 ELSE 2 ^ ((c.bucket - 0.5) / 4)::double precision END
    FROM (
        SELECT b AS bucket, sum(n) OVER (ORDER BY b) AS upto, sum(n) OVER () AS total
        FROM generate_series(0, 99) b,
            LATERAL (SELECT mod(div(histogram, latency_unit(b)), 1000000000000)) AS d (n)
    ) c
    WHERE c.total > 0 AND c.upto >= ceil(c.total * least(1, greatest(0, share))::numeric) AND c.upto > 0
    ORDER BY c.bucket LIMIT 1);
COMMENT ON FUNCTION report.latency_ms IS 'Milliseconds below which a share (0 to 1) of a histogram''s latencies lies, to 9.1 %; NULL for an empty one.';

-- Prices in dollars as people write them.
CREATE DOMAIN report.price AS numeric
    CONSTRAINT price_is_not_negative CHECK (VALUE >= 0)
    CONSTRAINT price_has_six_decimals CHECK (scale(trim_scale(VALUE)) <= 6)
    CONSTRAINT price_is_at_most_a_million CHECK (VALUE <= 1000000);
CREATE DOMAIN report.request_price AS numeric
    CONSTRAINT request_price_is_not_negative CHECK (VALUE >= 0)
    CONSTRAINT request_price_has_twelve_decimals CHECK (scale(trim_scale(VALUE)) <= 12)
    CONSTRAINT request_price_is_at_most_a_thousand CHECK (VALUE <= 1000);
CREATE DOMAIN report.model_name AS text CONSTRAINT model_is_given CHECK (VALUE IS NOT NULL AND VALUE <> '');

-- What the requests that began in [starts, ends) would have cost by another price book. Changes nothing; reads the
-- ledger, so it is for roles that may.
CREATE FUNCTION report.reprice(starts timestamptz, ends timestamptz, book jsonb, only_tenant text DEFAULT NULL)
RETURNS TABLE (
    upstream_model text, upstream text, segments bigint, recorded_dollars numeric, recorded_unpriced bigint,
    repriced_dollars numeric, repriced_unpriced bigint
) LANGUAGE sql STABLE SET timezone = 'UTC'
BEGIN ATOMIC
    WITH given AS MATERIALIZED (
        SELECT g.model::text AS model, coalesce(g.upstream, '') AS upstream,
            coalesce(g."from", timestamptz '-infinity') AS since, (g.input * 1000000)::bigint AS input,
            (g.cached_input * 1000000)::bigint AS cached_input, (g.cache_write * 1000000)::bigint AS cache_write,
            (g.output * 1000000)::bigint AS output, (g.request * 1000000000000)::bigint AS request
        FROM jsonb_to_recordset(book) AS g (
            model report.model_name, upstream text, "from" timestamptz, input report.price, cached_input report.price,
            cache_write report.price, output report.price, request report.request_price)
    ), held AS MATERIALIZED (
        SELECT given.*,
            lead(since, 1, timestamptz 'infinity') OVER (PARTITION BY model, upstream ORDER BY since) AS until
        FROM given
    ), attempts AS (
        SELECT s.model, s.upstream, s.prompt_tokens, s.generated_tokens, s.cost_pico, CASE WHEN own.model IS NULL
            THEN cost_of(shared.input, shared.cached_input, shared.cache_write, shared.output, shared.request,
                s.prompt_tokens, s.cached_tokens, s.cache_write_tokens, s.generated_tokens)
            ELSE cost_of(own.input, own.cached_input, own.cache_write, own.output, own.request,
                s.prompt_tokens, s.cached_tokens, s.cache_write_tokens, s.generated_tokens) END AS other_pico
        FROM requests r JOIN segments s ON s.request_id = r.id
        LEFT JOIN held own ON own.model = s.model AND own.upstream = s.upstream AND own.upstream <> ''
            AND own.since <= r.started_at AND r.started_at < own.until
        LEFT JOIN held shared ON shared.model = s.model AND shared.upstream = ''
            AND shared.since <= r.started_at AND r.started_at < shared.until
        -- The ids are those of the same time, to the millisecond: a day around it holds them all.
        WHERE r.started_at >= starts AND r.started_at < ends
            AND r.id >= uuid7_bound(starts - interval '1 day') AND r.id < uuid7_bound(ends + interval '1 day')
            AND s.request_id >= uuid7_bound(starts - interval '1 day')
            AND s.request_id < uuid7_bound(ends + interval '1 day')
            -- A wrong book is refused also where it prices nothing.
            AND (SELECT count(*) FROM held) >= 0
            AND (only_tenant IS NULL OR r.tenant_id IN (SELECT t.id FROM tenants t WHERE t.name = only_tenant))
    )
    -- What is not served costs nothing, also where it was recorded before there were prices.
    SELECT a.model, a.upstream, count(*), coalesce(sum(a.cost_pico), 0) * 0.000000000001,
        count(*) FILTER (WHERE a.cost_pico IS NULL AND (a.prompt_tokens IS NOT NULL OR a.generated_tokens > 0)),
        coalesce(sum(a.other_pico), 0) * 0.000000000001, count(*) FILTER (WHERE a.other_pico IS NULL)
    FROM attempts a GROUP BY 1, 2 ORDER BY 1, 2;
END;
COMMENT ON FUNCTION report.reprice IS 'What a time''s segments would have cost by another price book: a JSON array as price import reads it.';

-- Roles belong to all databases of a server: another one may have made it, or make it at this moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'relaygate_report') THEN
        BEGIN
            CREATE ROLE relaygate_report NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'the role relaygate_report was not made: % may make none; see Docs/sql.md', current_user;
                RETURN;
        END;
    END IF;
    GRANT USAGE ON SCHEMA report TO relaygate_report;
    GRANT SELECT ON ALL TABLES IN SCHEMA report TO relaygate_report;
END
$$;
