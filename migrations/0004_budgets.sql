-- Budgets in LLM tokens and rates, held by gateways in leases. The argument is in Docs/budgets.md: tokens are granted by
-- one conditional update, spent only by the gateway that holds them, and come back only when they are provably unspent.

-- The clock of budgets. The setting is for tests, which move a database through its windows.
CREATE FUNCTION budget_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + coalesce(nullif(current_setting('relaygate.clock_offset', true), '')::interval, '0')
$$;

-- The window that a moment lies in. Weeks begin on Monday; a fixed window never ends.
CREATE FUNCTION budget_window(kind text, moment timestamptz, OUT starts timestamptz, OUT ends timestamptz)
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind WHEN 'fixed' THEN timestamptz '1970-01-01 00:00:00+00' ELSE date_trunc(kind, moment, 'UTC') END,
        CASE kind WHEN 'fixed' THEN NULL
        ELSE (date_trunc(kind, moment AT TIME ZONE 'UTC') + ('1 ' || kind)::interval) AT TIME ZONE 'UTC' END
$$;

CREATE TABLE budgets (
    id           uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL REFERENCES tenants (id) ON DELETE RESTRICT,
    key_id       uuid        REFERENCES api_keys (id) ON DELETE RESTRICT,
    name         text        NOT NULL CHECK (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
    resource     text        NOT NULL CHECK (resource IN ('llm_tokens', 'tokens', 'requests', 'concurrency')),
    counts       text        NOT NULL CHECK (counts IN ('generated', 'billed')),
    "window"     text        NOT NULL CHECK ("window" IN ('minute', 'hour', 'day', 'week', 'month', 'fixed')),
    amount       bigint      NOT NULL CHECK (amount BETWEEN 0 AND 9000000000000000),
    on_exhausted text        NOT NULL CHECK (on_exhausted IN ('degrade', 'reject')),
    clamps       boolean     NOT NULL,
    mode         text        NOT NULL CHECK (mode IN ('leased', 'strict')),
    thresholds   bigint[]    NOT NULL DEFAULT '{}',
    state        text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'removed')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (resource <> 'concurrency' OR "window" = 'fixed'),
    CHECK (resource = 'llm_tokens' OR mode = 'leased'),
    CHECK (array_position(thresholds, NULL) IS NULL AND 0 < ALL (thresholds) AND 100 >= ALL (thresholds))
);
CREATE UNIQUE INDEX budgets_name_key ON budgets (
    tenant_id, coalesce(key_id, '00000000-0000-0000-0000-000000000000'), name, (resource = 'llm_tokens'))
    WHERE state = 'active';
COMMENT ON TABLE budgets IS 'Budgets of LLM tokens, and rates: what a tenant, or one of its keys, may use in a window.';
COMMENT ON COLUMN budgets.counts IS 'Whether an LLM call counts what it generated, or what is billed: its prompt too.';
COMMENT ON COLUMN budgets.clamps IS 'Whether a call may be granted less than it asked for.';
COMMENT ON COLUMN budgets.mode IS 'leased, or strict: an intent is made durable before each call.';
COMMENT ON COLUMN budgets.thresholds IS 'Percents of the amount whose crossing is told once in a window.';
CREATE TRIGGER budgets_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON budgets
    FOR EACH STATEMENT EXECUTE FUNCTION bump_control_epoch();

CREATE TABLE gateways (
    id           uuid        PRIMARY KEY,
    name         text        NOT NULL,
    version      text        NOT NULL,
    state        text        NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'stopped', 'expired')),
    started_at   timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE gateways IS 'Gateway processes. The id is drawn at random by each process; the name is a label.';

CREATE TABLE budget_windows (
    budget_id    uuid        NOT NULL REFERENCES budgets (id),
    window_start timestamptz NOT NULL,
    window_end   timestamptz,
    amount       bigint      NOT NULL CHECK (amount >= 0),
    cap          bigint      NOT NULL CHECK (cap >= amount),
    charged      bigint      NOT NULL DEFAULT 0 CHECK (charged >= 0),
    leased       bigint      NOT NULL DEFAULT 0 CHECK (leased >= 0),
    unreconciled bigint      NOT NULL DEFAULT 0 CHECK (unreconciled >= 0),
    adjusted     bigint      NOT NULL DEFAULT 0,
    overrun      bigint      NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    PRIMARY KEY (budget_id, window_start),
    CONSTRAINT budget_windows_not_overspent CHECK (charged + leased + unreconciled + adjusted <= cap + overrun),
    CONSTRAINT budget_windows_not_negative CHECK (charged + leased + adjusted >= 0)
) WITH (fillfactor = 50);
CREATE INDEX budget_windows_open_idx ON budget_windows (budget_id, window_start) WHERE state = 'open';
COMMENT ON TABLE budget_windows IS 'How much of a budget is gone in one window. Changed by the functions of this schema only.';
COMMENT ON COLUMN budget_windows.cap IS 'What is enforced: the amount, or what was committed already when it was lowered.';
COMMENT ON COLUMN budget_windows.charged IS 'Settled by leases that are closed.';
COMMENT ON COLUMN budget_windows.leased IS 'In open leases: granted and not given back, what they have settled included.';
COMMENT ON COLUMN budget_windows.unreconciled IS 'Held by gateways that died without a word: charged until proof.';
COMMENT ON COLUMN budget_windows.adjusted IS 'The sum of what people corrected; negative where they took charges away.';
COMMENT ON COLUMN budget_windows.overrun IS 'By how much servers that sent more than was asked have broken the cap.';

