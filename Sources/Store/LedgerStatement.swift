internal import Accounting
internal import Postgres

/// The statements of the ledger writer.
enum LedgerStatement {
    /// `off` and `local` would acknowledge what a crash, or the loss of a machine, can take back.
    static let secureCommit: PostgresStatement = """
        SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local')
        """

    static let makePartitions: PostgresStatement = "SELECT ensure_partitions(3)"

    /// Inserts requests and, only for those that were not there, everything that belongs to them: so a replay changes
    /// nothing. All or nothing, in one round trip. Segments cost what the price says that held when their request
    /// began; usage is appended, so that no two batches wait for each other. `latency_unit` is written as a power of
    /// ten, which is read faster than its zeros; tenants are taken in one order, because `report_tags` locks them.
    /// Requests of people who were forgotten come without text, hashes and tags; that is asked before anything is
    /// written, because the answer holds a lock.
    static let insert: PostgresStatement = """
        WITH forgotten AS MATERIALIZED (
            SELECT f.id FROM forgotten_requests($1, $2, $11, $58) AS f (id)
        ), new_requests AS (
            INSERT INTO requests (
                id, tenant_id, key_id, model, policy, policy_version, propensity, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, error_code, degraded, calls, malformed, prompt_tokens,
                slm_tokens, llm_tokens, command_tokens, visible_tokens, tags)
            SELECT id, tenant_id, key_id, model, policy, policy_version, propensity, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, error_code, degraded, calls, malformed, prompt_tokens,
                slm_tokens, llm_tokens, command_tokens, visible_tokens,
                CASE WHEN id IN (SELECT f.id FROM forgotten f) THEN '{}' ELSE tags::jsonb END
            FROM unnest(
                $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::text[],
                $9::bool[], $10::int8[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[],
                $15::text[], $16::text[], $17::int8[], $18::int8[], $19::int8[], $20::int8[], $21::int8[],
                $22::int8[], $23::int8[], $24::text[]
            ) AS r (
                id, tenant_id, key_id, model, policy, policy_version, propensity, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, error_code, degraded, calls, malformed, prompt_tokens,
                slm_tokens, llm_tokens, command_tokens, visible_tokens, tags)
            ON CONFLICT DO NOTHING
            RETURNING id, tenant_id, key_id, model, policy, tags, started_at, finished_at, outcome, degraded, calls,
                visible_tokens
        ), labels AS MATERIALIZED (
            SELECT tenant_id, tags, report_tags(tenant_id, tags) AS label
            FROM (SELECT DISTINCT tenant_id, tags FROM new_requests WHERE tags <> '{}' ORDER BY tenant_id) AS t
        ), labelled AS (
            SELECT r.*, coalesce(l.label, '') AS label, date_trunc('hour', r.started_at, 'UTC') AS hour
            FROM new_requests r LEFT JOIN labels l ON l.tenant_id = r.tenant_id AND l.tags = r.tags
        ), book AS MATERIALIZED (
            SELECT * FROM price_spans($29, $30)
        ), new_segments AS (
            INSERT INTO segments (
                request_id, choice, seq, attempt, role, model, upstream, requested, granted, prompt_tokens,
                cached_tokens, generated_tokens, command_tokens, source, command_source, finish, started_at,
                first_token_us, duration_us, error, cache_write_tokens, price_id, cost_pico)
            SELECT s.*, b.price, cost_of(b.input, b.cached_input, b.cache_write, b.output, b.request, s.prompt_tokens,
                s.cached_tokens, s.cache_write_tokens, s.generated_tokens)
            FROM unnest(
                $25::uuid[], $26::int8[], $27::int8[], $28::int8[], $31::text[], $29::text[], $30::text[],
                $32::int8[], $33::int8[], $34::int8[], $35::int8[], $36::int8[], $37::int8[], $38::text[],
                $39::text[], $40::text[], $41::timestamptz[], $42::int8[], $43::int8[], $44::text[], $45::int8[]
            ) AS s (
                request_id, choice, seq, attempt, role, model, upstream, requested, granted, prompt_tokens,
                cached_tokens, generated_tokens, command_tokens, source, command_source, finish, started_at,
                first_token_us, duration_us, error, cache_write_tokens)
            JOIN (SELECT id, started_at FROM new_requests WHERE calls >= 0) r ON r.id = s.request_id
            LEFT JOIN book b ON b.model = s.model AND b.upstream = s.upstream
                AND r.started_at >= b.since AND r.started_at < b.until
            RETURNING request_id, role, model, upstream, generated_tokens, command_tokens, prompt_tokens,
                cached_tokens, cost_pico, started_at, first_token_us
        ), new_payloads AS (
            INSERT INTO payloads (request_id, part, sha256, body)
            SELECT p.* FROM unnest($46::uuid[], $47::text[], $48::bytea[], $49::bytea[])
                AS p (request_id, part, sha256, body)
            JOIN new_requests r ON r.id = p.request_id
            WHERE p.request_id NOT IN (SELECT f.id FROM forgotten f)
        ), answers AS (
            -- The cost is NULL where a segment has none, or where the sum leaves a bigint.
            SELECT request_id, min(started_at + first_token_us * interval '1 microsecond') AS first_text,
                CASE WHEN count(*) = count(cost_pico) AND sum(cost_pico) <= 9223372036854775807
                    THEN sum(cost_pico)::int8 END AS cost
            FROM new_segments GROUP BY 1
        ), request_usage AS (
            INSERT INTO usage_request_deltas
            SELECT r.tenant_id, r.hour, r.key_id, r.model, r.policy, r.label, count(*), count(r.degraded),
                count(*) FILTER (WHERE r.outcome IN ('failed', 'cut')), sum(r.calls), sum(r.visible_tokens),
                sum(('1e' || 12 * latency_bucket(r.finished_at - r.started_at))::numeric),
                coalesce(sum(('1e' || 12 * latency_bucket(a.first_text - r.started_at))::numeric), 0)
            FROM labelled r LEFT JOIN answers a ON a.request_id = r.id
            GROUP BY 1, 2, 3, 4, 5, 6
        ), segment_usage AS (
            INSERT INTO usage_segment_deltas
            SELECT r.tenant_id, r.hour, r.key_id, r.model, r.policy, r.label, s.role, s.upstream, s.model, count(*),
                sum(s.generated_tokens), sum(s.command_tokens), coalesce(sum(s.prompt_tokens), 0),
                coalesce(sum(s.cached_tokens), 0), count(*) FILTER (WHERE s.prompt_tokens IS NULL),
                coalesce(sum(s.cost_pico), 0), count(*) FILTER (WHERE s.cost_pico IS NULL)
            FROM new_segments s JOIN labelled r ON r.id = s.request_id
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ), new_charges AS (
            INSERT INTO charges (
                request_id, choice, seq, attempt, lease_id, budget_id, tenant_id, reserved, charged, overrun)
            SELECT c.request_id, c.choice, c.seq, c.attempt, c.lease_id, c.budget_id, r.tenant_id, c.reserved, c.charged,
                greatest(0, c.charged - c.reserved)
            FROM unnest($50::uuid[], $51::int8[], $52::int8[], $53::int8[], $54::uuid[], $55::uuid[], $56::int8[],
                $57::int8[]) AS c (request_id, choice, seq, attempt, lease_id, budget_id, reserved, charged)
            JOIN new_requests r ON r.id = c.request_id
            RETURNING lease_id, charged, overrun
        ), settled AS (
            SELECT lease_id, sum(charged)::int8 AS charged, sum(overrun)::int8 AS overrun
            FROM new_charges GROUP BY lease_id
        )
        SELECT coalesce(array_agg(request_id), '{}') AS ids, coalesce(array_agg(cost), '{}') AS costs, (
            SELECT settle_charges(array_agg(lease_id ORDER BY lease_id), array_agg(charged ORDER BY lease_id),
                array_agg(overrun ORDER BY lease_id))
            FROM settled HAVING count(*) > 0)
        FROM answers
        """

