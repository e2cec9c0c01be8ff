-- Reports of usage. They read the tables of hours and days with the last deltas, in one statement and so in one
-- snapshot.

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

-- The whole days of UTC within a range: sums by the day stand for their hours there.
CREATE FUNCTION usage_whole_days(starts timestamptz, ends timestamptz) RETURNS tstzmultirange
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT tstzmultirange(tstzrange(r.low, greatest(r.low, date_trunc('day', ends, 'UTC'))))
    FROM (SELECT date_trunc('day', starts + interval '24 hours' - interval '1 microsecond', 'UTC')) AS r (low)
$$;

-- Of those days that are cut by `edges`, where days or months of a zone begin: the hours on the other side of the edge
-- than the day's noon.
CREATE FUNCTION usage_cut_hours(whole_days tstzmultirange, edges timestamptz[]) RETURNS timestamptz[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT h.hour)
    FROM (SELECT e.edge, date_trunc('day', e.edge, 'UTC') FROM unnest(edges) AS e (edge)) AS d (edge, day)
    CROSS JOIN LATERAL generate_series(
        CASE WHEN d.edge <= d.day + interval '12 hours' THEN d.day ELSE d.edge END,
        CASE WHEN d.edge <= d.day + interval '12 hours' THEN d.edge ELSE d.day + interval '24 hours' END
            - interval '1 hour', interval '1 hour') AS h (hour)
    WHERE d.edge <> d.day AND d.day <@ whole_days
$$;

-- That a column lies in one of the spans: a part of a WHERE.
CREATE FUNCTION usage_within(name text, spans tstzmultirange) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce('(' || string_agg(format('%1$I >= %2$L AND %1$I < %3$L', name, lower(s), upper(s)), ' OR ') || ')',
        'false')
    FROM unnest(spans) AS s
$$;

-- A sum for many groups of few rows: the histograms' states are their numbers, where those of sum() are four times as
-- large. For few groups of many rows sum() is faster.
CREATE AGGREGATE usage_small_sum(numeric) (
    SFUNC = numeric_add, STYPE = numeric, COMBINEFUNC = numeric_add, PARALLEL = SAFE);

-- What a report sums up, in the order of its columns, and as what the usage tables have it: NULL where such a report
-- does not know it.
CREATE FUNCTION usage_measures(has_requests boolean, has_refusals boolean)
RETURNS TABLE (place integer, name text, type text, source text) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT m.place, m.name, m.type, CASE
        WHEN m.name = 'refused' THEN CASE WHEN has_refusals THEN '0::bigint' END
        WHEN m.place < 8 THEN CASE WHEN has_requests THEN m.name END
        WHEN m.role <> '' AND NOT has_requests
            THEN format('CASE role WHEN %L THEN generated_tokens ELSE 0 END', m.role)
        ELSE m.name END
    FROM (VALUES (1, 'requests', 'bigint', ''), (2, 'degraded', 'bigint', ''), (3, 'failed', 'bigint', ''),
        (4, 'refused', 'bigint', ''), (5, 'calls', 'bigint', ''), (6, 'durations', 'numeric', ''),
        (7, 'first_tokens', 'numeric', ''), (8, 'slm_tokens', 'bigint', 'slm'), (9, 'llm_tokens', 'bigint', 'llm'),
        (10, 'command_tokens', 'bigint', ''), (11, 'prompt_tokens', 'bigint', ''), (12, 'cached_tokens', 'bigint', ''),
        (13, 'prompts_unknown', 'bigint', ''), (14, 'cost_pico', 'numeric', ''), (15, 'unpriced', 'bigint', '')
    ) AS m (place, name, type, role)
$$;

-- Sums of usage from `starts` to before `ends`, one row for each combination of `dims`: tenant, key, model, policy,
-- role, upstream, upstream_model, hour, day, month and tag:KEY, in any order. `filter` is an object of lists, by the
-- same names but without times; of tenant and key they hold ids. What a row of requests (or of refusals) does not know
-- is NULL: requests have no role and no upstream, refusals moreover no policy and no tags. Where only tenants and keys
-- are told apart, their tightest budget of LLM tokens stands beside them.
--
-- The statement is put together from the fixed parts below, so that it reads no more than it needs (days where the zone
-- and the range have whole ones, segments only where they are told apart), groups by nothing that is not asked for, by
-- ids and numbers first, and joins names to sums. Names come in only as quoted literals.
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
    whole_days tstzmultirange := '{}';
    cut_hours timestamptz[];
    whole tstzmultirange := tstzmultirange(tstzrange(starts, ends));
    raw text := '';
    grouped text := '';
    later text := '';
    label text := '';
    places text := '';
    condition text := '';
    added text;
    taken text;
    refusal text;
    sums text;
    sources text;
    name text;
    wanted text[];
    place integer := 0;
