package import Accounting
package import Postgres

/// What an operator wants of a budget or of a rate.
package struct BudgetWish: Sendable, Equatable {
    package var tenant: String
    /// The public part of the key that it is for; nil for the whole tenant.
    package var key: String?
    package var name: String
    package var resource: Resource
    package var counts: CountedTokens
    package var window: BudgetWindow
    package var amount: Int
    package var onExhausted: OnExhausted
    package var clamps: Bool
    package var mode: HoldingMode
    /// Percents, ascending.
    package var thresholds: [Int]
    package var actor: String
    package var reason: String

    package init(
        tenant: String, key: String?, name: String, resource: Resource, counts: CountedTokens, window: BudgetWindow,
        amount: Int, onExhausted: OnExhausted, clamps: Bool, mode: HoldingMode, thresholds: [Int], actor: String,
        reason: String
    ) {
        self.tenant = tenant
        self.key = key
        self.name = name
        self.resource = resource
        self.counts = counts
        self.window = window
        self.amount = amount
        self.onExhausted = onExhausted
        self.clamps = clamps
        self.mode = mode
        self.thresholds = thresholds
        self.actor = actor
        self.reason = reason
    }
}

/// A row of the view `budget_usage`: one window of one budget.
package struct BudgetUsage: Sendable, Equatable {
    package let id: UUID7
    package let tenant: String
    package let key: String?
    package let name: String
    package let resource: Resource
    package let counts: CountedTokens
    package let window: BudgetWindow
    package let onExhausted: OnExhausted
    package let clamps: Bool
    package let mode: HoldingMode
    package let thresholds: [Int]
    package let isActive: Bool
    package let windowStart: Timestamp
    /// Nil for a window that never ends.
    package let windowEnd: Timestamp?
    package let amount: Int
    /// Charged, and settled by open leases.
    package let used: Int
    /// In leases and not used.
    package let held: Int
    package let unreconciled: Int
    package let overrun: Int
    /// What no gateway has.
    package let remaining: Int

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.uuid("budget_id")
        tenant = try row.text("tenant")
        key = try row.optionalText("public_id")
        name = try row.text("name")
        resource = Resource(rawValue: try row.text("resource")) ?? .llmTokens
        counts = CountedTokens(rawValue: try row.text("counts")) ?? .generated
        window = BudgetWindow(rawValue: try row.text("window")) ?? .fixed
        onExhausted = OnExhausted(rawValue: try row.text("on_exhausted")) ?? .degrade
        clamps = try row.bool("clamps")
        mode = HoldingMode(rawValue: try row.text("mode")) ?? .leased
        thresholds = try row.ints("thresholds").compactMap(\.self)
        isActive = try row.text("state") == "active"
        windowStart = try row.timestamp("window_start")
        windowEnd = try row.optionalTimestamp("window_end")
        amount = try row.int("amount")
        used = try row.int("used")
        held = try row.int("held")
        unreconciled = try row.int("unreconciled")
        overrun = try row.int("overrun")
        remaining = try row.int("remaining")
    }
}

/// An open lease, for whoever wants to know where held tokens are.
package struct LeaseRecord: Sendable, Equatable {
    package let gateway: String
    package let granted: Int
    package let settled: Int
    package let returned: Int

    init(_ row: PostgresRow) throws(PostgresError) {
        gateway = try row.text("gateway")
        granted = try row.int("granted")
        settled = try row.int("settled")
        returned = try row.int("returned")
    }
}

/// One entry of a budget's history: a change by an operator, or a correction of what was used.
package struct BudgetHistoryEntry: Sendable, Equatable {
    package let at: Timestamp
    package let budget: String
    /// The public part of the key that the budget is for; nil for the whole tenant.
    package let key: String?
    /// `created`, `changed`, `removed`, `adjusted` or `reconciled`.
    package let what: String
    /// What changed, in words.
    package let detail: String
    package let actor: String
    package let reason: String

    init(_ row: PostgresRow) throws(PostgresError) {
        at = try row.timestamp("at")
        budget = try row.text("name")
        key = try row.optionalText("public_id")
        what = try row.text("what")
        detail = try row.text("detail")
        actor = try row.text("actor")
        reason = try row.text("reason")
    }
}