    /// What `insert` says of the requests that were not there before and have segments.
    static func costs(_ rows: PostgresRows) -> [UUID7: RequestCost] {
        do throws(PostgresError) {
            let row = try rows.single()
            let costs = zip(try row.uuids("ids"), try row.ints("costs")).compactMap { id, cost in
                id.map { ($0, cost.map(RequestCost.pico) ?? .unpriced) }
            }
            return Dictionary(costs, uniquingKeysWith: { first, _ in first })
        } catch {
            // The rows are durable all the same.
            return [:]
        }
    }

    /// Settles charges once more, as the canaries do.
    static let settleAgain: PostgresStatement = "SELECT settle_charges($1, $2, $3)"

    /// A record that the tables refuse, kept whole unless its person was forgotten; what its leases pay for it is
    /// charged all the same.
    static let bury: PostgresStatement = """
        WITH forgotten AS MATERIALIZED (
            SELECT f.id FROM forgotten_requests(ARRAY[$1], ARRAY[$4::uuid], ARRAY[$13::timestamptz], ARRAY[$14::text])
                AS f (id)
        ), new_letter AS (
            INSERT INTO dead_letters (request_id, sqlstate, record)
            SELECT $1, $2, CASE WHEN EXISTS (SELECT FROM forgotten) THEN forgotten_letter($4) ELSE $3 END
            ON CONFLICT DO NOTHING RETURNING request_id
        ), new_charges AS (
            INSERT INTO charges (
                request_id, choice, seq, attempt, lease_id, budget_id, tenant_id, reserved, charged, overrun)
            SELECT c.request_id, c.choice, c.seq, c.attempt, c.lease_id, c.budget_id, $4, c.reserved, c.charged,
                greatest(0, c.charged - c.reserved)
            FROM unnest($5::uuid[], $6::int8[], $7::int8[], $8::int8[], $9::uuid[], $10::uuid[], $11::int8[],
                $12::int8[]) AS c (request_id, choice, seq, attempt, lease_id, budget_id, reserved, charged)
            JOIN new_letter r ON r.request_id = c.request_id
            RETURNING lease_id, charged, overrun
        ), settled AS (
            SELECT lease_id, sum(charged)::int8 AS charged, sum(overrun)::int8 AS overrun
            FROM new_charges GROUP BY lease_id
        )
        SELECT settle_charges(array_agg(lease_id ORDER BY lease_id), array_agg(charged ORDER BY lease_id),
            array_agg(overrun ORDER BY lease_id))
        FROM settled HAVING count(*) > 0
        """

