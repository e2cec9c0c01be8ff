package import Accounting
package import Postgres

/// How long the ledger keeps things; nil keeps them for ever.
package struct RetentionSettings: Sendable, Equatable {
    /// Requests, segments and charges, by whole months.
    package var segments: Duration?
    /// Hashes and text of prompts and answers.
    package var payloads: Duration?
    package var deadLetters: Duration?
    /// Events of leases that are closed.
    package var leaseEvents: Duration?

    package init(
        segments: Duration? = nil, payloads: Duration? = nil, deadLetters: Duration? = nil,
        leaseEvents: Duration? = nil
    ) {
        self.segments = segments
        self.payloads = payloads
        self.deadLetters = deadLetters
        self.leaseEvents = leaseEvents
    }

    /// Whether everything is kept.
    package var keepsAll: Bool { self == RetentionSettings() }
}

/// One thing that was pruned, would be, or was kept although its time is over.
package struct RetentionStep: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case pruned
        /// A dry run.
        case due
        /// Why it is kept.
        case kept(String)
    }

    /// `requests`, `segments`, `payloads`, `charges`, `dead_letters` or `lease_events`.
    package let what: String
    /// The month, for what goes by months.
    package let month: Timestamp?
    package let rows: Int
    package let outcome: Outcome

    package init(what: String, month: Timestamp?, rows: Int, outcome: Outcome) {
        self.what = what
        self.month = month
        self.rows = rows
        self.outcome = outcome
    }
}