/// Budgets and rates, for the tools. *Loop thread.*
package struct BudgetAdministration {
    private let database: any PostgresDatabase
    private let administration: Administration

    package init(_ database: any PostgresDatabase, now: @escaping () -> Timestamp) {
        self.database = database
        administration = Administration(database, now: now)
    }

    /// Makes a budget, or changes the one of this tenant, key and name. Returns whether it was `created` or `changed`,
    /// and how many of its tokens gateways hold now.
    ///
    /// Throws `notFound` for a tenant or key that does not exist, `invalid` when what it counts would change or a value
    /// is out of range.
    package func set(_ wish: BudgetWish) async throws(StoreError) -> (what: String, held: Int) {
        let (tenant, key) = try await owner(wish.tenant, wish.key)
        let rows = try await run(
            "SELECT what, held FROM set_budget($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            [
                .uuid(LeaseClock.newID()), .uuid(tenant), .uuid(key), .text(wish.name), .text(wish.resource.rawValue),
                .text(wish.counts.rawValue), .text(wish.window.rawValue), .int(wish.amount),
                .text(wish.onExhausted.rawValue), .bool(wish.clamps), .text(wish.mode.rawValue),
                .int8s(wish.thresholds.map(Int64.init)), .text(wish.actor), .text(wish.reason),
            ], wish.name)
        return try reading { () throws(PostgresError) in
            let row = try rows.single()
            return (try row.text("what"), try row.int("held"))
        }
    }

    /// Takes a budget out of force; its history stays.
    package func remove(_ budget: BudgetUsage, actor: String, reason: String) async throws(StoreError) {
        _ = try await run(
            "SELECT remove_budget($1, $2, $3)", [.uuid(budget.id), .text(actor), .text(reason)], budget.name)
    }

    /// Corrects what was used in the window that holds `moment`, the current one when that is nil, by `tokens`: what
    /// was charged, or what is charged without proof. Returns the window's numbers after it.
    ///
    /// Throws `invalid` when more would be taken away than there is, or nothing was used in that window.
    package func adjust(
        _ budget: BudgetUsage, tokens: Int, at moment: Timestamp?, isUnreconciled: Bool, actor: String, reason: String
    ) async throws(StoreError) -> (used: Int, unreconciled: Int, left: Int) {
        let rows = try await run(
            "SELECT used, unreconciled, remaining FROM adjust_budget($1, $2, $3, $4, $5, $6)",
            [
                .uuid(budget.id), .text(isUnreconciled ? "unreconciled" : "charged"), .int(tokens), .timestamp(moment),
                .text(actor), .text(reason),
            ], budget.name)
        return try reading { () throws(PostgresError) in
            let row = try rows.single()
            return (try row.int("used"), try row.int("unreconciled"), try row.int("remaining"))
        }
    }

    /// The current window of each budget in force, of one tenant or of all; rates where `rates` says so.
    package func list(tenant: String?, name: String? = nil, rates: Bool) async throws(StoreError) -> [BudgetUsage] {
        if let tenant { _ = try await owner(tenant, nil) }
        let rows = try await run(
            """
            SELECT u.*, t.name AS tenant, k.public_id FROM budget_usage u JOIN tenants t ON t.id = u.tenant_id
            LEFT JOIN api_keys k ON k.id = u.key_id
            WHERE u.is_current AND u.state = 'active' AND t.state = 'active' AND ($1::text IS NULL OR t.name = $1)
                AND ($2::text IS NULL OR u.name = $2) AND (u.resource <> 'llm_tokens') = $3
            ORDER BY t.name, k.public_id NULLS FIRST, u.name
            """, [.text(tenant), .text(name), .bool(rates)], name ?? "")
        return try reading { () throws(PostgresError) in try rows.mapRows(BudgetUsage.init) }
    }

    /// The budget of this tenant, key and name.
    package func find(
        tenant: String, key: String?, name: String, rates: Bool = false
    ) async throws(StoreError) -> BudgetUsage {
        let all = try await list(tenant: tenant, rates: rates)
        if let found = all.first(where: { $0.name == name && $0.key == key }) { return found }
        let kind = rates ? "limit" : "budget"
        let nearest = rates ? nil : nearestName(to: name, among: all.map(\.name))
        let others = all.filter { $0.name == name }.compactMap(\.key)
        let hint =
            others.first.map { "; there is one of key \($0), name it with --key" }
            ?? nearest.map { "; did you mean \(quoted($0))?" } ?? ""
        throw StoreError(.notFound, "tenant \(quoted(tenant)) has no \(kind) named \(quoted(name))" + hint)
    }

    /// The open leases of a budget's current window.
    package func leases(_ budget: BudgetUsage) async throws(StoreError) -> [LeaseRecord] {
        let rows = try await run(
            """
            SELECT g.name || ' ' || g.id AS gateway, l.granted, l.settled, l.returned
            FROM leases l JOIN gateways g ON g.id = l.gateway_id
            WHERE l.budget_id = $1 AND l.window_start = $2 AND l.state = 'open' ORDER BY l.opened_at, l.id
            """, [.uuid(budget.id), .timestamp(budget.windowStart)], budget.name)
        return try reading { () throws(PostgresError) in try rows.mapRows(LeaseRecord.init) }
    }

    /// What people did to a tenant's budgets, oldest first.
    package func history(tenant: String, name: String?) async throws(StoreError) -> [BudgetHistoryEntry] {
        let (id, _) = try await owner(tenant, nil)
        let rows = try await run(BudgetAdministration.historyOf, [.uuid(id), .text(name)], name ?? "")
        if rows.isEmpty, let name { _ = try await find(tenant: tenant, key: nil, name: name) }
        return try reading { () throws(PostgresError) in try rows.mapRows(BudgetHistoryEntry.init) }
    }

    private static let historyOf: PostgresStatement = """
        SELECT c.at, b.name, k.public_id, c.what, c.actor, c.reason, CASE c.what WHEN 'removed' THEN '' ELSE (
            SELECT coalesce(
                string_agg(a.key || ' ' || coalesce(a.old || ' -> ', '') || a.new, ', ' ORDER BY a.key), 'nothing')
            FROM (
                SELECT e.key, CASE e.key WHEN 'amount' THEN to_char(e.value::int8, 'FM9,999,999,999,999,990')
                    ELSE e.value END AS new,
                    CASE e.key WHEN 'amount' THEN to_char((c.before ->> e.key)::int8, 'FM9,999,999,999,999,990')
                    ELSE c.before ->> e.key END AS old
                FROM jsonb_each_text(c.after) e) a
            WHERE a.key = ANY (CASE b.resource WHEN 'llm_tokens'
                    THEN ARRAY['amount', 'on_exhausted', 'clamps', 'mode', 'thresholds', 'window', 'counts']
                    ELSE ARRAY['amount', 'window'] END)
                AND a.new IS DISTINCT FROM a.old) END AS detail
        FROM budget_changes c JOIN budgets b ON b.id = c.budget_id LEFT JOIN api_keys k ON k.id = b.key_id
        WHERE b.tenant_id = $1 AND ($2::text IS NULL OR b.name = $2)
        UNION ALL
        SELECT a.at, b.name, k.public_id, CASE a.kind WHEN 'charged' THEN 'adjusted' ELSE 'reconciled' END, a.actor, a.reason,
            to_char(a.tokens, 'FMSG9,999,999,999,999,999') || ' tokens in the window of '
                || to_char(a.window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
        FROM budget_adjustments a JOIN budgets b ON b.id = a.budget_id LEFT JOIN api_keys k ON k.id = b.key_id
        WHERE b.tenant_id = $1 AND ($2::text IS NULL OR b.name = $2)
        ORDER BY 1, 2
        """

    // MARK: Common

    /// The ids of a tenant in force and of one of its keys.
    private func owner(_ tenant: String, _ key: String?) async throws(StoreError) -> (UUID7, UUID7?) {
        let found = try await administration.tenant(tenant)
        guard let key else { return (found.id, nil) }
        // Whoever gives the whole key gets no copy of it in an error.
        if key.hasPrefix(APIKey.prefix) {
            let shown = String(key.dropFirst(APIKey.prefix.count).prefix(APIKey.publicLength))
            throw StoreError(.invalid, "--key: give the public part alone, \(quoted(shown)), never the whole key")
        }
        let keys = try await administration.listKeys(tenant: tenant)
        guard let match = keys.first(where: { $0.publicID == key }) else {
            throw StoreError(.notFound, "tenant \(quoted(tenant)) has no key with the public id \(quoted(key))")
        }
        guard match.revoked == nil else { throw StoreError(.notFound, "the key \(quoted(key)) is revoked") }
        return (found.id, match.id)
    }

    private func run(
        _ statement: PostgresStatement, _ binds: [PostgresValue], _ name: String
    ) async throws(StoreError) -> PostgresRows {
        do {
            return try await database.query(statement, binds)
        } catch {
            switch error.sqlState {
            case "55000":
                throw StoreError(
                    .invalid,
                    "the budget \(quoted(name)) exists and counts something else: what a budget counts, and its "
                        + "window, cannot change; remove it and make another, or give this one another name")
            case "22007": throw StoreError(.invalid, "--window: nothing was used in that window")
            case "22003":
                throw StoreError(
                    .invalid,
                    "--tokens: takes away more than there is; see `relaygate budget show`, and for tokens without "
                        + "proof use --unreconciled")
            case "23514", "22021", "22001":
                throw StoreError(
                    .invalid,
                    "\(quoted(name)): a name has 1 to 63 of a-z 0-9 . _ -, an amount is 0 to 9,000,000,000,000,000, "
                        + "an actor has up to 200 and a reason up to 2,000 characters")
            case "55P03":
                throw StoreError(.unavailable, "the budget \(quoted(name)) is locked by another transaction; try again")
            case "40001", "40P01": throw StoreError(.unavailable, "somebody else changed it just now; try again")
            default: throw StoreError(error)
            }
        }
    }
}