    /// The binds of `insert`, one array per column.
    static func binds(_ records: [RequestRecord]) -> [PostgresValue] {
        requestBinds(records) + segmentBinds(records) + payloadBinds(records) + chargeBinds(records)
            + [.texts(records.map(user))]
    }

    /// Whose request it is, as the ledger stores it; nil where the caller did not say.
    static func user(_ record: RequestRecord) -> String? {
        record.tags.last { $0.key == "user" }.map { storable($0.value) }
    }

    private static func requestBinds(_ records: [RequestRecord]) -> [PostgresValue] {
        [
            .uuids(records.map(\.id)), .uuids(records.map(\.tenant)), .uuids(records.map(\.key)),
            .texts(records.map { storable($0.model) }), .texts(records.map { storable($0.policy) }),
            .texts(records.map { storable($0.policyVersion) }), .float8s(records.map(\.propensity)),
            .texts(records.map { storable($0.endpoint) }), .bools(records.map(\.isStream)),
            .int8s(records.map { Int64($0.choices) }), .timestamps(records.map(\.started)),
            .timestamps(records.map(\.finished)), .texts(records.map(\.outcome.rawValue)),
            .texts(records.map { storable($0.finish) }), .texts(records.map { $0.errorCode.map(storable) }),
            .texts(records.map { $0.degraded.map(storable) }), .int8s(records.map { Int64($0.calls) }),
            .int8s(records.map { Int64($0.malformed) }), .int8s(records.map { Int64($0.promptTokens) }),
            .int8s(records.map { Int64($0.slmTokens) }), .int8s(records.map { Int64($0.llmTokens) }),
            .int8s(records.map { Int64($0.commandTokens) }), .int8s(records.map { Int64($0.visibleTokens) }),
            .texts(
                records.map { record in
                    let tags = record.tags.map { RequestTag(key: storable($0.key), value: storable($0.value)) }
                    return tags.isEmpty ? "{}" : LedgerJSON.tags(tags)
                }),
        ]
    }