BEGIN
    FOREACH name IN ARRAY dims LOOP
        place := place + 1;
        raw := raw || CASE
            WHEN name = 'tenant' THEN 'tenant_id' WHEN name = 'key' THEN 'key_id' WHEN name = 'hour' THEN 'at'
            WHEN name = 'day' THEN 'width_bucket(at, $3)' WHEN name = 'month' THEN 'width_bucket(at, $4)'
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
    IF NOT 'hour' = ANY (dims) THEN whole_days := usage_whole_days(starts, ends); END IF;
    cut_hours := usage_cut_hours(whole_days, days || months);
    -- What is NULL or 0 depends on the kind of report: what it cannot know is NULL, what it did not see is 0.
    SELECT string_agg(format('%s AS %I', m.source, m.name), ', ' ORDER BY m.place) FILTER (WHERE m.source <> ''),
            string_agg(format('-(%s) AS %I', m.source, m.name), ', ' ORDER BY m.place) FILTER (WHERE m.source <> ''),
            string_agg(CASE m.name WHEN 'refused' THEN 'requests' ELSE '0::' || m.type END, ', ' ORDER BY m.place)
                FILTER (WHERE m.source <> ''),
            string_agg(format(CASE WHEN m.source IS NULL THEN 'NULL::%2$s AS %1$I'
                    ELSE 'coalesce(%3$s(%1$I), 0)::%2$s AS %1$I' END, m.name, m.type,
                CASE WHEN 'hour' = ANY (dims) AND m.type = 'numeric' THEN 'usage_small_sum' ELSE 'sum' END),
                ', ' ORDER BY m.place)
        INTO added, taken, refusal, sums FROM usage_measures(has_requests, has_refusals) m;
    -- A day counts at its noon. Where another day or month of the zone begins in it, the hours on the other side of
    -- that moment are added at their own time and taken away at noon.
    SELECT string_agg(format('SELECT tenant_id, %s AS at, key_id, model, policy, tags, %s FROM %s WHERE %s%s', s.moment,
            CASE WHEN has_requests THEN format(s.columns, 'requests')
                ELSE 'role, upstream, upstream_model, ' || format(s.columns, 'segments') END,
            CASE WHEN has_requests THEN s.of_requests ELSE s.of_segments END, s.span, condition), ' UNION ALL ')
        INTO sources
        FROM (VALUES
            ('usage_requests', 'usage_segments', 'hour', added || ', %s AS entries',
                usage_within('hour', whole - whole_days)),
            ('usage_request_days', 'usage_segment_days', 'day + interval ''12 hours''', added || ', %s AS entries',
                usage_within('day', whole_days)),
            ('usage_deltas', 'usage_segment_deltas', 'hour', added || ', %s AS entries', usage_within('hour', whole)),
            ('usage_requests', 'usage_segments', 'hour', added || ', %s AS entries',
                format('hour = ANY (%L)', cut_hours)),
            ('usage_requests', 'usage_segments', 'date_trunc(''day'', hour, ''UTC'') + interval ''12 hours''',
                taken || ', -%s AS entries', format('hour = ANY (%L)', cut_hours))
        ) AS s (of_requests, of_segments, moment, columns, span)
        WHERE s.span <> 'false' AND s.span <> 'hour = ANY (NULL)';
    IF has_refusals THEN
        sources := sources || format(' UNION ALL SELECT tenant_id, hour, key_id, model, NULL, NULL, %s, requests
            FROM usage_refusals WHERE %s%s', refusal, usage_within('hour', whole), condition);
    END IF;
    sources := format('SELECT %s %s FROM (%s) u%s%s', raw, sums, sources, grouped,
        -- Of a group that has nothing but what was taken away again no row is left.
        CASE WHEN cut_hours IS NOT NULL THEN ' HAVING sum(entries) > 0' END);
    -- Several texts of tags may have one value of a tag.
    IF raw LIKE '%tags AS%' THEN sources := format('SELECT %s %s FROM (%s) u%s', later, sums, sources, grouped); END IF;
    RETURN QUERY EXECUTE format('WITH m AS (%s)%s%s
        SELECT ARRAY[%s]::text[], m.requests, m.degraded, m.failed, m.refused, m.calls, m.durations, m.first_tokens,
            m.slm_tokens, m.llm_tokens, m.command_tokens, m.prompt_tokens, m.cached_tokens, m.prompts_unknown,
            m.cost_pico, m.unpriced, %s FROM m%s%s%s%s',
        sources,
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