/// Prunes the ledger. Several may run, in several processes: what one does, the others leave. *Loop thread.*
package struct Retention {
    /// Rows in one transaction, of what is pruned by rows.
    private static let batch: Int64 = 5000

    private let database: any PostgresDatabase
    private let actor: String

    /// - Parameter actor: who prunes, for the record.
    package init(_ database: any PostgresDatabase, actor: String) {
        self.database = database
        self.actor = actor
    }

    /// Prunes what is older than the settings say, or only says what would go.
    ///
    /// A month that a budget still needs is kept, and so are the months after it, so that what is there has no gap.
    /// Throws `unavailable` where another process prunes or holds a lock: run it again later.
    package func prune(
        _ settings: RetentionSettings, isDryRun: Bool
    ) async throws(StoreError) -> [RetentionStep] {
        var steps: [RetentionStep] = []
        if !isDryRun { try await dropDetached() }
        if let keep = settings.segments { steps += try await months(keep, isDryRun) }
        // What would have gone with a month is not counted twice.
        let gone = steps.filter { $0.outcome == .due && $0.what == "requests" }.map(\.month)
        if let keep = settings.payloads { steps += try await payloads(keep, isDryRun, gone) }
        if let keep = settings.deadLetters { steps += try await rows("dead_letters", keep, isDryRun, gone) }
        if let keep = settings.leaseEvents { steps += try await rows("lease_events", keep, isDryRun, gone) }
        if !isDryRun { try await dropDetached() }
        return steps
    }

    /// Whole months of requests, segments, charges, and the payloads that are left of them.
    private func months(_ keep: Duration, _ isDryRun: Bool) async throws(StoreError) -> [RetentionStep] {
        var steps: [RetentionStep] = []
        var last: Timestamp?
        while let month = try await nextMonth(keep, after: last) {
            last = month
            let obstacles = try await query(
                """
                SELECT o AS what FROM prune_obstacles($1, ($1 AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') o
                """, [.timestamp(month)])
            if let row = obstacles.first {
                let reason = try reading { () throws(PostgresError) in try row.text("what") }
                steps.append(RetentionStep(what: "requests", month: month, rows: 0, outcome: .kept(reason)))
                break
            }
            let row = try await single(
                isDryRun ? Retention.countMonth : Retention.pruneMonth,
                isDryRun ? [.timestamp(month)] : [.timestamp(month), .text(actor)])
            let counts = try reading { () throws(PostgresError) in
                [
                    ("requests", try row.int("requests")), ("segments", try row.int("segments")),
                    ("charges", try row.int("charges")), ("payloads", try row.int("payloads")),
                ]
            }
            for (what, rows) in counts {
                steps.append(RetentionStep(what: what, month: month, rows: rows, outcome: isDryRun ? .due : .pruned))
            }
            if !isDryRun { try await dropDetached() }
        }
        return steps
    }

    private func nextMonth(_ keep: Duration, after last: Timestamp?) async throws(StoreError) -> Timestamp? {
        // A month is over for a week before it goes, so that nothing of it is still on its way.
        let row = try await single(
            """
            SELECT min(m) AS month FROM unnest(ARRAY['requests', 'segments', 'charges']) AS p
            CROSS JOIN LATERAL next_old_month(p, greatest($1::float8, 7 * 86400) * interval '1 second', $2) m
            """, [.float8(seconds(keep)), .timestamp(last)])
        return try reading { () throws(PostgresError) in try row.optionalTimestamp("month") }
    }

    private func payloads(
        _ keep: Duration, _ isDryRun: Bool, _ gone: [Timestamp?]
    ) async throws(StoreError) -> [RetentionStep] {
        var steps: [RetentionStep] = []
        if !isDryRun {
            while true {
                let row = try await single(
                    """
                    SELECT month, rows FROM prune_payload_month($1 * interval '1 second', $2)
                    """, [.float8(seconds(keep)), .text(actor)])
                let (month, rows) = try reading { () throws(PostgresError) in
                    (try row.optionalTimestamp("month"), try row.optionalInt("rows"))
                }
                guard let month else { break }
                steps.append(RetentionStep(what: "payloads", month: month, rows: rows ?? 0, outcome: .pruned))
                try await dropDetached()
            }
        }
        return steps + (try await rows("payloads", keep, isDryRun, gone))
    }

    /// Rows in batches, so that no transaction is long; one step with their sum, none where there was nothing.
    private func rows(
        _ what: String, _ keep: Duration, _ isDryRun: Bool, _ gone: [Timestamp?]
    ) async throws(StoreError) -> [RetentionStep] {
        var sum = 0
        if isDryRun {
            let row = try await single(
                Retention.countRows, [.text(what), .float8(seconds(keep)), .timestamps(gone)])
            sum = try reading { () throws(PostgresError) in try row.int("rows") }
        } else {
            while true {
                let row = try await single(
                    "SELECT prune_rows($1, $2 * interval '1 second', $3) AS rows",
                    [.text(what), .float8(seconds(keep)), .int8(Retention.batch)])
                let found = try reading { () throws(PostgresError) in try row.int("rows") }
                sum += found
                guard found > 0 else { break }
            }
        }
        return sum == 0 ? [] : [RetentionStep(what: what, month: nil, rows: sum, outcome: isDryRun ? .due : .pruned)]
    }

    /// Frees the files of what was detached, now or by a process that ended before it could.
    private func dropDetached() async throws(StoreError) {
        while true {
            let row = try await single("SELECT drop_detached() AS partition", [])
            let name = try reading { () throws(PostgresError) in try row.optionalText("partition") }
            guard name != nil else { return }
        }
    }

    private func seconds(_ duration: Duration) -> Double { Double(duration.components.seconds) }

    private func single(
        _ statement: PostgresStatement, _ binds: [PostgresValue]
    ) async throws(StoreError) -> PostgresRow {
        let rows = try await query(statement, binds)
        return try reading { () throws(PostgresError) in try rows.single() }
    }

    private func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue]
    ) async throws(StoreError) -> PostgresRows {
        do throws(PostgresError) {
            return try await database.query(statement, binds)
        } catch {
            switch error.sqlState {
            case "55P03":
                throw StoreError(.unavailable, "the ledger is busy: another process prunes it or holds a lock")
            // A lease was opened between the question and the deed.
            case "55006": throw StoreError(.unavailable, "a budget has come to need the month; see it with --dry-run")
            default: throw StoreError(error)
            }
        }
    }

    private static let pruneMonth: PostgresStatement = """
        SELECT requests, segments, charges, payloads FROM prune_month($1, $2)
        """

    /// What a month's partitions hold; rows of it that lie in a DEFAULT partition stay there.
    private static let countMonth: PostgresStatement = """
        SELECT
            (SELECT count(*) FROM requests t WHERE t.id >= m.low AND t.id < m.high
                AND t.tableoid = to_regclass('requests' || m.suffix)) AS requests,
            (SELECT count(*) FROM segments t WHERE t.request_id >= m.low AND t.request_id < m.high
                AND t.tableoid = to_regclass('segments' || m.suffix)) AS segments,
            (SELECT count(*) FROM charges t WHERE t.request_id >= m.low AND t.request_id < m.high
                AND t.tableoid = to_regclass('charges' || m.suffix)) AS charges,
            (SELECT count(*) FROM payloads t WHERE t.request_id >= m.low AND t.request_id < m.high
                AND t.tableoid = to_regclass('payloads' || m.suffix)) AS payloads
        FROM (SELECT to_char($1::timestamptz AT TIME ZONE 'UTC', '_YYYY_MM') AS suffix, uuid7_bound($1) AS low,
            uuid7_bound(($1 AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') AS high) m
        """

    private static let countRows: PostgresStatement = """
        WITH gone AS MATERIALIZED (
            SELECT uuid7_bound(m) AS low, uuid7_bound((m AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') AS high
            FROM unnest($3::timestamptz[]) m
        )
        SELECT CASE $1::text
            WHEN 'payloads' THEN (SELECT count(*) FROM payloads p WHERE p.request_id < uuid7_bound(c.cut)
                AND (p.tableoid = 'payloads_default'::regclass
                    OR NOT EXISTS (SELECT FROM gone g WHERE p.request_id >= g.low AND p.request_id < g.high)))
            WHEN 'dead_letters' THEN (SELECT count(*) FROM dead_letters d WHERE d.created_at < c.cut
                AND NOT EXISTS (SELECT FROM charges h WHERE h.request_id = d.request_id
                    AND NOT EXISTS (SELECT FROM gone g WHERE h.request_id >= g.low AND h.request_id < g.high)))
            ELSE (SELECT count(*) FROM lease_events e JOIN leases l ON l.id = e.lease_id
                WHERE l.state <> 'open' AND l.closed_at < c.cut) END AS rows
        FROM (SELECT now() - $2 * interval '1 second' AS cut) c
        """
}
