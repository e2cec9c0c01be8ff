package import Accounting
package import Postgres

/// Reads what was used from the tables of hours and days. *Loop thread.*
package struct UsageReader {
    /// Rows of one report; more are refused. Each takes about half a kilobyte here.
    package static let rowLimit = 100_000

    let database: any PostgresDatabase
    private let now: () -> Timestamp

    package init(_ database: any PostgresDatabase, now: @escaping () -> Timestamp) {
        self.database = database
        self.now = now
    }

    /// What a query asks for.
    ///
    /// - Parameter tenant: leaves nothing but this tenant's usage, whatever the query says.
    ///
    /// Throws `notFound` for a tenant or key that does not exist, `invalid` for a time zone that cannot be used, an
    /// empty range or one of more than ten years, and for a report of more than `limit` rows.
    package func report(
        _ query: UsageQuery, tenant: UUID7? = nil, limit: Int = UsageReader.rowLimit
    ) async throws(StoreError) -> UsageReport {
        let range = try await range(query)
        let filter = try await filter(query, tenant)
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                "SELECT * FROM usage_report($1, $2, $3, $4, $5::text::jsonb) LIMIT $6",
                [
                    .texts(query.dimensions.map(\.name)), .timestamp(range.starts), .timestamp(range.ends),
                    .text(query.zone), .text(filter), .int(limit + 1),
                ])
        }
        guard rows.count <= limit else {
            throw StoreError(
                .invalid, "the report has more than \(limit) rows; name fewer dimensions, a shorter range or a filter")
        }
        let read = try reading { () throws(PostgresError) in try rows.mapRows(UsageRow.init) }
        return UsageReport(query, from: range.first, to: range.last, rows: read)
    }

    struct Range: Sendable {
        let starts: Timestamp
        let ends: Timestamp
        /// As the zone's clocks show them.
        let first: String
        let last: String
    }

    /// The instants between which a query asks.
    func range(_ query: UsageQuery) async throws(StoreError) -> Range {
        let rows: PostgresRows
        do {
            rows = try await database.query(
                "SELECT * FROM usage_range($1, $2, $3, $4, $5, $6, $7, $8)",
                query.from.binds + query.to.binds + [.text(query.zone), .timestamp(now())])
        } catch {
            if error.sqlState == "22023" {
                throw StoreError(
                    .invalid, "timezone: no time zone is named \(quoted(query.zone)); names are such as Europe/Berlin")
            }
            throw StoreError(error)
        }
        let (range, odd) = try reading { () throws(PostgresError) in
            let row = try rows.single()
            return (
                Range(
                    starts: try row.timestamp("starts"), ends: try row.timestamp("ends"), first: try row.text("first"),
                    last: try row.text("last")), try row.optionalInt("odd")
            )
        }
        if let odd {
            let (hours, minutes) = abs(odd).quotientAndRemainder(dividingBy: 60)
            throw StoreError(
                .invalid,
                "timezone: \(query.zone) differs from UTC by \(hours) h \(minutes) min, which is no whole number of hours: "
                    + "usage is kept by the hour, so that its days cannot be told apart; use another zone, such as UTC")
        }
        guard range.starts < range.ends else {
            throw StoreError(.invalid, "from: \(range.first) is not before the end, \(range.last)")
        }
        guard range.ends.microseconds - range.starts.microseconds <= 3_660 * 86_400_000_000 else {
            throw StoreError(.invalid, "from: more than ten years before the end, \(range.last); ask for less")
        }
        return range
    }

    // MARK: Filters

    /// The filters as the database wants them: a JSON object of lists, tenants and keys by id.
    private func filter(_ query: UsageQuery, _ tenant: UUID7?) async throws(StoreError) -> String {
        var filters = query.filters
        if let names = filters[.tenant] { filters[.tenant] = try await tenants(names) }
        if let names = filters[.key] { filters[.key] = try await keys(names) }
        if let tenant { filters[.tenant] = [tenant.description] }
        var json = JSONText()
        json.object { json in
            for (dimension, names) in filters {
                json.key(named: dimension.name)
                json.array(names) { $0.value($1) }
            }
        }
        return json.text
    }

    private func tenants(_ names: [String]) async throws(StoreError) -> [String] {
        let found = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT id, name FROM tenants ORDER BY name")
        }
        let known = try reading { () throws(PostgresError) in
            try found.mapRows { (row) throws(PostgresError) in (try row.text("name"), try row.uuid("id")) }
        }
        var ids: [String] = []
        for name in names {
            guard let tenant = known.first(where: { $0.0 == name }) else {
                let nearest = nearestName(to: name, among: known.map(\.0)).map { "; did you mean \(quoted($0))?" } ?? ""
                throw StoreError(.notFound, "no tenant is named \(quoted(name))" + nearest)
            }
            ids.append(tenant.1.description)
        }
        return ids
    }

    private func keys(_ names: [String]) async throws(StoreError) -> [String] {
        let found = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT id, public_id FROM api_keys WHERE public_id = ANY ($1)", [.texts(names)])
        }
        let known = try reading { () throws(PostgresError) in
            try found.mapRows { (row) throws(PostgresError) in (try row.text("public_id"), try row.uuid("id")) }
        }
        for name in names where !known.contains(where: { $0.0 == name }) {
            throw StoreError(.notFound, "no key has the public id \(quoted(name)); see `relaygate key list`")
        }
        return known.map(\.1.description)
    }
}

extension UsageMoment {
    /// The arguments of `usage_moment`: kind, shift, given.
    fileprivate var binds: [PostgresValue] {
        switch self {
        case .ago(let count, let unit): [.text(unit.rawValue), .int(-count), .timestamp(nil)]
        case .clock(let time): [.text("clock"), .int(0), .timestamp(time)]
        case .instant(let time): [.text("instant"), .int(0), .timestamp(time)]
        }
    }
}

extension UsageRow {
    init(_ row: PostgresRow) throws(PostgresError) {
        labels = try row.texts("labels")
        sums = UsageSums()
        sums.requests = try row.optionalInt("requests")
        sums.degraded = try row.optionalInt("degraded")
        sums.failed = try row.optionalInt("failed")
        sums.refused = try row.optionalInt("refused")
        sums.calls = try row.optionalInt("calls")
        sums.slmTokens = try row.int("slm_tokens")
        sums.llmTokens = try row.int("llm_tokens")
        sums.commandTokens = try row.int("command_tokens")
        sums.promptTokens = try row.int("prompt_tokens")
        sums.cachedTokens = try row.int("cached_tokens")
        sums.promptsUnknown = try row.int("prompts_unknown")
        sums.costPico = try row.optionalNumeric("cost_pico").map(Int128.init(groups:)) ?? 0
        sums.unpriced = try row.int("unpriced")
        sums.latencies = try row.optionalNumeric("durations").flatMap(LatencyHistogram.init(groups:))
        sums.firstTokens = try row.optionalNumeric("first_tokens").flatMap(LatencyHistogram.init(groups:))
        if let name = try row.optionalText("budget") {
            budget = Budget(name: name, used: try row.int("budget_used"), left: try row.int("budget_left"))
        }
    }
}

extension Int128 {
    /// The number of these groups of four decimal digits, the lowest first; the largest number when it does not fit.
    init(groups: [UInt16]) {
        self = 0
        for group in groups.reversed() {
            let (shifted, high) = multipliedReportingOverflow(by: 10_000)
            let (sum, carry) = shifted.addingReportingOverflow(Int128(group))
            guard !high, !carry else {
                self = .max
                return
            }
            self = sum
        }
    }
}