CREATE TABLE leases (
    id           uuid        PRIMARY KEY,
    gateway_id   uuid        NOT NULL REFERENCES gateways (id),
    budget_id    uuid        NOT NULL,
    window_start timestamptz NOT NULL,
    mode         text        NOT NULL CHECK (mode IN ('leased', 'strict')),
    granted      bigint      NOT NULL DEFAULT 0 CHECK (granted >= 0),
    settled      bigint      NOT NULL DEFAULT 0 CHECK (settled >= 0),
    returned     bigint      NOT NULL DEFAULT 0 CHECK (returned >= 0),
    unreconciled bigint      NOT NULL DEFAULT 0 CHECK (unreconciled >= 0),
    overrun      bigint      NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'expired', 'closed')),
    opened_at    timestamptz NOT NULL,
    closed_at    timestamptz,
    FOREIGN KEY (budget_id, window_start) REFERENCES budget_windows (budget_id, window_start),
    CONSTRAINT leases_not_overspent CHECK (settled + returned + unreconciled <= granted),
    CONSTRAINT leases_explained CHECK (state = 'open' OR settled + returned + unreconciled = granted)
) WITH (fillfactor = 70);
CREATE INDEX leases_open_idx ON leases (gateway_id) WHERE state = 'open';
CREATE INDEX leases_budget_idx ON leases (budget_id, window_start);
COMMENT ON TABLE leases IS 'Tokens of one window of a budget that one gateway holds.';
COMMENT ON COLUMN leases.mode IS 'The budget''s mode when the lease was opened: whether its calls have intents.';
COMMENT ON COLUMN leases.settled IS 'Really used, by the charges in the ledger.';
COMMENT ON COLUMN leases.overrun IS 'The part of granted that was never granted but used all the same.';

CREATE TABLE lease_events (
    lease_id uuid        NOT NULL,
    sequence bigint      NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('grant', 'return', 'close', 'expire', 'reconcile')),
    tokens   bigint      NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (lease_id, sequence)
);
COMMENT ON TABLE lease_events IS 'What was done to a lease, by number: repeating an operation finds it here and changes nothing.';

CREATE TABLE charges (
    request_id uuid        NOT NULL,
    choice     bigint      NOT NULL,
    seq        bigint      NOT NULL,
    attempt    bigint      NOT NULL,
    lease_id   uuid        NOT NULL,
    budget_id  uuid        NOT NULL,
    tenant_id  uuid        NOT NULL,
    reserved   bigint      NOT NULL CHECK (reserved BETWEEN 0 AND 9000000000000000),
    charged    bigint      NOT NULL CHECK (charged BETWEEN 0 AND 9000000000000000),
    overrun    bigint      NOT NULL CHECK (overrun = greatest(0, charged - reserved)),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, choice, seq, attempt, lease_id)
) PARTITION BY RANGE (request_id);
CREATE INDEX charges_lease_idx ON charges (lease_id);
COMMENT ON TABLE charges IS 'What a lease pays for one attempt at a segment; one row for each budget that counts it.';

CREATE TABLE pruned_charges (
    lease_id uuid   PRIMARY KEY,
    charged  bigint NOT NULL CHECK (charged >= 0)
);
COMMENT ON TABLE pruned_charges IS 'What leases paid in months that are gone: with the charges that are kept it is what they settled.';
COMMENT ON COLUMN pruned_charges.charged IS 'The sum of charges.charged.';

CREATE TABLE ledger_horizons (
    what   text        PRIMARY KEY CHECK (what IN ('payloads', 'dead_letters', 'lease_events')),
    before timestamptz NOT NULL
);
COMMENT ON TABLE ledger_horizons IS 'Rows older than this were deleted, of tables that are not pruned by whole months.';
COMMENT ON COLUMN ledger_horizons.what IS 'The table.';
COMMENT ON COLUMN ledger_horizons.before IS 'Of lease_events: those of leases that ended before it.';

CREATE TABLE intents (
    request_id uuid        NOT NULL,
    choice     bigint      NOT NULL,
    seq        bigint      NOT NULL,
    attempt    bigint      NOT NULL,
    lease_id   uuid        NOT NULL REFERENCES leases (id),
    reserved   bigint      NOT NULL CHECK (reserved >= 0),
    at         timestamptz NOT NULL,
    PRIMARY KEY (request_id, choice, seq, attempt, lease_id)
);
CREATE INDEX intents_lease_idx ON intents (lease_id);
COMMENT ON TABLE intents IS 'Calls of strict budgets, written before they begin. Gone with their lease.';

CREATE TABLE budget_adjustments (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id    uuid        NOT NULL,
    window_start timestamptz NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('charged', 'unreconciled')),
    tokens       bigint      NOT NULL CHECK (tokens <> 0),
    actor        text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason       text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 2000),
    at           timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (budget_id, window_start) REFERENCES budget_windows (budget_id, window_start)
);
COMMENT ON TABLE budget_adjustments IS 'Corrections by people: the only way to change what was used. Append-only.';

CREATE TABLE budget_changes (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id uuid        NOT NULL,
    what      text        NOT NULL CHECK (what IN ('created', 'changed', 'removed')),
    before    jsonb,
    after     jsonb,
    actor     text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason    text        NOT NULL CHECK (length(reason) <= 2000),
    at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE budget_changes IS 'Who changed a budget, how, and why. Append-only.';

CREATE TABLE budget_alerts (
    budget_id    uuid        NOT NULL,
    window_start timestamptz NOT NULL,
    percent      bigint      NOT NULL,
    used         bigint      NOT NULL,
    amount       bigint      NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (budget_id, window_start, percent)
);
COMMENT ON TABLE budget_alerts IS 'Thresholds that were crossed, each once in a window.';

-- Counters change by the functions below only: each of them sets relaygate.writer for its transaction. (A SET clause of
-- the function would need a superuser.)
CREATE FUNCTION refuse_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('relaygate.writer', true), '') <> 'on' THEN
        RAISE EXCEPTION '% is kept by functions; use relaygate budget adjust', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER budget_windows_kept BEFORE INSERT OR UPDATE OR DELETE ON budget_windows
    FOR EACH ROW EXECUTE FUNCTION refuse_hand();