    private static func segmentBinds(_ records: [RequestRecord]) -> [PostgresValue] {
        let all = records.flatMap(\.segments)
        let ids = records.flatMap { record in record.segments.map { _ in record.id } }
        return [
            .uuids(ids), .int8s(all.map { Int64($0.choice) }), .int8s(all.map { Int64($0.sequence) }),
            .int8s(all.map { Int64($0.attempt) }), .texts(all.map { storable($0.model) }),
            .texts(all.map { storable($0.upstream) }), .texts(all.map { storable($0.role) }),
            .int8s(all.map { $0.requested.map(Int64.init) }), .int8s(all.map { $0.granted.map(Int64.init) }),
            .int8s(all.map { $0.promptTokens.map(Int64.init) }),
            .int8s(all.map { $0.cachedTokens.map(Int64.init) }),
            .int8s(all.map { Int64($0.generatedTokens) }), .int8s(all.map { Int64($0.commandTokens) }),
            .texts(all.map { storable($0.source) }), .texts(all.map { storable($0.commandSource) }),
            .texts(all.map { storable($0.finish) }), .timestamps(all.map(\.started)),
            .int8s(all.map(\.firstTokenMicroseconds)), .int8s(all.map(\.durationMicroseconds)),
            .texts(all.map { $0.error.map(storable) }), .int8s(all.map { $0.cacheWriteTokens.map(Int64.init) }),
        ]
    }

    private static func payloadBinds(_ records: [RequestRecord]) -> [PostgresValue] {
        let all = records.flatMap(\.payloads)
        let ids = records.flatMap { record in record.payloads.map { _ in record.id } }
        return [
            .uuids(ids), .texts(all.map { storable($0.part) }), .byteas(all.map(\.sha256)),
            .byteas(all.map(\.body)),
        ]
    }

    /// The binds of `bury`; with no charges where they are refused as well.
    static func buryBinds(_ record: RequestRecord, sqlState: String, charges: Bool) -> [PostgresValue] {
        [.uuid(record.id), .text(sqlState), .text(LedgerJSON.record(record)), .uuid(record.tenant)]
            + chargeBinds(charges ? [record] : []) + [.timestamp(record.started), .text(user(record))]
    }

    private static func chargeBinds(_ records: [RequestRecord]) -> [PostgresValue] {
        var keys: [(id: UUID7, segment: SegmentRecord, charge: ChargeRecord)] = []
        for record in records {
            for segment in record.segments {
                for charge in segment.charges { keys.append((record.id, segment, charge)) }
            }
        }
        return [
            .uuids(keys.map(\.id)), .int8s(keys.map { Int64($0.segment.choice) }),
            .int8s(keys.map { Int64($0.segment.sequence) }), .int8s(keys.map { Int64($0.segment.attempt) }),
            .uuids(keys.map(\.charge.lease)), .uuids(keys.map(\.charge.budget)),
            .int8s(keys.map { Int64($0.charge.reserved) }), .int8s(keys.map { Int64($0.charge.charged) }),
        ]
    }

    /// PostgreSQL's text cannot hold NUL; U+FFFD stands for it.
    static func storable(_ text: String) -> String {
        guard text.utf8.contains(0) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : $0 }))
    }
}
