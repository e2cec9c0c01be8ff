package import Accounting
package import Postgres

/// Makes a tenant's statement from the ledger. *Loop thread.*
///
/// It reads the segments themselves: the tables of hours know what everything cost, but not at which price.
package struct StatementReader {
    private let database: any PostgresDatabase
    private let now: () -> Timestamp

    package init(_ database: any PostgresDatabase, now: @escaping () -> Timestamp) {
        self.database = database
        self.now = now
    }

    /// The statement of a tenant, which may have been deleted since, and a month such as `2026-10`, `this-month` or
    /// `last-month`.
    ///
    /// - Parameter source: `primary` or `replica`, for the statement's head.
    ///
    /// Throws `notFound` for a tenant that does not exist, `invalid` for a month or time zone that cannot be read and
    /// for a month that has not begun, `pruned` when requests of the month are gone, and `database` when the ledger's
    /// costs are not what its prices make of its tokens or its sums are not those of the tables of hours.
    package func statement(
        tenant: String, month: String, zone: String, source: String
    ) async throws(StoreError) -> MonthlyStatement {
        let id = try await tenantID(tenant)
        let made = now()
        let range = try await range(month, zone)
        let month = String(range.first.prefix(7))
        guard range.starts <= made else {
            throw StoreError(
                .invalid, "month: \(month) has not begun in \(zone); name one that has, such as last-month")
        }
        let pruned = try await PrunedMonths.between(range.starts, range.ends, on: database)
        guard pruned.isEmpty else {
            throw StoreError(
                .pruned,
                "requests of \(pruned.text) (UTC) were pruned, and the statement of \(month) in \(zone) needs them: none "
                    + "can be made; what was used and what it cost is still told by `relaygate usage --tenant \(tenant) "
                    + "--from \(range.first.prefix(10)) --to \(range.last.prefix(10)) --timezone \(zone)`")
        }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                StatementReader.services, [.uuid(id), .timestamp(range.starts), .timestamp(range.ends)])
        }
        var sums = try await ledgerSums(id, range)
        var lines: [MonthlyStatement.Line] = []
        var unpriced: [MonthlyStatement.Unpriced] = []
        for row in rows {
            let (isServed, isUnpriced) = try reading { () throws(PostgresError) in
                (try row.bool("is_served"), try row.bool("is_unpriced"))
            }
            try reading { () throws(PostgresError) in try sums.add(row, isUnpriced: isUnpriced) }
            if !isServed { continue }
            if isUnpriced {
                unpriced.append(try reading { () throws(PostgresError) in try MonthlyStatement.Unpriced(row) })
            } else {
                lines.append(try line(row))
            }
        }
        try await check(sums, id, range)
        return MonthlyStatement(
            tenant: tenant, tenantID: id, month: month, zone: zone, from: range.first, to: range.last,
            isOver: range.ends <= made, made: made, source: source, requests: sums.requests, lines: lines,
            unpriced: unpriced, budgets: try await budgets(id, range))
    }

    /// What a statement counts, to be compared with what was counted when the requests were written.
    private struct Sums: Equatable {
        var requests = 0
        /// Those that no server took up are among them.
        var attempts = 0
        var costPico: Int128 = 0
        var unpriced = 0

        mutating func add(_ row: PostgresRow, isUnpriced: Bool) throws(PostgresError) {
            let count = try row.int("attempts")
            attempts += count
            if isUnpriced { unpriced += count }
            costPico += try row.optionalNumeric("cost_pico").map(Int128.init(groups:)) ?? 0
        }

        var text: String {
            "\(requests) request(s), \(attempts) attempt(s) and $ \(Money.fixedDollars(pico: costPico)), \(unpriced) "
                + "without a price"
        }
    }

    /// Refuses a statement whose sums are not those of the tables of hours: a part of the ledger is missing then, or
    /// one of the two is wrong. Months begin with an hour in every zone that is taken, and a request's id and its hour
    /// are of the same moment, so both are of the same requests.
    private func check(_ ledger: Sums, _ tenant: UUID7, _ range: UsageReader.Range) async throws(StoreError) {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                StatementReader.usage, [.uuid(tenant), .timestamp(range.starts), .timestamp(range.ends)])
        }
        let usage = try reading { () throws(PostgresError) in
            let row = try rows.single()
            return Sums(
                requests: try row.int("requests"), attempts: try row.int("attempts"),
                costPico: try row.optionalNumeric("cost_pico").map(Int128.init(groups:)) ?? 0,
                unpriced: try row.int("unpriced"))
        }
        guard ledger == usage else {
            throw StoreError(
                .database,
                "the ledger has \(ledger.text), but usage counted \(usage.text); no statement can be made before that is "
                    + "explained: `relaygate audit` says where they differ")
        }
    }

    private func tenantID(_ name: String) async throws(StoreError) -> UUID7 {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT id, name FROM tenants ORDER BY name")
        }
        let known = try reading { () throws(PostgresError) in
            try rows.mapRows { (row) throws(PostgresError) in (try row.text("name"), try row.uuid("id")) }
        }
        if let found = known.first(where: { $0.0 == name }) { return found.1 }
        let nearest = nearestName(to: name, among: known.map(\.0)).map { "; did you mean \(quoted($0))?" } ?? ""
        throw StoreError(.notFound, "no tenant is named \(quoted(name))" + nearest)
    }

    private func range(_ month: String, _ zone: String) async throws(StoreError) -> UsageReader.Range {
        let moments: (from: UsageMoment, to: UsageMoment)
        switch month {
        case "this-month": moments = (.ago(0, .month), .ago(-1, .month))
        case "last-month": moments = (.ago(1, .month), .ago(0, .month))
        default:
            guard month.utf8.count == 7, let first = Timestamp(rfc3339: month + "-01") else {
                throw StoreError(
                    .invalid, "month: must be a year and a month, such as 2026-10, or this-month or last-month")
            }
            moments = (.clock(first), .clock(first.month(ago: -1)))
        }
        return try await UsageReader(database, now: now).range(
            UsageQuery(dimensions: [], from: moments.from, to: moments.to, zone: zone))
    }

    /// The requests; attempts are added later.
    private func ledgerSums(_ tenant: UUID7, _ range: UsageReader.Range) async throws(StoreError) -> Sums {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT count(*) AS requests FROM requests
                WHERE tenant_id = $1 AND id >= uuid7_bound($2) AND id < uuid7_bound($3)
                """, [.uuid(tenant), .timestamp(range.starts), .timestamp(range.ends)])
        }
        return try reading { () throws(PostgresError) in Sums(requests: try rows.single().int("requests")) }
    }

    private func budgets(
        _ tenant: UUID7, _ range: UsageReader.Range
    ) async throws(StoreError) -> [MonthlyStatement.Budget] {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                StatementReader.budgets, [.uuid(tenant), .timestamp(range.starts), .timestamp(range.ends)])
        }
        return try reading { () throws(PostgresError) in try rows.mapRows(MonthlyStatement.Budget.init) }
    }

    /// A line whose amount is the ledger's own: two ways to the same number.
    private func line(_ row: PostgresRow) throws(StoreError) -> MonthlyStatement.Line {
        let (line, cost) = try reading { () throws(PostgresError) in
            (try MonthlyStatement.Line(row), try row.optionalNumeric("cost_pico").map(Int128.init(groups:)) ?? 0)
        }
        guard line.amountPico == cost else {
            throw StoreError(
                .database,
                "the ledger has $ \(Money.fixedDollars(pico: cost)) for \(quoted(line.service.upstreamModel)) at "
                    + "price \(line.priceID), but the price makes $ \(Money.fixedDollars(pico: line.amountPico)) "
                    + "of its tokens; no statement can be made before that is explained")
        }
        return line
    }

    // MARK: Queries

    /// The same arithmetic as `cost_of`: an attempt without text and without a count was not served. Bounds on both ids
    /// leave out the partitions of other months.
    private static let services: PostgresStatement = """
        WITH sums AS (
            SELECT r.model, g.role, g.model AS upstream_model,
                g.prompt_tokens IS NOT NULL OR g.generated_tokens > 0 AS is_served, g.cost_pico IS NULL AS is_unpriced,
                CASE WHEN g.cost_pico IS NULL THEN NULL ELSE g.price_id END AS price_id, count(*) AS attempts,
                count(*) FILTER (WHERE g.prompt_tokens IS NULL) AS prompts_unknown,
                sum(greatest(0, coalesce(g.prompt_tokens, 0) - coalesce(g.cached_tokens, 0)
                    - coalesce(g.cache_write_tokens, 0)))::int8 AS uncached_input,
                sum(coalesce(g.cached_tokens, 0))::int8 AS cached_input,
                sum(coalesce(g.cache_write_tokens, 0))::int8 AS cache_write,
                sum(g.generated_tokens)::int8 AS output, sum(g.cost_pico) AS cost_pico
            FROM requests r JOIN segments g ON g.request_id = r.id
            WHERE r.tenant_id = $1 AND r.id >= uuid7_bound($2) AND r.id < uuid7_bound($3)
                AND g.request_id >= uuid7_bound($2) AND g.request_id < uuid7_bound($3)
            GROUP BY 1, 2, 3, 4, 5, 6)
        SELECT s.*, p.upstream AS price_upstream, p.effective_from, p.input, coalesce(p.cached_input, p.input) AS cached,
            coalesce(p.cache_write, p.input) AS write, p.output AS output_price, coalesce(p.request, 0) AS request
        FROM sums s LEFT JOIN prices p ON p.id = s.price_id
        ORDER BY s.model COLLATE "C", s.role COLLATE "C" DESC, s.upstream_model COLLATE "C", p.effective_from, s.price_id
        """

    /// The hours themselves: those of segments know the attempts, those of requests the requests without any.
    private static let usage: PostgresStatement = """
        SELECT (SELECT coalesce(sum(r.requests), 0)::int8 FROM usage_of_requests r
                WHERE r.tenant_id = $1 AND r.hour >= $2 AND r.hour < $3) AS requests,
            coalesce(sum(s.segments), 0)::int8 AS attempts, sum(s.cost_pico) AS cost_pico,
            coalesce(sum(s.unpriced), 0)::int8 AS unpriced
        FROM usage_of_segments s WHERE s.tenant_id = $1 AND s.hour >= $2 AND s.hour < $3
        """

    /// A fixed budget has one window, which began before all months.
    private static let budgets: PostgresStatement = """
        SELECT u.name, k.public_id, u."window", max(u.amount) AS amount,
            count(*) FILTER (WHERE u.used + u.unreconciled > 0) AS windows,
            count(*) FILTER (WHERE u.used + u.unreconciled > 0 AND u.remaining = 0) AS windows_used_up,
            sum(u.used)::int8 AS used, sum(u.unreconciled)::int8 AS unreconciled, sum(u.overrun)::int8 AS overrun
        FROM budget_usage u LEFT JOIN api_keys k ON k.id = u.key_id
        WHERE u.tenant_id = $1 AND u.resource = 'llm_tokens'
            AND (u.window_start >= $2 AND u.window_start < $3 OR u."window" = 'fixed' AND u.state = 'active')
        GROUP BY u.budget_id, u.name, k.public_id, u."window"
        ORDER BY k.public_id COLLATE "C" NULLS FIRST, u.name COLLATE "C", u.budget_id
        """
}

extension MonthlyStatement.Service {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        model = try row.text("model")
        role = try row.text("role")
        upstreamModel = try row.text("upstream_model")
    }
}

extension MonthlyStatement.Line {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        service = try MonthlyStatement.Service(row)
        // Segments that cost nothing because nothing is asked for their kind of tokens have a price all the same.
        priceID = try row.int("price_id")
        priceUpstream = try row.text("price_upstream")
        priceFrom = try row.timestamp("effective_from")
        items = [
            MonthlyStatement.Item(
                kind: .uncachedInput, quantity: try row.int("uncached_input"), unitPico: try row.int("input")),
            MonthlyStatement.Item(
                kind: .cachedInput, quantity: try row.int("cached_input"), unitPico: try row.int("cached")),
            MonthlyStatement.Item(
                kind: .cacheWrite, quantity: try row.int("cache_write"), unitPico: try row.int("write")),
            MonthlyStatement.Item(
                kind: .output, quantity: try row.int("output"), unitPico: try row.int("output_price")),
            MonthlyStatement.Item(
                kind: .attempts, quantity: try row.int("attempts"), unitPico: try row.int("request")),
        ].filter { $0.quantity > 0 }
    }
}

extension MonthlyStatement.Unpriced {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        service = try MonthlyStatement.Service(row)
        attempts = try row.int("attempts")
        promptsUnknown = try row.int("prompts_unknown")
        uncachedInput = try row.int("uncached_input")
        cachedInput = try row.int("cached_input")
        cacheWrite = try row.int("cache_write")
        output = try row.int("output")
    }
}

extension MonthlyStatement.Budget {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        name = try row.text("name")
        key = try row.optionalText("public_id")
        window = try row.text("window")
        amount = try row.int("amount")
        windows = try row.int("windows")
        windowsUsedUp = try row.int("windows_used_up")
        used = try row.int("used")
        unreconciled = try row.int("unreconciled")
        overrun = try row.int("overrun")
    }
}