CREATE TRIGGER leases_kept BEFORE INSERT OR UPDATE OR DELETE ON leases
    FOR EACH ROW EXECUTE FUNCTION refuse_hand();
CREATE TRIGGER charges_append_only BEFORE UPDATE OR DELETE ON charges
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charges_no_truncate BEFORE TRUNCATE ON charges
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER budget_adjustments_append_only BEFORE UPDATE OR DELETE ON budget_adjustments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER budget_changes_append_only BEFORE UPDATE OR DELETE ON budget_changes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE charges_default PARTITION OF charges DEFAULT;
SELECT ensure_partitions(3);

-- A gateway says that it begins, that it lives, that it has given everything back.
CREATE FUNCTION register_gateway(gateway uuid, gateway_name text, gateway_version text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO gateways (id, name, version, started_at, heartbeat_at)
    VALUES (gateway, gateway_name, gateway_version, budget_now(), budget_now())
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = budget_now() WHERE gateways.state = 'live'
$$;

CREATE FUNCTION renew_gateway(gateway uuid, OUT state text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gateways g SET heartbeat_at = budget_now() WHERE g.id = gateway AND g.state = 'live' RETURNING g.state INTO state;
    state := coalesce(state, 'expired');
END
$$;

CREATE FUNCTION leave_gateway(gateway uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE gateways SET state = 'stopped', heartbeat_at = budget_now() WHERE id = gateway AND state = 'live'
$$;

-- Makes a window's row with the amount in force: who changes that waits for us, or we for him.
CREATE FUNCTION open_window(budget uuid, starts timestamptz, ends timestamptz) RETURNS void LANGUAGE sql AS $$
    WITH held AS (SELECT b.amount FROM budgets b WHERE b.id = budget FOR SHARE)
    INSERT INTO budget_windows (budget_id, window_start, window_end, amount, cap)
        SELECT budget, starts, ends, h.amount, h.amount FROM held h
        ON CONFLICT DO NOTHING
$$;

-- Gives a gateway tokens of a budget's current window: opens the lease, or adds to it. Gives as many of `needs`, in
-- their order, as fit into what is left; of the first one a part, where the budget clamps. Where all fit, `spare` more,
-- but no more than a fair part of the rest. Repeating a sequence number gives the answer of the first time; a `repeat`
-- that gives nothing is remembered too, so that the first message, if it comes after it, does nothing.
CREATE FUNCTION grant_tokens(
    gateway uuid, lease uuid, sequence bigint, budget uuid, lease_mode text, needs bigint[], spare bigint, repeat boolean,
    OUT state text, OUT granted bigint, OUT remaining_us bigint, OUT window_end timestamptz, OUT pool bigint,
    OUT leased_elsewhere bigint, OUT gateways bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
DECLARE
    b budgets%ROWTYPE;
    w budget_windows%ROWTYPE;
    l leases%ROWTYPE;
    moment timestamptz := budget_now();
    starts timestamptz;
    need bigint;
    extra bigint;
    fits boolean := true;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    granted := 0;
    pool := 0;
    leased_elsewhere := 0;
    gateways := 0;
    SELECT e.tokens INTO granted FROM lease_events e
        WHERE e.lease_id = lease AND e.sequence = grant_tokens.sequence AND e.kind = 'grant';
    IF FOUND THEN
        SELECT * INTO l FROM leases WHERE id = lease;
        SELECT * INTO w FROM budget_windows bw WHERE bw.budget_id = l.budget_id AND bw.window_start = l.window_start;
        window_end := w.window_end;
        remaining_us := CASE WHEN window_end IS NOT NULL
            THEN greatest(0, extract(epoch FROM window_end - moment) * 1000000)::bigint END;
        pool := coalesce(greatest(0, w.amount - w.charged - w.leased - w.unreconciled - w.adjusted), 0);
        state := CASE WHEN l.state <> 'open' THEN 'closed' WHEN granted = 0 THEN 'exhausted' ELSE 'granted' END;
        RETURN;
    END IF;
    granted := 0;
    SELECT b0.* INTO b FROM budgets b0 WHERE b0.id = budget AND b0.state = 'active';
    IF NOT FOUND THEN
        state := 'gone';
        RETURN;
    END IF;
    -- The budgets of a deleted tenant stay in force, with nothing left.
    IF NOT EXISTS (SELECT FROM tenants t WHERE t.id = b.tenant_id AND t.state = 'active') THEN
        state := 'exhausted';
        RETURN;
    END IF;
    SELECT bw.starts, bw.ends INTO starts, window_end FROM budget_window(b."window", moment) bw;
    remaining_us := CASE WHEN window_end IS NOT NULL
            THEN greatest(0, extract(epoch FROM window_end - moment) * 1000000)::bigint END;
    PERFORM FROM gateways g WHERE g.id = gateway AND g.state = 'live' FOR KEY SHARE;
    IF NOT FOUND THEN
        state := 'expired';
        RETURN;
    END IF;
    SELECT count(*) INTO gateways FROM gateways g
        WHERE g.state = 'live' AND g.heartbeat_at > moment - interval '10 seconds';
    SELECT * INTO l FROM leases WHERE id = lease;
    IF FOUND AND l.window_start <> starts THEN
        state := 'window_over';
        RETURN;
    ELSIF FOUND AND l.state <> 'open' THEN
        state := 'closed';
        RETURN;
    END IF;
    SELECT * INTO w FROM budget_windows bw WHERE bw.budget_id = budget AND bw.window_start = starts;
    IF NOT FOUND THEN
        PERFORM open_window(budget, starts, window_end);
        SELECT * INTO w FROM budget_windows bw WHERE bw.budget_id = budget AND bw.window_start = starts;
    END IF;
    IF w.charged + w.leased + w.unreconciled + w.adjusted < w.amount THEN
        -- Whoever waited here reads what the one before left.
        SELECT * INTO w FROM budget_windows bw WHERE bw.budget_id = budget AND bw.window_start = starts FOR NO KEY UPDATE;
        pool := greatest(0, w.amount - w.charged - w.leased - w.unreconciled - w.adjusted);
        FOREACH need IN ARRAY needs LOOP
            IF need > pool - granted THEN
                fits := false;
                EXIT;
            END IF;
            granted := granted + need;
        END LOOP;
        IF fits THEN
            -- Near the end nothing is given ahead: what is too little for a call here would be missing elsewhere.
            extra := least(spare, (pool - granted) / (4 * greatest(gateways, 1)));
            IF extra >= 8 * coalesce(needs[1], 1) THEN granted := granted + extra; END IF;
        ELSIF granted = 0 AND b.clamps THEN
            granted := pool;
        END IF;
    END IF;
    IF granted > 0 THEN
        UPDATE budget_windows bw SET leased = bw.leased + granted
            WHERE bw.budget_id = budget AND bw.window_start = starts;
        pool := pool - granted;
        INSERT INTO leases AS l0 (id, gateway_id, budget_id, window_start, mode, granted, opened_at)
            VALUES (lease, gateway, budget, starts, lease_mode, grant_tokens.granted, moment)
            ON CONFLICT (id) DO UPDATE SET granted = l0.granted + excluded.granted
            WHERE l0.state = 'open' AND l0.gateway_id = gateway AND l0.budget_id = budget AND l0.window_start = starts;
        IF NOT FOUND THEN
            -- The reaper came first.
            UPDATE budget_windows bw SET leased = bw.leased - granted
                WHERE bw.budget_id = budget AND bw.window_start = starts;
            pool := pool + granted;
            granted := 0;
            state := 'closed';
            RETURN;
        END IF;
    END IF;
    IF granted > 0 OR repeat THEN
        INSERT INTO lease_events VALUES (lease, grant_tokens.sequence, 'grant', granted, moment);
    END IF;
    SELECT coalesce(sum(l0.granted - l0.returned - l0.settled), 0) INTO leased_elsewhere FROM leases l0
        WHERE grant_tokens.granted = 0 AND l0.budget_id = budget AND l0.window_start = starts AND l0.state = 'open'
            AND l0.gateway_id <> gateway;
    state := CASE WHEN granted > 0 OR cardinality(needs) = 0 THEN 'granted' ELSE 'exhausted' END;
END
$$;

-- Changes the counters of a window: a cap that was above the amount follows what is committed down, and where `overruns`
-- says so what goes beyond the cap is an overrun.
CREATE FUNCTION change_window(
    budget uuid, starts timestamptz, charged_by bigint, leased_by bigint, unreconciled_by bigint, overruns boolean
) RETURNS void LANGUAGE sql AS $$
    UPDATE budget_windows w SET
        charged = w.charged + charged_by, leased = w.leased + leased_by, unreconciled = w.unreconciled + unreconciled_by,
        cap = greatest(w.amount, least(w.cap, n.committed)),
        overrun = CASE WHEN overruns THEN greatest(w.overrun, n.committed - w.cap) ELSE w.overrun END
    FROM (
        SELECT w0.charged + w0.leased + w0.unreconciled + w0.adjusted + charged_by + leased_by + unreconciled_by
        FROM budget_windows w0 WHERE w0.budget_id = budget AND w0.window_start = starts) AS n (committed)
    WHERE w.budget_id = budget AND w.window_start = starts
$$;

-- Tokens of a lease whose calls were begun, by their intents, and are not charged.
CREATE FUNCTION tokens_in_flight(lease uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(i.reserved), 0)::bigint FROM intents i
    WHERE i.lease_id = lease AND NOT EXISTS (
        SELECT FROM charges c WHERE c.request_id = i.request_id AND c.choice = i.choice AND c.seq = i.seq
            AND c.attempt = i.attempt AND c.lease_id = i.lease_id)
$$;

-- Takes tokens of a lease back, and closes it where `closes` says so: then everything granted must be explained, by
-- what the ledger settled, by what the owner says (`used`, for rates) or by what he lost sight of (`lost`).
CREATE FUNCTION return_tokens(
    gateway uuid, lease uuid, sequence bigint, tokens bigint, closes boolean, used bigint, lost bigint, OUT state text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
DECLARE
    l leases%ROWTYPE;
    moment timestamptz := budget_now();
    late bigint;
    excess bigint := 0;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    state := 'done';
    PERFORM FROM lease_events e WHERE e.lease_id = lease AND e.sequence = return_tokens.sequence;
    IF FOUND THEN RETURN; END IF;
    -- The budget before the lease, as everywhere: no two of these functions can block each other.
    SELECT * INTO l FROM leases WHERE id = lease AND gateway_id = gateway;
    IF NOT FOUND THEN
        state := 'unknown';
        RETURN;
    END IF;
    PERFORM FROM budget_windows w
        WHERE w.budget_id = l.budget_id AND w.window_start = l.window_start FOR NO KEY UPDATE;
    SELECT * INTO l FROM leases WHERE id = lease FOR UPDATE;
    IF l.state = 'open' AND closes THEN
        IF (SELECT b.resource <> 'llm_tokens' FROM budgets b WHERE b.id = l.budget_id) THEN
            -- A rate is reserved by estimate; no charge has told of more.
            excess := greatest(0, l.settled + used + lost + l.returned + tokens - l.granted);
        END IF;
        IF l.settled + used + lost + l.returned + tokens <> l.granted + excess THEN
            state := 'unsettled';
            RETURN;
        END IF;
        UPDATE leases SET settled = l.settled + used, returned = l.returned + tokens, unreconciled = lost,
            granted = l.granted + excess, overrun = l.overrun + excess, state = 'closed', closed_at = moment
            WHERE id = lease;
        PERFORM change_window(
            l.budget_id, l.window_start, l.settled + used, -(l.granted - l.returned), lost, excess > 0);
        DELETE FROM intents WHERE lease_id = lease;
    ELSIF l.state = 'open' THEN
        IF l.settled + l.returned + tokens > l.granted THEN
            state := 'unsettled';
            RETURN;
        END IF;
        UPDATE leases SET returned = l.returned + tokens WHERE id = lease;
        PERFORM change_window(l.budget_id, l.window_start, 0, -tokens, 0, false);
    ELSE
        -- Late. Of a strict lease the reaper has kept only what was in flight; what is so no more is free.
        late := CASE l.mode WHEN 'strict' THEN greatest(0, l.unreconciled - tokens_in_flight(lease))
            ELSE least(tokens, l.unreconciled) END;
        UPDATE leases SET returned = l.returned + late, unreconciled = l.unreconciled - late WHERE id = lease;
        PERFORM change_window(l.budget_id, l.window_start, 0, 0, -late, false);
    END IF;
    INSERT INTO lease_events VALUES (
        lease, return_tokens.sequence, CASE WHEN closes THEN 'close' ELSE 'return' END, tokens, moment);
END
$$;

-- Adds what the ledger has just recorded to its leases. Called by the statement that inserts the charges, once, with one
-- element for each lease, in the order of their ids: tokens used, and the part of them beyond the reservations.
--
-- Nobody waits in a circle. Whoever locks both takes windows first and leases then, each in one order, and of what he
-- has not locked in this order he waits for nothing. Most batches touch no window; for those that may, it is locked
-- here, before the first lease. That a lease has changed in between is seen only when it is locked: then its window is
-- taken if it is free, and if not (55P03) the writer sends the batch again.
CREATE FUNCTION settle_charges(lease_ids uuid[], used bigint[], overruns bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    l leases%ROWTYPE;
    excess bigint;
    late bigint;
    cleared bigint;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    PERFORM FROM budget_windows w
        WHERE (w.budget_id, w.window_start) IN (
            SELECT l0.budget_id, l0.window_start
            FROM unnest(lease_ids, used, overruns) AS c (lease, used, overrun) JOIN leases l0 ON l0.id = c.lease
            WHERE l0.state <> 'open' OR c.overrun > 0 OR l0.settled + l0.returned + l0.unreconciled + c.used > l0.granted)
        ORDER BY w.budget_id, w.window_start FOR NO KEY UPDATE;
    FOR i IN 1..coalesce(cardinality(lease_ids), 0) LOOP
        UPDATE leases SET settled = settled + used[i]
            WHERE id = lease_ids[i] AND state = 'open' AND overruns[i] = 0
                AND settled + returned + unreconciled + used[i] <= granted;
        CONTINUE WHEN FOUND;
        -- Rare: the lease was closed by the reaper, or more was used than was ever granted.
        SELECT * INTO l FROM leases WHERE id = lease_ids[i];
        -- The ledger never refuses a fact: a charge without its lease is kept, and the audit finds it.
        CONTINUE WHEN NOT FOUND;
        PERFORM FROM budget_windows w
            WHERE w.budget_id = l.budget_id AND w.window_start = l.window_start FOR NO KEY UPDATE NOWAIT;
        SELECT * INTO l FROM leases WHERE id = lease_ids[i] FOR UPDATE;
        IF l.state = 'open' THEN
            excess := greatest(overruns[i], l.settled + l.returned + used[i] - l.granted);
            UPDATE leases SET settled = l.settled + used[i], granted = l.granted + excess, overrun = l.overrun + excess
                WHERE id = l.id;
            PERFORM change_window(l.budget_id, l.window_start, 0, excess, 0, true);
        ELSE
            -- What is no longer in doubt. Of a strict lease that is all but the calls still in flight; a closed one has
            -- lost sight of what it doubts, and nothing will tell.
            cleared := CASE WHEN l.state = 'closed' THEN 0
                WHEN l.mode = 'strict' THEN greatest(0, l.unreconciled - tokens_in_flight(l.id))
                ELSE least(used[i] - overruns[i], l.unreconciled) END;
            late := least(used[i] - overruns[i], cleared);
            excess := used[i] - late;
            UPDATE leases SET settled = l.settled + used[i], unreconciled = l.unreconciled - cleared,
                returned = l.returned + cleared - late, granted = l.granted + excess, overrun = l.overrun + excess
                WHERE id = l.id;
            PERFORM change_window(l.budget_id, l.window_start, used[i], 0, -cleared, true);
        END IF;
    END LOOP;
    RETURN coalesce(cardinality(lease_ids), 0);
END
$$;

-- Makes the intents of attempts durable, several in one commit; `attempts` of the arrays belong together by `numbers`.
-- Gives the numbers of those that are written: not those of which one of the leases is no longer open.
CREATE FUNCTION record_intents(
    gateway uuid, numbers bigint[], lease_ids uuid[], requests uuid[], choices bigint[], seqs bigint[], attempts bigint[],
    reserved bigint[]
) RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
    WITH held AS (
        SELECT l.id FROM leases l WHERE l.id = ANY (lease_ids) AND l.gateway_id = gateway AND l.state = 'open'
        ORDER BY l.id FOR SHARE
    ), asked AS (
        SELECT i.*, h.id IS NOT NULL AS is_held
        FROM unnest(numbers, lease_ids, requests, choices, seqs, attempts, reserved)
            AS i (number, lease, request, choice, seq, attempt, tokens)
        LEFT JOIN held h ON h.id = i.lease
    ), sound AS (
        SELECT number FROM asked GROUP BY number HAVING bool_and(is_held)
    ), written AS (
        INSERT INTO intents (request_id, choice, seq, attempt, lease_id, reserved, at)
        SELECT a.request, a.choice, a.seq, a.attempt, a.lease, a.tokens, budget_now() FROM asked a JOIN sound USING (number)
        ON CONFLICT DO NOTHING
    )
    SELECT number FROM sound
$$;

-- Takes the intent of one lease for an attempt back: nothing of it was used.
CREATE FUNCTION void_intents(gateway uuid, lease uuid, request uuid, choice bigint, seq bigint, attempt bigint)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM intents i USING leases l
    WHERE i.lease_id = lease AND i.request_id = request AND i.choice = void_intents.choice AND i.seq = void_intents.seq
        AND i.attempt = void_intents.attempt AND l.id = i.lease_id AND l.gateway_id = gateway
$$;

-- Closes the leases of gateways that have not been heard of. What such a lease has not settled stays charged, as
-- unreconciled: time is no proof that nobody spends it. Of a strict budget only what has an intent and no charge is in
-- doubt, because no call begins without one; the rest is free. A rate comes back whole.
CREATE FUNCTION reap_leases(ttl interval, OUT gateways bigint, OUT leases bigint, OUT tokens bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '1s' AS $$
DECLARE
    moment timestamptz := budget_now();
    candidate record;
    l leases%ROWTYPE;
    doubtful bigint;
    rest bigint;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    leases := 0;
    tokens := 0;
    WITH dead AS (
        SELECT g.id FROM gateways g WHERE g.state = 'live' AND g.heartbeat_at < moment - ttl
        ORDER BY g.id FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE gateways g SET state = 'expired' FROM dead WHERE g.id = dead.id;
    GET DIAGNOSTICS gateways = ROW_COUNT;
    FOR candidate IN
        SELECT l0.id, l0.budget_id, l0.window_start, b.resource
        FROM leases l0 JOIN gateways g ON g.id = l0.gateway_id JOIN budgets b ON b.id = l0.budget_id
        WHERE l0.state = 'open' AND g.state <> 'live' ORDER BY l0.id
    LOOP
        -- See settle_charges: it waits for leases in the order of their ids, and for windows not at all.
        PERFORM FROM budget_windows w
            WHERE w.budget_id = candidate.budget_id AND w.window_start = candidate.window_start FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO l FROM leases l0 WHERE l0.id = candidate.id FOR UPDATE;
        CONTINUE WHEN l.state <> 'open';
        rest := l.granted - l.settled - l.returned;
        doubtful := rest;
        IF candidate.resource <> 'llm_tokens' THEN
            doubtful := 0;
        ELSIF l.mode = 'strict' THEN
            doubtful := least(rest, tokens_in_flight(l.id));
        END IF;
        UPDATE leases SET state = 'expired', closed_at = moment, unreconciled = doubtful,
            returned = l.returned + rest - doubtful WHERE id = l.id;
        PERFORM change_window(
            l.budget_id, l.window_start, l.settled, -(l.granted - l.returned), doubtful, false);
        INSERT INTO lease_events SELECT l.id, least(-1, min(e.sequence) - 1), 'expire', doubtful, moment
            FROM lease_events e WHERE e.lease_id = l.id;
        leases := leases + 1;
        tokens := tokens + doubtful;
    END LOOP;
    WITH over AS (
        SELECT w.budget_id, w.window_start FROM budget_windows w
        WHERE w.state = 'open' AND w.window_end < moment - interval '1 minute'
            AND NOT EXISTS (SELECT FROM leases l0 WHERE l0.budget_id = w.budget_id
                AND l0.window_start = w.window_start AND l0.state = 'open')
        FOR NO KEY UPDATE OF w SKIP LOCKED)
    UPDATE budget_windows w SET state = 'closed' FROM over
        WHERE w.budget_id = over.budget_id AND w.window_start = over.window_start;
    -- Nobody asks for a rate of the day before.
    WITH old AS (
        SELECT w.budget_id, w.window_start FROM budget_windows w JOIN budgets b ON b.id = w.budget_id
        WHERE b.resource <> 'llm_tokens' AND w.state = 'closed' AND w.window_end < moment - interval '1 day'
        ORDER BY 1, 2 LIMIT 1000 FOR NO KEY UPDATE OF w SKIP LOCKED
    ), gone AS (
        DELETE FROM leases l0 USING old WHERE l0.budget_id = old.budget_id AND l0.window_start = old.window_start
        RETURNING l0.id
    )
    DELETE FROM lease_events e USING gone WHERE e.lease_id = gone.id;
    DELETE FROM budget_windows w USING budgets b
        WHERE b.id = w.budget_id AND b.resource <> 'llm_tokens' AND w.state = 'closed'
            AND w.window_end < moment - interval '1 day'
            AND NOT EXISTS (SELECT FROM leases l0 WHERE l0.budget_id = w.budget_id AND l0.window_start = w.window_start)
            AND NOT EXISTS (SELECT FROM budget_adjustments a
                WHERE a.budget_id = w.budget_id AND a.window_start = w.window_start);
END
$$;

-- What is used and left of each window of each budget; the current window is there even when nobody has used it yet.
CREATE VIEW budget_usage AS
WITH windows AS (
    SELECT b.id AS budget_id, bw.starts AS window_start, bw.ends AS window_end, true AS is_current
    FROM budgets b CROSS JOIN LATERAL budget_window(b."window", budget_now()) bw
    UNION ALL
    SELECT w.budget_id, w.window_start, w.window_end, false
    FROM budget_windows w JOIN budgets b ON b.id = w.budget_id
    WHERE w.window_start <> (budget_window(b."window", budget_now())).starts
)
SELECT b.id AS budget_id, b.tenant_id, b.key_id, b.name, b.resource, b.counts, b."window", b.on_exhausted, b.clamps,
    b.mode, b.thresholds, b.state, v.window_start, v.window_end, v.is_current,
    coalesce(w.amount, b.amount) AS amount, coalesce(w.cap, b.amount) AS cap,
    coalesce(w.charged + w.adjusted, 0) + coalesce(l.settled, 0)::bigint AS used,
    coalesce(w.leased, 0) - coalesce(l.settled, 0)::bigint AS held,
    coalesce(w.unreconciled, 0) AS unreconciled, coalesce(w.overrun, 0) AS overrun,
    greatest(0, coalesce(w.amount - w.charged - w.leased - w.unreconciled - w.adjusted, b.amount)) AS remaining
FROM windows v
JOIN budgets b ON b.id = v.budget_id
LEFT JOIN budget_windows w ON w.budget_id = v.budget_id AND w.window_start = v.window_start
LEFT JOIN LATERAL (
    SELECT sum(l0.settled) AS settled FROM leases l0
    WHERE l0.budget_id = v.budget_id AND l0.window_start = v.window_start AND l0.state = 'open') l ON true;
COMMENT ON VIEW budget_usage IS 'used: charged, adjusted, and settled by open leases; held: in leases and not used; remaining: nobody has it.';

-- Notes the thresholds that have been crossed; returns those that nobody had noted. A window that has just ended is
-- looked at until it is closed. What is charged without proof is gone for the callers all the same.
CREATE FUNCTION raise_alerts() RETURNS TABLE (
    tenant text, key text, budget text, "window" text, window_start timestamptz, window_end timestamptz, percent bigint,
    used bigint, unreconciled bigint, amount bigint
) LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH now_used AS (
        SELECT w.budget_id, w.window_start, w.amount, w.unreconciled, w.charged + w.adjusted + coalesce((
            SELECT sum(l0.settled) FROM leases l0 WHERE l0.budget_id = w.budget_id
                AND l0.window_start = w.window_start AND l0.state = 'open'), 0)::bigint AS used, b.thresholds
        FROM budget_windows w JOIN budgets b ON b.id = w.budget_id AND b.state = 'active' AND b.thresholds <> '{}'
        WHERE w.state = 'open' AND w.amount > 0
    ), crossed AS (
        SELECT u.budget_id, u.window_start, p.percent, u.used + u.unreconciled AS gone, u.unreconciled, u.amount
        FROM now_used u CROSS JOIN LATERAL unnest(u.thresholds) AS p (percent)
        WHERE (u.used + u.unreconciled)::numeric * 100 >= u.amount::numeric * p.percent
            AND NOT EXISTS (SELECT FROM budget_alerts a WHERE a.budget_id = u.budget_id
                AND a.window_start = u.window_start AND a.percent = p.percent)
    ), noted AS (
        INSERT INTO budget_alerts (budget_id, window_start, percent, used, amount)
            SELECT budget_id, window_start, percent, gone, amount FROM crossed
        ON CONFLICT DO NOTHING
        RETURNING *
    )
    SELECT t.name, k.public_id, b.name, b."window", n.window_start, w.window_end, n.percent, n.used, w.unreconciled, n.amount
    FROM noted n JOIN budgets b ON b.id = n.budget_id JOIN tenants t ON t.id = b.tenant_id
        JOIN budget_windows w ON w.budget_id = n.budget_id AND w.window_start = n.window_start
        LEFT JOIN api_keys k ON k.id = b.key_id
    ORDER BY 1, 2, 3, 5, 7
$$;

-- Makes a budget, or changes one that has the same name, tenant and key: then `amount`, what happens at its end and its
-- thresholds may change, while what it counts may not. The current window follows: what is committed already stays.
CREATE FUNCTION set_budget(
    new_id uuid, tenant uuid, key uuid, budget_name text, new_resource text, new_counts text, new_window text,
    new_amount bigint, new_on_exhausted text, new_clamps boolean, new_mode text, new_thresholds bigint[],
    actor text, reason text, OUT id uuid, OUT what text, OUT held bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    old budgets%ROWTYPE;
    new budgets%ROWTYPE;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    -- One change of a tenant's budgets at a time.
    PERFORM FROM tenants t WHERE t.id = tenant AND t.state = 'active' FOR NO KEY UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no such tenant' USING ERRCODE = 'no_data_found'; END IF;
    SELECT * INTO old FROM budgets b WHERE b.tenant_id = tenant AND b.key_id IS NOT DISTINCT FROM key
        AND b.name = budget_name AND b.state = 'active'
        AND (b.resource = 'llm_tokens') = (new_resource = 'llm_tokens') FOR UPDATE;
    IF FOUND THEN
        IF (old.resource, old.counts, old."window") IS DISTINCT FROM (new_resource, new_counts, new_window) THEN
            RAISE EXCEPTION 'what a budget counts cannot change' USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        UPDATE budgets b SET amount = new_amount, on_exhausted = new_on_exhausted, clamps = new_clamps, mode = new_mode,
            thresholds = new_thresholds, updated_at = now() WHERE b.id = old.id RETURNING * INTO new;
        what := 'changed';
        UPDATE budget_windows w SET amount = new_amount,
            cap = greatest(new_amount, least(w.cap, w.charged + w.leased + w.unreconciled + w.adjusted))
            WHERE w.budget_id = old.id
                AND w.window_start = (SELECT bw.starts FROM budget_window(new_window, budget_now()) bw);
    ELSE
        INSERT INTO budgets (id, tenant_id, key_id, name, resource, counts, "window", amount, on_exhausted, clamps, mode,
                thresholds)
            VALUES (new_id, tenant, key, budget_name, new_resource, new_counts, new_window, new_amount, new_on_exhausted,
                new_clamps, new_mode, new_thresholds) RETURNING * INTO new;
        what := 'created';
    END IF;
    id := new.id;
    SELECT coalesce(sum(u.held), 0) INTO held FROM budget_usage u WHERE u.budget_id = new.id AND u.is_current;
    INSERT INTO budget_changes (budget_id, what, before, after, actor, reason)
        VALUES (new.id, set_budget.what, CASE WHEN old.id IS NULL THEN NULL ELSE to_jsonb(old) END, to_jsonb(new),
            set_budget.actor, set_budget.reason);
END
$$;

-- Takes a budget out of force. Its windows, leases and charges stay.
CREATE FUNCTION remove_budget(budget uuid, actor text, reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    old budgets%ROWTYPE;
    new budgets%ROWTYPE;
BEGIN
    SELECT * INTO old FROM budgets b WHERE b.id = budget AND b.state = 'active' FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE budgets b SET state = 'removed', updated_at = now() WHERE b.id = budget RETURNING * INTO new;
    INSERT INTO budget_changes (budget_id, what, before, after, actor, reason)
        VALUES (budget, 'removed', to_jsonb(old), to_jsonb(new), remove_budget.actor, remove_budget.reason);
    RETURN true;
END
$$;

-- Corrects what was used in the window that holds `moment`, the current one when that is NULL: `tokens` more, or fewer
-- when negative. `kind` says which number is corrected: what was charged, or what is charged without proof (only
-- downwards: proof of non-use was found elsewhere).
CREATE FUNCTION adjust_budget(
    budget uuid, kind text, tokens bigint, moment timestamptz, actor text, reason text,
    OUT starts timestamptz, OUT used bigint, OUT unreconciled bigint, OUT remaining bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    b budgets%ROWTYPE;
    w budget_windows%ROWTYPE;
    l leases%ROWTYPE;
    committed bigint;
    rest bigint := -tokens;
    part bigint;
BEGIN
    PERFORM set_config('relaygate.writer', 'on', true);
    SELECT * INTO b FROM budgets b0 WHERE b0.id = budget AND b0.state = 'active' AND b0.resource = 'llm_tokens';
    IF NOT FOUND THEN RAISE EXCEPTION 'no such budget' USING ERRCODE = 'no_data_found'; END IF;
    SELECT bw.starts INTO starts FROM budget_window(b."window", coalesce(moment, budget_now())) bw;
    PERFORM open_window(budget, bw.starts, bw.ends) FROM budget_window(b."window", budget_now()) bw
        WHERE bw.starts = adjust_budget.starts;
    SELECT * INTO w FROM budget_windows bw WHERE bw.budget_id = budget AND bw.window_start = starts FOR NO KEY UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'nothing was used in that window' USING ERRCODE = 'invalid_datetime_format'; END IF;
    SELECT w.charged + w.adjusted + coalesce(sum(l0.settled), 0) INTO used FROM leases l0
        WHERE l0.budget_id = budget AND l0.window_start = starts AND l0.state = 'open';
    IF kind = 'charged' AND used + tokens < 0 OR kind = 'unreconciled' AND (tokens > 0 OR w.unreconciled + tokens < 0) THEN
        RAISE EXCEPTION 'there are % used and % unreconciled tokens', used, w.unreconciled
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    IF kind = 'charged' THEN
        committed := w.charged + w.leased + w.unreconciled + w.adjusted + tokens;
        UPDATE budget_windows bw SET adjusted = bw.adjusted + tokens,
            -- A person may charge more than is left: that is no overrun but a wish, and the cap makes room for it.
            cap = greatest(bw.amount, CASE WHEN tokens > 0 THEN greatest(bw.cap, committed) ELSE least(bw.cap, committed) END)
            WHERE bw.budget_id = budget AND bw.window_start = starts;
    ELSE
        FOR l IN SELECT * FROM leases l0 WHERE l0.budget_id = budget AND l0.window_start = starts AND l0.unreconciled > 0
            ORDER BY l0.id FOR UPDATE
        LOOP
            part := least(rest, l.unreconciled);
            UPDATE leases SET unreconciled = l.unreconciled - part, returned = l.returned + part WHERE id = l.id;
            INSERT INTO lease_events SELECT l.id, least(-1, min(e.sequence) - 1), 'reconcile', part, budget_now()
                FROM lease_events e WHERE e.lease_id = l.id;
            rest := rest - part;
            EXIT WHEN rest = 0;
        END LOOP;
        PERFORM change_window(budget, starts, 0, 0, tokens, false);
    END IF;
    INSERT INTO budget_adjustments (budget_id, window_start, kind, tokens, actor, reason)
        VALUES (budget, starts, adjust_budget.kind, adjust_budget.tokens, adjust_budget.actor, adjust_budget.reason);
    SELECT u.used, u.unreconciled, u.remaining INTO used, unreconciled, remaining FROM budget_usage u
        WHERE u.budget_id = budget AND u.window_start = starts;
END
$$;

-- What must hold between these tables, whatever crashed. One row for each violation; none is what a database should have.
-- `tenant` and `starts` narrow it to one tenant and to the windows that begin then; NULL means all. What was pruned is
-- left out exactly: charges by their sum for each lease (I4), usage by its month (I8), lease events by the end of their
-- lease (I12). Requests, segments and charges of a month go in one transaction, so I6, I7 and I9 see all of it or none.
CREATE FUNCTION broken_invariants(tenant text, starts timestamptz, ttl interval)
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
