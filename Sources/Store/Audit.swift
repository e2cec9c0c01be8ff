package import Accounting
package import Postgres

/// What must hold in the database, whatever crashed. The queries are the function `broken_invariants` of migration
/// 0004.
package struct Invariant: Sendable, Equatable {
    package let name: String
    package let meaning: String
    /// Whether it is about windows, so that it can be looked at in one of them.
    package let isOfWindows: Bool

    /// All of them, in the order of their names.
    package static let all = [
        Invariant("I1", "no window is committed beyond its cap and its recorded overrun; no counter is negative"),
        Invariant("I2", "what a window has leased is what its open leases hold"),
        Invariant("I3", "no lease explains more than it was granted; one that is not open explains all of it"),
        Invariant("I4", "what a lease has settled is the sum of its charges"),
        Invariant("I5", "a window's charged and unreconciled tokens are those of its leases and adjustments"),
        Invariant(
            "I6", "a request's totals are those of its segments, which have no gap; no segment lacks its request",
            isOfWindows: false),
        Invariant("I7", "charge, lease, budget and request belong to one tenant; no charge lacks its lease"),
        Invariant("I8", "usage by the hour and the day is the sum of the segments", isOfWindows: false),
        Invariant("I9", "a charge covers its segment and exceeds its reservation only by what the server really sent"),
        Invariant("I10", "while a gateway runs, none that was silent for twice the time to live has open leases"),
        Invariant("I11", "a gateway that said goodbye holds nothing"),
        Invariant("I12", "what a lease was granted is the sum of its grants, each counted once"),
        Invariant("I13", "a closed lease has no intents left"),
        Invariant(
            "I14", "each attempt at the LLM is charged to each budget that counted it", isOfWindows: false),
        Invariant("I15", "the current window of a budget has the budget's amount"),
    ]

    private init(_ name: String, _ meaning: String, isOfWindows: Bool = true) {
        self.name = name
        self.meaning = meaning
        self.isOfWindows = isOfWindows
    }
}

/// What an audit found for one invariant.
package struct AuditFinding: Sendable, Equatable {
    package let invariant: Invariant
    /// Places where it does not hold; nil when it was not looked at.
    package let count: Int?
    /// The first few of them.
    package let samples: [String]
}

/// Checks all invariants in one snapshot, without writing. *Loop thread.*
package enum Audit {
    /// - Parameters:
    ///   - tenant: only this tenant's; nil for all.
    ///   - window: only windows that begin then; what has no window, as a request, is not looked at.
    ///
    /// Throws `notFound` when no window begins then.
    package static func run(
        _ database: any PostgresDatabase, tenant: String?, window: Timestamp?
    ) async throws(StoreError) -> [AuditFinding] {
        if let window {
            let found = try await storing { () async throws(PostgresError) in
                try await database.query(
                    "SELECT FROM budget_windows WHERE window_start = $1 LIMIT 1", [.timestamp(window)])
            }
            if found.isEmpty { throw StoreError(.notFound, "no window that was used begins at \(window.rfc3339)") }
        }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT invariant, count(*) AS broken, (array_agg(what ORDER BY what))[1:5] AS samples
                FROM broken_invariants($1, $2, interval '10 seconds') GROUP BY 1
                """, [.text(tenant), .timestamp(window)])
        }
        return try reading { () throws(PostgresError) in
            var broken: [String: (Int, [String])] = [:]
            for row in rows {
                broken[try row.text("invariant")] = (
                    try row.int("broken"), try row.texts("samples").compactMap(\.self)
                )
            }
            return Invariant.all.map { invariant in
                let (count, samples) = broken[invariant.name] ?? (0, [])
                let isChecked = window == nil || invariant.isOfWindows
                return AuditFinding(invariant: invariant, count: isChecked ? count : nil, samples: samples)
            }
        }
    }
}
