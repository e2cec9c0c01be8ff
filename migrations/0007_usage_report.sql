-- Reports of usage. They read the tables of hours with the last deltas, in one statement and so in one snapshot.

-- A moment as reports name it: so many days, months or hours from the present one, the wall clock of the zone, or an
-- instant. `given` holds a wall clock as if it were UTC.
CREATE FUNCTION usage_moment(kind text, shift bigint, given timestamptz, zone text, at timestamptz)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'hour' THEN date_trunc('hour', at, zone) + make_interval(hours => shift::integer)
        WHEN 'day' THEN
            (date_trunc('day', at AT TIME ZONE zone) + make_interval(days => shift::integer)) AT TIME ZONE zone
        WHEN 'month' THEN
            (date_trunc('month', at AT TIME ZONE zone) + make_interval(months => shift::integer)) AT TIME ZONE zone
        WHEN 'clock' THEN (given AT TIME ZONE 'UTC') AT TIME ZONE zone
        ELSE given END
$$;

-- Minutes by which the zone's clocks are ahead of UTC.
CREATE FUNCTION usage_offset(moment timestamptz, zone text) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM (moment AT TIME ZONE zone) - (moment AT TIME ZONE 'UTC')) / 60)::integer
$$;

-- A local time with its distance from UTC, such as 2026-10-25T02:00+02:00: an hour that clocks show twice has two
-- names.
CREATE FUNCTION usage_clock(moment timestamptz, zone text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(moment AT TIME ZONE zone, 'YYYY-MM-DD"T"HH24:MI') || CASE WHEN o.minutes < 0 THEN '-' ELSE '+' END
        || lpad((abs(o.minutes) / 60)::text, 2, '0') || ':' || lpad((abs(o.minutes) % 60)::text, 2, '0')
    FROM (SELECT usage_offset(moment, zone)) AS o (minutes)
$$;

-- The range between two moments, as instants and in the zone's own notation. `odd` is the first minutes by which the
-- zone differs from UTC and that are no whole hours, anywhere in the range: such a zone's days cut hours in two.
CREATE FUNCTION usage_range(
    first_kind text, first_shift bigint, first_given timestamptz, last_kind text, last_shift bigint,
    last_given timestamptz, zone text, at timestamptz,
    OUT starts timestamptz, OUT ends timestamptz, OUT first text, OUT last text, OUT odd integer)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.starts, m.ends, usage_clock(m.starts, zone), usage_clock(m.ends, zone), (
        SELECT usage_offset(d.day, zone)
        FROM (SELECT generate_series(m.starts, least(m.ends, m.starts + interval '3660 days'), interval '1 day')
            UNION ALL SELECT m.ends) AS d (day)
        WHERE usage_offset(d.day, zone) % 60 <> 0 ORDER BY d.day LIMIT 1)
    FROM (SELECT usage_moment(first_kind, first_shift, first_given, zone, at),
        usage_moment(last_kind, last_shift, last_given, zone, at)) AS m (starts, ends)
$$;

-- What `named` values of a tag keep: the rest of a WHERE. The text is searched first, since most rows end there.
CREATE FUNCTION usage_tag_filter(tag text, wanted text[]) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(' AND CASE WHEN tags = '''' OR NOT (%s) THEN false ELSE tags::jsonb ->> %L = ANY (%L::text[]) END',
        (SELECT string_agg(format('strpos(tags, %L) > 0', to_json(tag)::text || ': ' || to_json(w.value)::text), ' OR ')
            FROM unnest(wanted) AS w (value)), tag, wanted)
$$;

-- Where the days or months of a zone begin within a range, its own beginning first.
CREATE FUNCTION usage_edges(unit text, starts timestamptz, ends timestamptz, zone text) RETURNS timestamptz[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_agg(e.edge ORDER BY e.edge) FROM (
        SELECT starts UNION
        SELECT d.wall AT TIME ZONE zone FROM generate_series(
            date_trunc(unit, starts AT TIME ZONE zone), ends AT TIME ZONE zone, ('1 ' || unit)::interval) AS d (wall)
        WHERE d.wall AT TIME ZONE zone > starts AND d.wall AT TIME ZONE zone < ends) AS e (edge)
$$;

-- The columns of a report over its sources: what no source has is NULL, what one has and did not see is 0. Each source
-- has one row of a group, so that max only carries its sums over, unless rows of several texts of tags fall together.
CREATE FUNCTION usage_sums(has_requests boolean, has_refusals boolean, has_tags boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(CASE WHEN c.is_there THEN format('coalesce(%s(%s), 0)::%s AS %s',
            CASE WHEN has_tags THEN 'sum' ELSE 'max' END, c.name, c.type, c.name)
        ELSE format('NULL::%s AS %s', c.type, c.name) END, ', ' ORDER BY c.place)
    FROM (VALUES (1, 'requests', 'bigint', has_requests), (2, 'degraded', 'bigint', has_requests),
        (3, 'failed', 'bigint', has_requests), (4, 'refused', 'bigint', has_refusals),
        (5, 'calls', 'bigint', has_requests), (6, 'durations', 'numeric', has_requests),
        (7, 'first_tokens', 'numeric', has_requests),
        (8, 'slm_tokens', 'bigint', true), (9, 'llm_tokens', 'bigint', true), (10, 'command_tokens', 'bigint', true),
        (11, 'prompt_tokens', 'bigint', true), (12, 'cached_tokens', 'bigint', true),
        (13, 'prompts_unknown', 'bigint', true), (14, 'cost_pico', 'numeric', true), (15, 'unpriced', 'bigint', true)
    ) AS c (place, name, type, is_there)
$$;

-- Sums of usage from `starts` to before `ends`, one row for each combination of `dims`: tenant, key, model, policy,
-- role, upstream, upstream_model, hour, day, month and tag:KEY, in any order. `filter` is an object of lists, by the
-- same names but without times; of tenant and key they hold ids. What a row of requests (or of refusals) does not know
-- is NULL: requests have no role and no upstream, refusals moreover no policy and no tags. Where only tenants and keys
-- are told apart, their tightest budget of LLM tokens stands beside them.
--
-- The statement is put together from the fixed parts below, so that it groups by nothing that is not asked for, by ids
-- and numbers first, and joins names to sums. Names come in only as quoted literals.
CREATE FUNCTION usage_report(dims text[], starts timestamptz, ends timestamptz, zone text, filter jsonb)
RETURNS TABLE (
    labels text[], requests bigint, degraded bigint, failed bigint, refused bigint, calls bigint, durations numeric,
    first_tokens numeric, slm_tokens bigint, llm_tokens bigint, command_tokens bigint, prompt_tokens bigint,
    cached_tokens bigint, prompts_unknown bigint, cost_pico numeric, unpriced bigint, budget text, budget_used bigint,
    budget_left bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
DECLARE
    named text[] := dims || ARRAY(SELECT jsonb_object_keys(filter));
    has_requests boolean := NOT named && ARRAY['role', 'upstream', 'upstream_model'];
    has_refusals boolean := has_requests AND NOT 'policy' = ANY (named)
        AND NOT EXISTS (SELECT FROM unnest(named) AS n (name) WHERE n.name LIKE 'tag:%');
    has_budgets boolean := dims <@ ARRAY['tenant', 'key'] AND dims <> '{}';
    days timestamptz[];
    months timestamptz[];
    raw text := '';
    grouped text := '';
    later text := '';
    label text := '';
    places text := '';
    condition text := 'hour >= $1 AND hour < $2';
    parts text[] := '{}';
    name text;
    wanted text[];
    place integer := 0;
BEGIN
    FOREACH name IN ARRAY dims LOOP
        place := place + 1;
        raw := raw || CASE
            WHEN name = 'tenant' THEN 'tenant_id' WHEN name = 'key' THEN 'key_id' WHEN name = 'hour' THEN 'hour'
            WHEN name = 'day' THEN 'width_bucket(hour, $3)' WHEN name = 'month' THEN 'width_bucket(hour, $4)'
            WHEN name LIKE 'tag:%' THEN 'tags'
            WHEN name IN ('model', 'policy', 'role', 'upstream', 'upstream_model') THEN name END
            || ' AS g' || place || ', ';
        IF raw IS NULL THEN
            RAISE EXCEPTION 'usage cannot be told apart by %', name USING ERRCODE = 'invalid_parameter_value';
        END IF;
        later := later || CASE
            WHEN name LIKE 'tag:%' THEN format('nullif(g%s, '''')::jsonb ->> %L', place, substr(name, 5))
            ELSE 'g' || place END || ' AS g' || place || ', ';
        label := label || CASE name
            WHEN 'tenant' THEN format(', coalesce(t.name, g%s::text)', place)
            WHEN 'key' THEN format(', coalesce(k.public_id, g%s::text)', place)
            WHEN 'hour' THEN ', c.clock'
            WHEN 'day' THEN format(', to_char($3[g%s] AT TIME ZONE $5, ''YYYY-MM-DD'')', place)
            WHEN 'month' THEN format(', to_char($4[g%s] AT TIME ZONE $5, ''YYYY-MM'')', place)
            ELSE ', g' || place END;
        places := places || ', ' || place;
    END LOOP;
    grouped := ' GROUP BY ' || coalesce(nullif(substr(places, 3), ''), '()');
    FOR name IN SELECT jsonb_object_keys(filter) LOOP
        wanted := ARRAY(SELECT jsonb_array_elements_text(filter -> name));
        condition := condition || CASE
            WHEN name = 'tenant' THEN format(' AND tenant_id = ANY (%L::uuid[])', wanted)
            WHEN name = 'key' THEN format(' AND key_id = ANY (%L::uuid[])', wanted)
            WHEN name LIKE 'tag:%' THEN usage_tag_filter(substr(name, 5), wanted)
            WHEN name IN ('model', 'policy', 'role', 'upstream', 'upstream_model')
                THEN format(' AND %I = ANY (%L::text[])', name, wanted) END;
        IF condition IS NULL THEN
            RAISE EXCEPTION 'usage cannot be narrowed by %', name USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    IF 'day' = ANY (dims) THEN days := usage_edges('day', starts, ends, zone); END IF;
    IF 'month' = ANY (dims) THEN months := usage_edges('month', starts, ends, zone); END IF;
    parts := parts || format('SELECT %s NULL::bigint AS requests, NULL::bigint AS degraded, NULL::bigint AS failed,
        NULL::bigint AS refused, NULL::bigint AS calls, NULL::numeric AS durations, NULL::numeric AS first_tokens,
        sum(generated_tokens) FILTER (WHERE role = ''slm'') AS slm_tokens,
        sum(generated_tokens) FILTER (WHERE role = ''llm'') AS llm_tokens, sum(command_tokens) AS command_tokens,
        sum(prompt_tokens) AS prompt_tokens, sum(cached_tokens) AS cached_tokens,
        sum(prompts_unknown) AS prompts_unknown, sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced
        FROM usage_of_segments WHERE %s%s', raw, condition, grouped);
    IF has_requests THEN
        parts := parts || format('SELECT %s sum(requests), sum(degraded), sum(failed), NULL, sum(calls), sum(durations),
            sum(first_tokens), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM usage_of_requests WHERE %s%s',
            raw, condition, grouped);
    END IF;
    IF has_refusals THEN
        parts := parts || format('SELECT %s NULL, NULL, NULL, sum(requests), NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL FROM usage_refusals WHERE %s%s', raw, condition, grouped);
    END IF;
    RETURN QUERY EXECUTE format('WITH m AS (SELECT %s %s FROM (%s) u%s)%s%s
        SELECT ARRAY[%s]::text[], m.requests, m.degraded, m.failed, m.refused, m.calls, m.durations, m.first_tokens,
            m.slm_tokens, m.llm_tokens, m.command_tokens, m.prompt_tokens, m.cached_tokens, m.prompts_unknown,
            m.cost_pico, m.unpriced, %s FROM m%s%s%s%s',
        later, usage_sums(has_requests, has_refusals, raw LIKE '%tags AS%'), array_to_string(parts, ' UNION ALL '),
        grouped,
        CASE WHEN 'hour' = ANY (dims) THEN ', c AS MATERIALIZED (SELECT s.hour, usage_clock(s.hour, $5) AS clock
            FROM generate_series($1, $2, interval ''1 hour'') AS s (hour))' END,
        CASE WHEN has_budgets THEN ', b AS MATERIALIZED (
            SELECT DISTINCT ON (tenant_id, key_id) tenant_id, key_id, name, used, remaining FROM budget_usage
            WHERE is_current AND state = ''active'' AND resource = ''llm_tokens''
            ORDER BY tenant_id, key_id, remaining, name)' END,
        substr(label, 3),
        CASE WHEN NOT has_budgets THEN 'NULL::text, NULL::bigint, NULL::bigint'
            WHEN 'key' = ANY (dims) THEN
                'CASE WHEN o.remaining <= h.remaining OR h.name IS NULL THEN o.name ELSE h.name END,
                CASE WHEN o.remaining <= h.remaining OR h.name IS NULL THEN o.used ELSE h.used END,
                least(o.remaining, h.remaining)'
            ELSE 'h.name, h.used, h.remaining' END,
        CASE WHEN 'tenant' = ANY (dims)
            THEN format(' LEFT JOIN tenants t ON t.id = g%s', array_position(dims, 'tenant')) END,
        CASE WHEN 'key' = ANY (dims)
            THEN format(' LEFT JOIN api_keys k ON k.id = g%s', array_position(dims, 'key')) END,
        CASE WHEN 'hour' = ANY (dims) THEN format(' JOIN c ON c.hour = g%s', array_position(dims, 'hour')) END,
        CASE WHEN has_budgets THEN format(' LEFT JOIN b h ON h.key_id IS NULL AND h.tenant_id = %s%s',
            CASE WHEN 'key' = ANY (dims) THEN 'k.tenant_id' ELSE 't.id' END,
            CASE WHEN 'key' = ANY (dims) THEN ' LEFT JOIN b o ON o.key_id = k.id' END) END)
    USING starts, ends, days, months, zone;
END
$$;
