-- How long things are kept. Whole months of the ledger are detached and dropped; what was pruned is written down, so
-- that an audit stays right about what is left. And: forgetting a person, and how full everything is.

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
COMMENT ON COLUMN pruned_partitions.month IS 'Its first moment, UTC.';
COMMENT ON COLUMN pruned_partitions.rows IS 'Counted when it was detached.';

CREATE TABLE pruned_charges (
    lease_id uuid   PRIMARY KEY,
    charged  bigint NOT NULL CHECK (charged >= 0)
);
COMMENT ON TABLE pruned_charges IS 'What leases paid in months that are gone: with the charges that are kept it is what they settled.';

CREATE TABLE ledger_horizons (
    what   text        PRIMARY KEY CHECK (what IN ('payloads', 'dead_letters', 'lease_events')),
    before timestamptz NOT NULL
);
COMMENT ON TABLE ledger_horizons IS 'Rows older than this were deleted, of tables that are not pruned by whole months.';

CREATE FUNCTION is_pruned(moment timestamptz) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM pruned_partitions p
        WHERE p.parent = 'requests' AND p.month = date_trunc('month', moment, 'UTC'))
$$;

-- Why the charges from `low` to `high` are still needed: budgets whose window overlaps them and is the current one, or
-- has open leases. A fixed window counts from when its budget was made.
CREATE FUNCTION prune_obstacles(low timestamptz, high timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT 'budget ' || b.name || ' of tenant ' || t.name || CASE
            WHEN o.leases > 0 THEN ' has ' || o.leases || ' open lease(s) in its window'
            ELSE ' is in its window' END
        || CASE b."window" WHEN 'fixed' THEN ' that never ends'
            ELSE ' from ' || to_char(w.window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') END
    FROM budget_windows w
    JOIN budgets b ON b.id = w.budget_id AND b.resource = 'llm_tokens'
    JOIN tenants t ON t.id = b.tenant_id
    CROSS JOIN LATERAL (SELECT count(*) AS leases FROM leases l
        WHERE l.budget_id = w.budget_id AND l.window_start = w.window_start AND l.state = 'open') o
    WHERE CASE b."window" WHEN 'fixed' THEN b.created_at ELSE w.window_start END < high
        AND coalesce(w.window_end, 'infinity') > low
        AND (o.leases > 0
            OR b.state = 'active' AND w.window_start = (budget_window(b."window", budget_now())).starts)
    ORDER BY 1
$$;

-- Takes one month out of one table and writes it down. Rows are counted before anybody has to wait.
CREATE FUNCTION detach_month(parent text, month timestamptz, actor text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    partition text := parent || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
    counted bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(partition) AND i.inhparent = to_regclass(parent))
    THEN RETURN 0; END IF;
    EXECUTE format('SELECT count(*) FROM %I', partition) INTO counted;
    INSERT INTO pruned_partitions AS p (parent, month, partition, rows, bytes, actor)
        VALUES (detach_month.parent, detach_month.month, partition, counted, pg_total_relation_size(partition::regclass),
            detach_month.actor)
        ON CONFLICT ON CONSTRAINT pruned_partitions_pkey DO UPDATE SET rows = p.rows + excluded.rows,
            bytes = p.bytes + excluded.bytes, actor = excluded.actor, pruned_at = now(), dropped_at = NULL;
    -- CONCURRENTLY is refused beside a DEFAULT partition. This waits at most for lock_timeout, and is done at once then.
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, partition);
    RETURN counted;
END
$$;

-- The next month of a table's partitions that is over since `keep`, after `later_than`; NULL when there is none.
CREATE FUNCTION next_old_month(parent text, keep interval, later_than timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT min(m.month) FROM (
        SELECT to_timestamp(right(c.relname, 7) || '-01 +00', 'YYYY_MM-DD TZH') AS month
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(parent) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$') m
    WHERE (m.month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' <= now() - keep
        AND (later_than IS NULL OR m.month > later_than)
$$;

-- Takes a month of requests, segments, charges and text out of the ledger, all or none. Refuses a month that is not
-- over for a week, that a budget still needs, and to run beside another one.
CREATE FUNCTION prune_month(
    month timestamptz, actor text, OUT requests bigint, OUT segments bigint, OUT charges bigint, OUT payloads bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    ends timestamptz := (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
    obstacle text;
    partition text;
    of_charges text := 'charges' || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
BEGIN
    IF NOT pg_try_advisory_xact_lock(7236837482961127) THEN
        RAISE EXCEPTION 'another process is pruning' USING ERRCODE = 'lock_not_available';
    END IF;
    IF month <> date_trunc('month', month, 'UTC') OR ends > now() - interval '7 days' THEN
        RAISE EXCEPTION '% is no month that is over for a week', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Nothing new comes into the month while it is counted; readers go on.
    FOREACH partition IN ARRAY ARRAY['requests', 'segments', 'payloads', 'charges'] LOOP
        partition := partition || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
        IF to_regclass(partition) IS NOT NULL THEN EXECUTE format('LOCK TABLE %I IN SHARE MODE', partition); END IF;
    END LOOP;
    SELECT o INTO obstacle FROM prune_obstacles(month, ends) o LIMIT 1;
    IF FOUND THEN RAISE EXCEPTION '%', obstacle USING ERRCODE = 'object_in_use'; END IF;
    IF EXISTS (SELECT FROM pg_inherits i
        WHERE i.inhrelid = to_regclass(of_charges) AND i.inhparent = to_regclass('charges'))
    THEN
        -- An intent whose charge goes would look like a call that is still under way.
        EXECUTE format('DELETE FROM intents i USING %I c WHERE (i.request_id, i.choice, i.seq, i.attempt, i.lease_id)
            = (c.request_id, c.choice, c.seq, c.attempt, c.lease_id)', of_charges);
        EXECUTE format('INSERT INTO pruned_charges AS p SELECT c.lease_id, sum(c.charged) FROM %I c GROUP BY 1
            ON CONFLICT (lease_id) DO UPDATE SET charged = p.charged + excluded.charged', of_charges);
    END IF;
    requests := detach_month('requests', month, actor);
    segments := detach_month('segments', month, actor);
    payloads := detach_month('payloads', month, actor);
    charges := detach_month('charges', month, actor);
    -- Also where there was nothing to detach: from here on the month counts as gone.
    INSERT INTO pruned_partitions (parent, month, partition, rows, bytes, actor, dropped_at)
        VALUES ('requests', month, '', 0, 0, actor, now()) ON CONFLICT DO NOTHING;
END
$$;

-- Drops one table that was detached; its name, or NULL when none is left.
CREATE FUNCTION drop_detached() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    p pruned_partitions%ROWTYPE;
BEGIN
    SELECT * INTO p FROM pruned_partitions d WHERE d.dropped_at IS NULL ORDER BY d.month, d.parent
        LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN NULL; END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', p.partition);
    UPDATE pruned_partitions d SET dropped_at = now() WHERE d.parent = p.parent AND d.month = p.month;
    RETURN p.partition;
END
$$;

-- Detaches one month of payloads that is over since `keep`: its first moment, NULL when there is none, and its rows.
CREATE FUNCTION prune_payload_month(keep interval, actor text, OUT month timestamptz, OUT rows bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
BEGIN
    month := next_old_month('payloads', keep, NULL);
    IF month IS NOT NULL THEN rows := detach_month('payloads', month, actor); END IF;
END
$$;

-- Deletes up to `most` rows of a table that is pruned row by row; how many it found.
CREATE FUNCTION prune_rows(what text, keep interval, most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    cut timestamptz := now() - keep;
    found bigint;
BEGIN
    INSERT INTO ledger_horizons AS h VALUES (what, cut)
        ON CONFLICT ON CONSTRAINT ledger_horizons_pkey DO UPDATE SET before = greatest(h.before, excluded.before);
    CASE what
    WHEN 'payloads' THEN
        DELETE FROM payloads p USING (
            SELECT request_id, part FROM payloads WHERE request_id < uuid7_bound(cut) ORDER BY 1, 2 LIMIT most) o
            WHERE p.request_id = o.request_id AND p.part = o.part AND p.request_id < uuid7_bound(cut);
    WHEN 'dead_letters' THEN
        -- One that leases have paid for explains their charges, and stays as long as those.
        DELETE FROM dead_letters d WHERE d.request_id IN (
            SELECT d0.request_id FROM dead_letters d0 WHERE d0.created_at < cut
                AND NOT EXISTS (SELECT FROM charges c WHERE c.request_id = d0.request_id)
            ORDER BY d0.request_id LIMIT most);
    WHEN 'lease_events' THEN
        DELETE FROM lease_events e WHERE e.lease_id IN (
            SELECT l.id FROM leases l WHERE l.state <> 'open' AND l.closed_at < cut
                AND EXISTS (SELECT FROM lease_events e0 WHERE e0.lease_id = l.id)
            ORDER BY l.closed_at LIMIT most);
    END CASE;
    GET DIAGNOSTICS found = ROW_COUNT;
    RETURN found;
END
$$;
CREATE INDEX leases_closed_idx ON leases (closed_at) WHERE state <> 'open';

-- Sizes by table and month; rows are estimates.
CREATE VIEW ledger_sizes AS
SELECT t.place, t.parent, m.month, c.relname LIKE '%\_default' AS is_default, c.relname::text AS partition,
    greatest(0, c.reltuples)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
FROM (VALUES (1, 'requests'), (2, 'segments'), (3, 'charges'), (4, 'payloads')) AS t (place, parent)
JOIN pg_inherits i ON i.inhparent = to_regclass(t.parent)
JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (SELECT CASE WHEN c.relname ~ '_[0-9]{4}_[0-9]{2}$'
    THEN to_timestamp(right(c.relname, 7) || '-01 +00', 'YYYY_MM-DD TZH') END) AS m (month)
UNION ALL
SELECT 4 + t.place, t.name, NULL, false, t.name, greatest(0, c.reltuples)::bigint, pg_total_relation_size(c.oid)
FROM unnest(ARRAY['usage_requests', 'usage_segments', 'usage_request_deltas', 'usage_segment_deltas', 'verdicts',
    'lease_events', 'leases', 'budget_windows', 'dead_letters']) WITH ORDINALITY AS t (name, place)
JOIN pg_class c ON c.oid = to_regclass(t.name);

-- Rows whose id lies outside of every month, counted up to `most`.
CREATE FUNCTION default_rows(most bigint) RETURNS TABLE (parent text, rows bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT 'requests', count(*) FROM (SELECT FROM requests_default LIMIT most) d
    UNION ALL SELECT 'segments', count(*) FROM (SELECT FROM segments_default LIMIT most) d
    UNION ALL SELECT 'payloads', count(*) FROM (SELECT FROM payloads_default LIMIT most) d
    UNION ALL SELECT 'charges', count(*) FROM (SELECT FROM charges_default LIMIT most) d
$$;

-- A fact is never changed, but a person can be forgotten: tags of requests and notes of verdicts may be emptied by the
-- functions below, which set relaygate.forgetting for their transaction.
CREATE FUNCTION refuse_change_but_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND coalesce(current_setting('relaygate.forgetting', true), '') = 'on'
        AND to_jsonb(NEW) - ARRAY['tags', 'note'] = to_jsonb(OLD) - ARRAY['tags', 'note']
        AND coalesce(to_jsonb(NEW) ->> 'tags', '{}') = '{}' AND coalesce(to_jsonb(NEW) ->> 'note', '') = ''
    THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
DROP TRIGGER requests_append_only ON requests;
CREATE TRIGGER requests_append_only BEFORE UPDATE OR DELETE ON requests
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_forgetting();
DROP TRIGGER verdicts_append_only ON verdicts;
CREATE TRIGGER verdicts_append_only BEFORE UPDATE ON verdicts
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_forgetting();

CREATE TABLE forgettings (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    user_sha256  bytea       CHECK (octet_length(user_sha256) = 32),
    actor        text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason       text        NOT NULL CHECK (length(reason) <= 2000),
    began_at     timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    requests     bigint      NOT NULL DEFAULT 0,
    payloads     bigint      NOT NULL DEFAULT 0,
    notes        bigint      NOT NULL DEFAULT 0,
    usage_rows   bigint      NOT NULL DEFAULT 0,
    dead_letters bigint      NOT NULL DEFAULT 0
);
COMMENT ON TABLE forgettings IS 'Who had a tenant, or one of its users, forgotten, when, and how much was deleted. Append-only.';
COMMENT ON COLUMN forgettings.user_sha256 IS 'The hash of the user''s id: the id itself is forgotten. NULL when it was the whole tenant.';
COMMENT ON COLUMN forgettings.requests IS 'Requests whose tags were emptied.';

-- Forgets the text and tags of up to `most` requests after `after`, and adds to the row of `forgettings`. `last` is the
-- request to go on after; NULL when there are no more.
CREATE FUNCTION forget_requests(forgetting bigint, person text, after uuid, most bigint, OUT last uuid, OUT seen bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    tenant uuid;
    ids uuid[];
    chosen uuid[];
    tagged bigint;
    texts bigint;
    noted bigint;
BEGIN
    PERFORM set_config('relaygate.forgetting', 'on', true);
    SELECT f.tenant_id INTO STRICT tenant FROM forgettings f WHERE f.id = forgetting AND f.finished_at IS NULL;
    SELECT array_agg(p.id ORDER BY p.id), array_agg(p.id) FILTER (WHERE person IS NULL OR p.tags ->> 'user' = person)
        INTO ids, chosen
        FROM (SELECT r.id, r.tags FROM requests r WHERE r.tenant_id = tenant AND r.id > after ORDER BY r.id LIMIT most) p;
    seen := coalesce(cardinality(ids), 0);
    last := ids[seen];
    DELETE FROM payloads p WHERE p.request_id = ANY (chosen);
    GET DIAGNOSTICS texts = ROW_COUNT;
    UPDATE verdicts v SET note = '' WHERE v.request_id = ANY (chosen) AND v.note <> '';
    GET DIAGNOSTICS noted = ROW_COUNT;
    UPDATE requests r SET tags = '{}' WHERE r.id = ANY (chosen) AND r.tags <> '{}';
    GET DIAGNOSTICS tagged = ROW_COUNT;
    UPDATE forgettings f SET requests = f.requests + tagged, payloads = f.payloads + texts, notes = f.notes + noted
        WHERE f.id = forgetting;
END
$$;

-- Forgets what the usage tables, the values of tags and the dead letters say of a tenant's users, and ends a forgetting.
-- Sums stay: rows that only their tags told apart become one.
CREATE FUNCTION finish_forgetting(forgetting bigint, person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    tenant uuid;
    part bigint;
    rows bigint := 0;
    letters bigint;
BEGIN
    PERFORM set_config('relaygate.forgetting', 'on', true);
    SELECT f.tenant_id INTO STRICT tenant FROM forgettings f WHERE f.id = forgetting AND f.finished_at IS NULL;
    -- compact_usage moves rows between these tables; not now.
    PERFORM pg_advisory_xact_lock(7236837482961126);
    UPDATE usage_request_deltas d SET tags = '' WHERE d.tenant_id = tenant AND d.tags <> ''
        AND (person IS NULL OR d.tags::jsonb ->> 'user' = person);
    GET DIAGNOSTICS part = ROW_COUNT;
    rows := rows + part;
    UPDATE usage_segment_deltas d SET tags = '' WHERE d.tenant_id = tenant AND d.tags <> ''
        AND (person IS NULL OR d.tags::jsonb ->> 'user' = person);
    GET DIAGNOSTICS part = ROW_COUNT;
    rows := rows + part;
    -- A row without tags joins the others of its key when the deltas are added up.
    WITH gone AS (
        DELETE FROM usage_requests u WHERE u.tenant_id = tenant AND u.tags <> ''
            AND (person IS NULL OR u.tags::jsonb ->> 'user' = person) RETURNING *)
    INSERT INTO usage_request_deltas SELECT tenant_id, hour, key_id, model, policy, '', requests, degraded, failed, calls,
        visible_tokens, durations, first_tokens FROM gone;
    GET DIAGNOSTICS part = ROW_COUNT;
    rows := rows + part;
    WITH gone AS (
        DELETE FROM usage_segments u WHERE u.tenant_id = tenant AND u.tags <> ''
            AND (person IS NULL OR u.tags::jsonb ->> 'user' = person) RETURNING *)
    INSERT INTO usage_segment_deltas SELECT tenant_id, hour, key_id, model, policy, '', role, upstream, upstream_model,
        segments, generated_tokens, command_tokens, prompt_tokens, cached_tokens, prompts_unknown, cost_pico, unpriced
        FROM gone;
    GET DIAGNOSTICS part = ROW_COUNT;
    rows := rows + part;
    DELETE FROM tag_values v WHERE v.tenant_id = tenant AND (person IS NULL OR v.key = 'user' AND v.value = person);
    UPDATE dead_letters d SET record = '{"tenant_id":"' || tenant || '","forgotten":true}'
        WHERE position('"tenant_id":"' || tenant || '"' IN d.record) > 0 AND d.record NOT LIKE '%"forgotten":true}'
            AND (person IS NULL OR position(to_json(person)::text IN d.record) > 0);
    GET DIAGNOSTICS letters = ROW_COUNT;
    UPDATE forgettings f SET finished_at = now(), usage_rows = rows, dead_letters = letters WHERE f.id = forgetting;
END
$$;

-- I8 without the months that were pruned.
CREATE OR REPLACE FUNCTION broken_usage(tenant text, starts timestamptz)
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

-- What must hold between these tables, whatever crashed. One row for each violation; none is what a database should have.
-- `tenant` and `starts` narrow it to one tenant and to the windows that begin then; NULL means all. What was pruned is
-- left out exactly: charges by their sum for each lease (I4), usage by its month (I8), lease events by the end of their
-- lease (I12). Requests, segments and charges of a month go in one transaction, so I6, I7 and I9 see all of it or none.
CREATE OR REPLACE FUNCTION broken_invariants(tenant text, starts timestamptz, ttl interval)
RETURNS TABLE (invariant text, what text) LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH w AS (
        SELECT w0.*, b.tenant_id, b.resource, b.counts, t.name || '/' || b.name || ' ' || w0.window_start AS label
        FROM budget_windows w0 JOIN budgets b ON b.id = w0.budget_id JOIN tenants t ON t.id = b.tenant_id
        WHERE (tenant IS NULL OR t.name = tenant) AND (starts IS NULL OR w0.window_start = starts)
    ), l AS (
        SELECT l0.*, w.tenant_id, w.resource, w.counts, w.label || ' lease ' || l0.id AS name
        FROM leases l0 JOIN w USING (budget_id, window_start)
    ), sums AS (
        SELECT budget_id, window_start, sum(granted - returned) FILTER (WHERE state = 'open') AS leased,
            sum(settled) FILTER (WHERE state <> 'open') AS settled, sum(unreconciled) AS unreconciled
        FROM l GROUP BY 1, 2
    ), corrections AS (
        SELECT a.budget_id, a.window_start, sum(a.tokens) FILTER (WHERE a.kind = 'charged') AS tokens
        FROM budget_adjustments a GROUP BY 1, 2
    ), c AS (
        SELECT c0.*, l.counts, l.name, l.tenant_id AS owner, l.budget_id AS budget FROM charges c0 JOIN l ON l.id = c0.lease_id
    ), r AS (
        SELECT r0.* FROM requests r0 JOIN tenants t ON t.id = r0.tenant_id
        WHERE starts IS NULL AND (tenant IS NULL OR t.name = tenant)
    )
    SELECT 'I1', w.label FROM w
    WHERE w.charged + w.leased + w.unreconciled + w.adjusted > w.cap + w.overrun
        OR least(w.charged, w.leased, w.unreconciled, w.overrun, w.charged + w.leased + w.adjusted) < 0
    UNION ALL
    SELECT 'I2', w.label FROM w LEFT JOIN sums s USING (budget_id, window_start) WHERE w.leased <> coalesce(s.leased, 0)
    UNION ALL
    SELECT 'I3', l.name FROM l
    WHERE l.settled + l.returned + l.unreconciled > l.granted
        OR l.state <> 'open' AND l.settled + l.returned + l.unreconciled <> l.granted
    UNION ALL
    SELECT 'I4', l.name FROM l LEFT JOIN (SELECT lease_id, sum(charged) AS charged FROM c GROUP BY 1) s ON s.lease_id = l.id
        LEFT JOIN pruned_charges p ON p.lease_id = l.id
    WHERE l.resource = 'llm_tokens' AND l.settled <> coalesce(s.charged, 0) + coalesce(p.charged, 0)
    UNION ALL
    SELECT 'I5', w.label FROM w LEFT JOIN sums s USING (budget_id, window_start)
        LEFT JOIN corrections a USING (budget_id, window_start)
    WHERE w.charged <> coalesce(s.settled, 0) OR w.unreconciled <> coalesce(s.unreconciled, 0)
        OR w.adjusted <> coalesce(a.tokens, 0)
    UNION ALL
    SELECT 'I6', 'request ' || r.id FROM r LEFT JOIN (
        SELECT g.request_id, sum(g.generated_tokens) FILTER (WHERE g.role = 'llm') AS llm,
            sum(g.generated_tokens) FILTER (WHERE g.role = 'slm') AS slm,
            bool_or(g.choice >= 0 AND g.seq > 0 AND NOT EXISTS (SELECT FROM segments p
                WHERE p.request_id = g.request_id AND p.choice = g.choice AND p.seq = g.seq - 1)) AS has_gap
        FROM segments g GROUP BY 1) s ON s.request_id = r.id
    WHERE coalesce(s.llm, 0) <> r.llm_tokens OR coalesce(s.slm, 0) <> r.slm_tokens OR coalesce(s.has_gap, false)
    UNION ALL
    SELECT 'I6', 'segment of no request ' || g.request_id FROM segments g
    WHERE starts IS NULL AND tenant IS NULL AND NOT EXISTS (SELECT FROM requests r0 WHERE r0.id = g.request_id)
    UNION ALL
    SELECT 'I7', 'charge of ' || c.name || ' for request ' || c.request_id FROM c
        LEFT JOIN requests r0 ON r0.id = c.request_id
    WHERE c.tenant_id <> c.owner OR c.budget_id <> c.budget OR r0.tenant_id <> c.owner
    UNION ALL
    SELECT 'I7', 'charge of no lease for request ' || c0.request_id FROM charges c0
    WHERE starts IS NULL AND tenant IS NULL AND NOT EXISTS (SELECT FROM leases l0 WHERE l0.id = c0.lease_id)
    UNION ALL
    SELECT * FROM broken_usage(tenant, starts)
    UNION ALL
    SELECT 'I9', 'charge of ' || c.name || ' for request ' || c.request_id FROM c
        LEFT JOIN segments g ON (g.request_id, g.choice, g.seq, g.attempt) = (c.request_id, c.choice, c.seq, c.attempt)
    WHERE c.charged > c.reserved AND c.overrun = 0 OR c.charged < g.generated_tokens
        OR c.charged > greatest(c.reserved, g.generated_tokens
            + CASE c.counts WHEN 'billed' THEN coalesce(g.prompt_tokens, 0) ELSE 0 END) + 1
        OR g.role <> 'llm'
        OR g.request_id IS NULL AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.request_id = c.request_id)
    UNION ALL
    SELECT 'I10', l.name FROM l JOIN gateways g ON g.id = l.gateway_id
    WHERE l.state = 'open' AND g.heartbeat_at < budget_now() - 2 * ttl
        -- Where no gateway runs, nobody could have closed it.
        AND EXISTS (SELECT FROM gateways o WHERE o.state = 'live' AND o.started_at < budget_now() - 2 * ttl
            AND o.heartbeat_at > budget_now() - ttl)
    UNION ALL
    SELECT 'I11', l.name FROM l JOIN gateways g ON g.id = l.gateway_id WHERE l.state = 'open' AND g.state = 'stopped'
    UNION ALL
    SELECT 'I12', l.name FROM l LEFT JOIN (
        SELECT e.lease_id, sum(e.tokens) FILTER (WHERE e.kind = 'grant') AS granted FROM lease_events e GROUP BY 1
    ) e ON e.lease_id = l.id
    WHERE l.granted <> coalesce(e.granted, 0) + l.overrun
        AND (l.state = 'open' OR l.closed_at >= coalesce(
            (SELECT h.before FROM ledger_horizons h WHERE h.what = 'lease_events'), '-infinity'))
    UNION ALL
    SELECT 'I13', 'intent of ' || l.name || ' for request ' || i.request_id FROM intents i JOIN l ON l.id = i.lease_id
    WHERE l.state = 'closed'
    UNION ALL
    -- Gateways know a new budget within two seconds, and no longer count a removed one within two.
    SELECT 'I14', 'segment ' || g.seq || ' of request ' || r.id || ' and budget ' || b.name FROM r
        JOIN budgets b ON b.tenant_id = r.tenant_id AND b.resource = 'llm_tokens' AND (b.key_id IS NULL OR b.key_id = r.key_id)
            AND r.started_at > b.created_at + interval '5 seconds'
            AND (b.state = 'active' OR r.finished_at < b.updated_at)
        JOIN segments g ON g.request_id = r.id AND g.role = 'llm' AND g.generated_tokens > 0
    WHERE NOT EXISTS (SELECT FROM charges c0 WHERE c0.request_id = g.request_id AND c0.choice = g.choice AND c0.seq = g.seq
        AND c0.attempt = g.attempt AND c0.budget_id = b.id)
    UNION ALL
    SELECT 'I15', w.label FROM w JOIN budgets b ON b.id = w.budget_id AND b.state = 'active' AND b.amount <> w.amount
    WHERE w.window_start = (SELECT bw.starts FROM budget_window(b."window", budget_now()) bw)
    ORDER BY 1, 2
$$;
