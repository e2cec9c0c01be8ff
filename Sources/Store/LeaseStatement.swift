package import Accounting
internal import Postgres

/// The statements of the lease driver.
enum LeaseStatement {
    static let grant: PostgresStatement = """
        SELECT state, granted, remaining_us, pool, leased_elsewhere FROM grant_tokens($1, $2, $3, $4, $5, $6, $7, $8)
        """

    static let giveBack: PostgresStatement = "SELECT state FROM return_tokens($1, $2, $3, $4, $5, $6, $7)"

    static let reap: PostgresStatement = """
        SELECT gateways, leases, tokens FROM reap_leases($1::int8 * interval '1 microsecond')
        """

    static let alerts: PostgresStatement = """
        SELECT tenant, key, budget, "window", window_start, window_end, percent, used, unreconciled, amount
        FROM raise_alerts()
        """

    static let intents: PostgresStatement = """
        SELECT record_intents($1, $2, $3, $4, $5, $6, $7, $8) AS number
        """

    static let void: PostgresStatement = "SELECT void_intents($1, $2, $3, $4, $5, $6)"

    /// What the canary `returnOnExpiry` does: tokens of dead gateways are free again.
    static let forgetLeases: PostgresStatement = """
        UPDATE leases SET returned = returned + unreconciled, unreconciled = 0
        FROM (SELECT set_config('relaygate.writer', 'on', true)) AS writer WHERE state = 'expired'
        """
    static let forgetWindows: PostgresStatement = """
        UPDATE budget_windows SET unreconciled = 0
        FROM (SELECT set_config('relaygate.writer', 'on', true)) AS writer WHERE unreconciled > 0
        """

    /// All budgets in force, and the epoch of the same snapshot; one row without a budget when there is none. Those of
    /// deleted tenants too: what is under way stays limited.
    static let definitions: PostgresStatement = """
        SELECT e.epoch, b.id, b.tenant_id, b.key_id, b.name, b.resource, b.counts, b."window", b.amount,
            b.on_exhausted, b.clamps, b.mode
        FROM control_epoch e
        LEFT JOIN budgets b ON b.state = 'active'
        """
}

extension LeaseBook.GrantAnswer {
    init(_ row: PostgresRow) throws(PostgresError) {
        guard let state = State(rawValue: try row.text("state")) else {
            throw PostgresError(.unexpectedResult, outcome: .unknown, detail: "an unknown state of a grant")
        }
        self.init(
            state: state, tokens: try row.int("granted"),
            windowLeft: try row.optionalInt("remaining_us").map(Int64.init),
            pool: try row.int("pool"), leasedElsewhere: try row.int("leased_elsewhere"))
    }
}

extension BudgetDefinition {
    /// Reads a row of `LeaseStatement.definitions`; nil for the row that only holds the epoch.
    static func read(_ row: PostgresRow) throws(PostgresError) -> BudgetDefinition? {
        guard let id = try row.optionalUUID("id") else { return nil }
        return BudgetDefinition(
            id: id, tenant: try row.uuid("tenant_id"), key: try row.optionalUUID("key_id"), name: try row.text("name"),
            resource: try choice(row, "resource"), counts: try choice(row, "counts"), window: try choice(row, "window"),
            amount: try row.int("amount"), onExhausted: try choice(row, "on_exhausted"), clamps: try row.bool("clamps"),
            mode: try choice(row, "mode"))
    }

    private static func choice<Value: RawRepresentable<String>>(
        _ row: PostgresRow, _ name: StaticString
    ) throws(PostgresError) -> Value {
        guard let value = Value(rawValue: try row.text(name)) else {
            throw PostgresError(.unexpectedResult, outcome: .unknown, detail: "column \(name) holds no known word")
        }
        return value
    }
}

/// A threshold of a budget that was crossed.
package struct BudgetAlert: Sendable, Equatable {
    package let tenant: String
    /// The public part of the key that the budget is for; nil for the whole tenant.
    package let key: String?
    package let budget: String
    package let window: String
    package let windowStart: Timestamp
    /// Nil for a window that never ends.
    package let windowEnd: Timestamp?
    package let percent: Int
    /// Tokens gone when it was noticed: used, and charged without proof.
    package let used: Int
    /// The part of them that is charged without proof.
    package let unreconciled: Int
    /// The budget's amount then.
    package let amount: Int

    init(_ row: PostgresRow) throws(PostgresError) {
        tenant = try row.text("tenant")
        key = try row.optionalText("key")
        budget = try row.text("budget")
        window = try row.text("window")
        windowEnd = try row.optionalTimestamp("window_end")
        windowStart = try row.timestamp("window_start")
        percent = try row.int("percent")
        used = try row.int("used")
        unreconciled = try row.int("unreconciled")
        amount = try row.int("amount")
    }
}
