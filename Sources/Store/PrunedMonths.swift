package import Accounting
package import Postgres

/// Months of which requests were pruned: who reads requests or segments of such a time misses them. *Loop thread.*
///
/// A month that went without having had a request is none of them: nothing is missing there.
package struct PrunedMonths: Sendable, Equatable {
    /// Their first moments (UTC), the earliest first.
    package let starts: [Timestamp]

    package init(starts: [Timestamp]) { self.starts = starts }

    /// Those that overlap the time from `low` to before `high`; nil is a side without an end.
    package static func between(
        _ low: Timestamp?, _ high: Timestamp?, on database: any PostgresDatabase
    ) async throws(StoreError) -> PrunedMonths {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT p.month FROM pruned_partitions p
                WHERE p.parent = 'requests' AND p.rows > 0 AND ($2::timestamptz IS NULL OR p.month < $2)
                    AND ($1::timestamptz IS NULL
                        OR (p.month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' > $1)
                ORDER BY p.month
                """, [.timestamp(low), .timestamp(high)])
        }
        return try reading { () throws(PostgresError) in
            PrunedMonths(starts: try rows.mapRows { (row) throws(PostgresError) in try row.timestamp("month") })
        }
    }

    package var isEmpty: Bool { starts.isEmpty }

    /// Their names, those in a row as a range: `2025-03, 2025-05 to 2025-08`.
    package var text: String {
        var runs: [(first: Timestamp, last: Timestamp)] = []
        for start in starts {
            if let run = runs.last, run.last.month(ago: -1) == start {
                runs[runs.count - 1].last = start
            } else {
                runs.append((start, start))
            }
        }
        return runs.map { run in
            run.first == run.last
                ? PrunedMonths.name(run.first) : "\(PrunedMonths.name(run.first)) to \(PrunedMonths.name(run.last))"
        }.joined(separator: ", ")
    }

    /// What a reader of the ledger is to know; nil when nothing is missing.
    package var warning: String? {
        isEmpty
            ? nil : "requests of \(text) (UTC) were pruned and are missing here; `relaygate usage` still counts them"
    }

    private static func name(_ month: Timestamp) -> String { String(month.rfc3339.prefix(7)) }
}
