-- How long things are kept: whole months of the ledger are detached and dropped, other rows deleted. And: forgetting a
-- person, and how full everything is.

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
FROM unnest(ARRAY['usage_requests', 'usage_segments', 'usage_request_days', 'usage_segment_days',
    'usage_request_deltas', 'usage_segment_deltas', 'verdicts', 'lease_events', 'leases', 'budget_windows',
    'dead_letters']) WITH ORDINALITY AS t (name, place)
JOIN pg_class c ON c.oid = to_regclass(t.name);
COMMENT ON VIEW ledger_sizes IS 'Tables by month where they have months; rows as of the last ANALYZE, bytes with indexes and long values.';

-- Rows whose id lies outside of every month, counted up to `most`.
CREATE FUNCTION default_rows(most bigint) RETURNS TABLE (parent text, rows bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT 'requests', count(*) FROM (SELECT FROM requests_default LIMIT most) d
    UNION ALL SELECT 'segments', count(*) FROM (SELECT FROM segments_default LIMIT most) d
    UNION ALL SELECT 'payloads', count(*) FROM (SELECT FROM payloads_default LIMIT most) d
    UNION ALL SELECT 'charges', count(*) FROM (SELECT FROM charges_default LIMIT most) d
$$;

CREATE TABLE forgettings (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    user_sha256  bytea       CHECK (octet_length(user_sha256) = 32),
    actor        text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason       text        NOT NULL CHECK (length(reason) <= 2000),
    began_at     timestamptz NOT NULL,
    finished_at  timestamptz,
    requests     bigint      NOT NULL DEFAULT 0,
    payloads     bigint      NOT NULL DEFAULT 0,
    notes        bigint      NOT NULL DEFAULT 0,
    usage_rows   bigint      NOT NULL DEFAULT 0,
    dead_letters bigint      NOT NULL DEFAULT 0
);
COMMENT ON TABLE forgettings IS 'Who had a tenant, or one of its users, forgotten, when, and how much was deleted. Append-only.';
COMMENT ON COLUMN forgettings.user_sha256 IS 'The hash of the user''s id: the id itself is forgotten. NULL when it was the whole tenant.';
COMMENT ON COLUMN forgettings.actor IS 'Who had it done.';
COMMENT ON COLUMN forgettings.reason IS 'Why; may be empty.';
COMMENT ON COLUMN forgettings.began_at IS 'What began before it and comes later is written without text, hashes and tags.';
COMMENT ON COLUMN forgettings.finished_at IS 'NULL while it goes on, or when it was interrupted.';
COMMENT ON COLUMN forgettings.requests IS 'Requests whose tags were emptied.';
COMMENT ON COLUMN forgettings.payloads IS 'Rows of payloads that were deleted.';
COMMENT ON COLUMN forgettings.notes IS 'Verdicts whose notes were emptied.';
COMMENT ON COLUMN forgettings.usage_rows IS 'Rows of usage whose tags were emptied.';
COMMENT ON COLUMN forgettings.dead_letters IS 'Dead letters whose text was replaced.';
CREATE INDEX forgettings_began_idx ON forgettings (began_at);
CREATE INDEX forgettings_whose_idx ON forgettings (tenant_id, user_sha256, began_at);

-- Begins to forget; the number of the forgetting. Commit before the first forget_requests.
--
-- What is still on its way must neither be overlooked here nor be written as it came. So each transaction that writes
-- requests or verdicts asks forgotten_requests first, which holds this lock shared until the transaction's end. If it
-- got the lock before us, we wait here until it is committed, and the searches that follow find what it wrote. If it
-- gets the lock after us, our row is committed when it looks. There is no third way. Who writes takes this lock before
-- all others and we hold none while we wait, so nobody waits in a circle.
CREATE FUNCTION begin_forgetting(tenant uuid, user_sha256 bytea, actor text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    forgetting bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7236837482961128);
    INSERT INTO forgettings (tenant_id, user_sha256, actor, reason, began_at)
        VALUES (tenant, begin_forgetting.user_sha256, begin_forgetting.actor, begin_forgetting.reason, clock_timestamp())
        RETURNING id INTO forgetting;
    RETURN forgetting;
END
$$;

-- Of requests that are about to be written, those that must come without text, hashes and tags, because they began
-- before their tenant, or their user, was forgotten. It is a gateway's clock that says when a request began, and the
-- database's that says when the forgetting did: the minute is for gateways whose clock is ahead. Where nobody was
-- forgotten since the oldest of them began, as usual, this is one look into an index.
--
-- It must be VOLATILE: then its queries see what is committed when they begin, which is after the lock was got. The
-- statement that asks has looked at the database before.
CREATE FUNCTION forgotten_requests(ids uuid[], tenants uuid[], starts timestamptz[], users text[]) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7236837482961128);
    -- Not EXISTS: the largest is one look into an index, whatever the planner thinks of the rows.
    IF (SELECT max(f.began_at) FROM forgettings f)
        >= (SELECT min(s.start) FROM unnest(starts) AS s (start)) - interval '1 minute'
    THEN
        RETURN QUERY SELECT a.id FROM unnest(ids, tenants, starts, users) AS a (id, tenant, start, user_id)
            WHERE EXISTS (SELECT FROM forgettings f WHERE f.tenant_id = a.tenant AND f.user_sha256 IS NULL
                    AND f.began_at >= a.start - interval '1 minute')
                OR EXISTS (SELECT FROM forgettings f WHERE f.tenant_id = a.tenant
                    AND f.user_sha256 = sha256(convert_to(a.user_id, 'UTF8'))
                    AND f.began_at >= a.start - interval '1 minute');
    END IF;
END
$$;

-- What is left of a dead letter.
CREATE FUNCTION forgotten_letter(tenant uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT '{"tenant_id":"' || tenant::text || '","forgotten":true}'
$$;

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
    -- A row without tags joins the others of its key when the deltas are added up, by the hour and by the day; with its
    -- segments the sums of these that it carried come back.
    DELETE FROM usage_request_days u WHERE u.tenant_id = tenant AND u.tags <> ''
        AND (person IS NULL OR u.tags::jsonb ->> 'user' = person);
    DELETE FROM usage_segment_days u WHERE u.tenant_id = tenant AND u.tags <> ''
        AND (person IS NULL OR u.tags::jsonb ->> 'user' = person);
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
    UPDATE dead_letters d SET record = forgotten_letter(tenant)
        -- Where the record has its tenant: behind that a tag may have such a name.
        WHERE position('"tenant_id":"' || tenant || '"' IN left(d.record, 95)) > 0 AND d.record NOT LIKE '%"forgotten":true}'
            AND (person IS NULL OR position(to_json(person)::text IN d.record) > 0);
    GET DIAGNOSTICS letters = ROW_COUNT;
    UPDATE forgettings f SET finished_at = now(), usage_rows = rows, dead_letters = letters WHERE f.id = forgetting;
END
$$;

-- What reads or writes with its owner's rights is the owner's alone: PostgreSQL lets everybody call a new function, and
-- whoever reads the views of `report` could prune the ledger or grant a lease.
DO $$
DECLARE
    definer regprocedure;
BEGIN
    FOR definer IN
        SELECT p.oid FROM pg_proc p
        WHERE p.prosecdef AND p.pronamespace = current_schema()::regnamespace AND p.proowner = current_user::regrole
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', definer);
    END LOOP;
END
$$;
