package import Accounting
package import Postgres

/// Reads requests with their segments. *Loop thread.*
package struct TraceReader {
    /// Requests in one round trip of an export: with their segments, what it holds in memory.
    private static let page = 200

    private let database: any PostgresDatabase

    package init(_ database: any PostgresDatabase) { self.database = database }

    /// Requests without their segments, the newest first.
    package func list(_ filter: TraceFilter) async throws(StoreError) -> [Trace] {
        let scope = try await scope(of: filter)
        return try await requests(TraceReader.newest, scope, filter, limit: filter.limit ?? 50)
    }

    /// One request with its segments.
    /// - Parameter text: its id, or the first hexadecimal digits of it, at least 8, that no other request has.
    package func show(_ text: String) async throws(StoreError) -> Trace {
        guard let (low, high) = TraceReader.range(ofPrefix: text) else {
            throw StoreError(.invalid, "\(quoted(text)) is no request id: give at least 8 of its hexadecimal digits")
        }
        let scope = Scope(tenant: nil, low: low, high: high)
        let found = try await requests(TraceReader.oldest, scope, TraceFilter(), limit: 4)
        guard let trace = found.first else { throw StoreError(.notFound, "no request has the id \(quoted(text))") }
        guard found.count == 1 else {
            let some = found.prefix(3).map(\.request.id.description).joined(separator: ", ")
            throw StoreError(
                .ambiguous, "\(quoted(text)) begins more than one request id: \(some)\(found.count > 3 ? ", …" : "")")
        }
        return try await withSegments([trace])[0]
    }

    /// Gives each request with its segments to `body`, the oldest first, in constant memory; returns how many.
    package func forEach(_ filter: TraceFilter, _ body: (Trace) throws -> Void) async throws -> Int {
        var scope = try await scope(of: filter)
        var left = filter.limit ?? Int.max
        var count = 0
        while left > 0 {
            let limit = min(left, TraceReader.page)
            let found = try await requests(TraceReader.oldest, scope, filter, limit: limit)
            for trace in try await withSegments(found) { try body(trace) }
            count += found.count
            left -= found.count
            guard found.count == limit, let last = found.last?.request.id, let next = last.successor else { break }
            scope.low = next
        }
        return count
    }

    /// The first and the last moment that a filter's requests can have, by their ids: what progress is measured by.
    /// Nil when the ledger has none.
    package func extent(_ filter: TraceFilter) async throws(StoreError) -> (first: Timestamp, last: Timestamp)? {
        let scope = try await scope(of: filter)
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT (SELECT id FROM requests WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT 1) AS low,
                    (SELECT id FROM requests WHERE id >= $1 AND id <= $2 ORDER BY id DESC LIMIT 1) AS high
                """, [.uuid(scope.low), .uuid(scope.high)])
        }
        let (low, high) = try reading { () throws(PostgresError) in
            (try rows.single().optionalUUID("low"), try rows.single().optionalUUID("high"))
        }
        guard let low, let high else { return nil }
        return (low.time, high.time)
    }

    // MARK: Queries

    private struct Scope {
        var tenant: UUID7?
        var low: UUID7
        /// Included.
        var high: UUID7
    }

    private func scope(of filter: TraceFilter) async throws(StoreError) -> Scope {
        var scope = Scope(
            tenant: nil, low: UUID7.first(at: filter.since),
            high: filter.until.map { UUID7.first(at: $0).predecessor } ?? UUID7(high: .max, low: .max))
        if let after = filter.after { scope.low = max(scope.low, after.successor ?? after) }
        guard let name = filter.tenant else { return scope }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT id FROM tenants WHERE name = $1", [.text(name)])
        }
        guard let row = rows.first else { throw StoreError(.notFound, "no tenant is named \(quoted(name))") }
        scope.tenant = try reading { () throws(PostgresError) in try row.uuid("id") }
        return scope
    }

    private func requests(
        _ statement: PostgresStatement, _ scope: Scope, _ filter: TraceFilter, limit: Int
    ) async throws(StoreError) -> [Trace] {
        let binds: [PostgresValue] = [
            .uuid(scope.low), .uuid(scope.high), .uuid(scope.tenant), .text(filter.model), .int(max(0, limit)),
            .text(filter.policy), .text(filter.outcome?.rawValue), .texts(filter.tags.map(\.key)),
            .texts(filter.tags.map(\.value)), .texts(filter.conditions.map(\.field.rawValue)),
            .texts(filter.conditions.map(\.comparison.rawValue)), .float8s(filter.conditions.map(\.value)),
        ]
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(statement, binds)
        }
        return try reading { () throws(PostgresError) in try rows.mapRows(Trace.init) }
    }

    private func withSegments(_ traces: [Trace]) async throws(StoreError) -> [Trace] {
        guard let first = traces.first, let last = traces.last else { return [] }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                TraceReader.segments,
                [.uuids(traces.map(\.request.id)), .uuid(first.request.id), .uuid(last.request.id)])
        }
        let said = try await storing { () async throws(PostgresError) in
            try await database.query(TraceReader.verdicts, [.uuids(traces.map(\.request.id))])
        }
        var segments: [UUID7: [(SegmentRecord, Int?)]] = [:]
        for row in rows {
            let (id, segment, cost) = try reading { () throws(PostgresError) in
                (try row.uuid("request_id"), try SegmentRecord(row), try row.optionalInt("cost_pico"))
            }
            segments[id, default: []].append((segment, cost))
        }
        let verdicts = Dictionary(
            grouping: try reading { () throws(PostgresError) in try said.mapRows(VerdictRecord.init) }, by: \.request)
        return traces.map { trace in
            var trace = trace
            let own = segments[trace.request.id] ?? []
            trace.request.segments = own.map(\.0)
            trace.costs = own.map(\.1)
            trace.verdicts = verdicts[trace.request.id] ?? []
            return trace
        }
    }

    private static let newest: PostgresStatement = """
        SELECT r.*, t.name AS tenant_name,
            ARRAY(SELECT e.key FROM jsonb_each_text(r.tags) e ORDER BY e.key COLLATE "C") AS tag_keys,
            ARRAY(SELECT e.value FROM jsonb_each_text(r.tags) e ORDER BY e.key COLLATE "C") AS tag_values
        FROM requests r LEFT JOIN tenants t ON t.id = r.tenant_id
        WHERE r.id >= $1 AND r.id <= $2 AND ($3::uuid IS NULL OR r.tenant_id = $3)
            AND ($4::text IS NULL OR r.model = $4) AND ($6::text IS NULL OR r.policy = $6)
            AND ($7::text IS NULL OR r.outcome = $7) AND r.tags @> jsonb_object($8::text[], $9::text[])
            AND NOT EXISTS (
                SELECT FROM unnest($10::text[], $11::text[], $12::float8[]) AS c (field, comparison, value)
                CROSS JOIN LATERAL (SELECT CASE c.field
                    WHEN 'prompt_tokens' THEN r.prompt_tokens WHEN 'slm_tokens' THEN r.slm_tokens
                    WHEN 'llm_tokens' THEN r.llm_tokens WHEN 'command_tokens' THEN r.command_tokens
                    WHEN 'visible_tokens' THEN r.visible_tokens WHEN 'calls' THEN r.calls
                    WHEN 'malformed' THEN r.malformed WHEN 'choices' THEN r.choices
                    WHEN 'ms' THEN extract(epoch FROM r.finished_at - r.started_at)::float8 * 1000
                    WHEN 'degraded' THEN (r.degraded IS NOT NULL)::int END::float8) AS f (value)
                WHERE NOT CASE c.comparison WHEN '>' THEN f.value > c.value WHEN '>=' THEN f.value >= c.value
                    WHEN '<' THEN f.value < c.value WHEN '<=' THEN f.value <= c.value
                    WHEN '=' THEN f.value = c.value ELSE f.value <> c.value END)
        ORDER BY r.id DESC LIMIT $5
        """

    private static let oldest: PostgresStatement = """
        SELECT r.*, t.name AS tenant_name,
            ARRAY(SELECT e.key FROM jsonb_each_text(r.tags) e ORDER BY e.key COLLATE "C") AS tag_keys,
            ARRAY(SELECT e.value FROM jsonb_each_text(r.tags) e ORDER BY e.key COLLATE "C") AS tag_values
        FROM requests r LEFT JOIN tenants t ON t.id = r.tenant_id
        WHERE r.id >= $1 AND r.id <= $2 AND ($3::uuid IS NULL OR r.tenant_id = $3)
            AND ($4::text IS NULL OR r.model = $4) AND ($6::text IS NULL OR r.policy = $6)
            AND ($7::text IS NULL OR r.outcome = $7) AND r.tags @> jsonb_object($8::text[], $9::text[])
            AND NOT EXISTS (
                SELECT FROM unnest($10::text[], $11::text[], $12::float8[]) AS c (field, comparison, value)
                CROSS JOIN LATERAL (SELECT CASE c.field
                    WHEN 'prompt_tokens' THEN r.prompt_tokens WHEN 'slm_tokens' THEN r.slm_tokens
                    WHEN 'llm_tokens' THEN r.llm_tokens WHEN 'command_tokens' THEN r.command_tokens
                    WHEN 'visible_tokens' THEN r.visible_tokens WHEN 'calls' THEN r.calls
                    WHEN 'malformed' THEN r.malformed WHEN 'choices' THEN r.choices
                    WHEN 'ms' THEN extract(epoch FROM r.finished_at - r.started_at)::float8 * 1000
                    WHEN 'degraded' THEN (r.degraded IS NOT NULL)::int END::float8) AS f (value)
                WHERE NOT CASE c.comparison WHEN '>' THEN f.value > c.value WHEN '>=' THEN f.value >= c.value
                    WHEN '<' THEN f.value < c.value WHEN '<=' THEN f.value <= c.value
                    WHEN '=' THEN f.value = c.value ELSE f.value <> c.value END)
        ORDER BY r.id LIMIT $5
        """

    /// The latest of each source.
    private static let verdicts: PostgresStatement = """
        SELECT DISTINCT ON (request_id, choice, source COLLATE "C") * FROM verdicts WHERE request_id = ANY ($1)
        ORDER BY request_id, choice, source COLLATE "C", judged_at DESC
        """

    /// The bounds beside the list let the planner leave out the partitions of other months.
    private static let segments: PostgresStatement = """
        SELECT * FROM segments WHERE request_id = ANY ($1) AND request_id >= $2 AND request_id <= $3
        ORDER BY request_id, choice, seq, attempt
        """

    /// The smallest and the largest id that begin with the digits of `text`; nil when those are fewer than 8, or no
    /// digits.
    static func range(ofPrefix text: String) -> (low: UUID7, high: UUID7)? {
        let digits = text.filter { $0 != "-" }
        guard (8...32).contains(digits.count), digits.allSatisfy({ $0.isASCII && $0.isHexDigit }), text.utf8.count <= 36
        else { return nil }
        func filled(_ digit: Character) -> UUID7? {
            let all = digits + String(repeating: digit, count: 32 - digits.count)
            guard let high = UInt64(all.prefix(16), radix: 16), let low = UInt64(all.suffix(16), radix: 16) else {
                return nil
            }
            return UUID7(high: high, low: low)
        }
        guard let low = filled("0"), let high = filled("f") else { return nil }
        return (low, high)
    }
}

extension UUID7 {
    /// The smallest id of a moment; of all when it is nil.
    package static func first(at time: Timestamp?) -> UUID7 {
        let milliseconds = UInt64(clamping: (time?.microseconds ?? 0) / 1000)
        return UUID7(high: min(milliseconds, 1 << 48 - 1) << 16, low: 0)
    }

    /// The moment that the id carries.
    package var time: Timestamp { Timestamp(microseconds: Int64(milliseconds) * 1000) }

    /// The next id; nil when this is the last one.
    package var successor: UUID7? {
        if low != .max { return UUID7(high: high, low: low + 1) }
        return high == .max ? nil : UUID7(high: high + 1, low: 0)
    }

    /// The id itself when there is none before it.
    package var predecessor: UUID7 {
        if low != 0 { return UUID7(high: high, low: low - 1) }
        return high == 0 ? self : UUID7(high: high - 1, low: .max)
    }
}
