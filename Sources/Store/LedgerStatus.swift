package import Accounting
package import Postgres

/// How full the ledger is and what an operator has to look at.
package struct LedgerStatus: Sendable, Equatable {
    /// One partition of a table that is cut by months, or a table that is not.
    package struct Size: Sendable, Equatable {
        package let table: String
        /// Nil for the DEFAULT partition and for tables without months.
        package let month: Timestamp?
        package let isDefault: Bool
        /// An estimate, as of the last ANALYZE or autovacuum.
        package let rows: Int
        /// With indexes and long values.
        package let bytes: Int
    }

    package let sizes: [Size]
    /// When the oldest request arrived.
    package let oldest: Timestamp?
    /// Months after this one for which all partitions are there.
    package let monthsAhead: Int
    package let deadLetters: Int
    /// Rows of usage that are not yet added up.
    package let deltas: Int
    /// When usage was last added up, within a minute; and whether that is so long ago that nobody does it.
    package let usageAdded: Timestamp
    package let isUsageLeft: Bool
    /// Since when the usage of some tenants cannot be added up, and why; nil when all can.
    package let usageFailing: Timestamp?
    package let usageRefusal: String
    /// Tables that were detached and not yet dropped.
    package let detached: Int
    /// Rows outside of every month, by table; counted up to `defaultLimit`.
    package let defaultRows: [(table: String, rows: Int)]

    /// Where counting rows of DEFAULT partitions ends.
    package static let defaultLimit = 100_000

    package static func == (left: LedgerStatus, right: LedgerStatus) -> Bool {
        left.sizes == right.sizes && left.oldest == right.oldest && left.monthsAhead == right.monthsAhead
            && left.deadLetters == right.deadLetters && left.deltas == right.deltas && left.detached == right.detached
            && left.usageAdded == right.usageAdded && left.isUsageLeft == right.isUsageLeft
            && left.usageFailing == right.usageFailing && left.usageRefusal == right.usageRefusal
            && left.defaultRows.elementsEqual(right.defaultRows, by: ==)
    }

    /// What needs a person, as sentences with the remedy; empty when all is well.
    package var complaints: [String] {
        var complaints: [String] = []
        for (table, rows) in defaultRows where rows > 0 {
            let count = rows >= LedgerStatus.defaultLimit ? "at least \(rows)" : "\(rows)"
            complaints.append(
                "\(count) row(s) of \(table) lie in no month: was a clock wrong? See \"Rows in no month\" in Docs/retention.md"
            )
        }
        if monthsAhead < 1 {
            complaints.append("there is no partition for next month; a running gateway, or an import, makes it")
        }
        if deadLetters > 0 {
            complaints.append(
                "\(deadLetters) record(s) were refused by the tables: see `relaygate ledger dead-letters list`")
        }
        if let usageFailing {
            complaints.append(
                "usage cannot be added up since \(usageFailing.rfc3339), \(deltas) row(s) wait: \(usageRefusal); see "
                    + "\"Usage that is not added up\" in Docs/operations.md")
        } else if isUsageLeft {
            complaints.append(
                "\(deltas) row(s) of usage wait, nobody has added up since \(usageAdded.rfc3339): start a gateway, or see "
                    + "\"Usage that is not added up\" in Docs/operations.md")
        }
        return complaints
    }

    /// Reads it.
    package static func read(_ database: any PostgresDatabase) async throws(StoreError) -> LedgerStatus {
        let (sizes, found, defaults) = try await storing { () async throws(PostgresError) in
            (
                try await database.query(
                    "SELECT parent, month, is_default, rows, bytes FROM ledger_sizes ORDER BY place, month NULLS FIRST",
                    []),
                try await database.query(facts, []).single(),
                try await database.query(
                    "SELECT parent, rows FROM default_rows($1)", [.int(LedgerStatus.defaultLimit)])
            )
        }
        return try reading { () throws(PostgresError) in
            LedgerStatus(
                sizes: try sizes.mapRows { (row) throws(PostgresError) in
                    Size(
                        table: try row.text("parent"), month: try row.optionalTimestamp("month"),
                        isDefault: try row.bool("is_default"), rows: try row.int("rows"), bytes: try row.int("bytes"))
                },
                oldest: try found.optionalUUID("oldest").map { $0.time }, monthsAhead: try found.int("months_ahead"),
                deadLetters: try found.int("dead_letters"), deltas: try found.int("deltas"),
                usageAdded: try found.timestamp("added_at"), isUsageLeft: try found.bool("is_usage_left"),
                usageFailing: try found.optionalTimestamp("failing_since"), usageRefusal: try found.text("reason"),
                detached: try found.int("detached"),
                defaultRows: try defaults.mapRows { (row) throws(PostgresError) in
                    (table: try row.text("parent"), rows: try row.int("rows"))
                })
        }
    }

    /// Rows outside of every month, counted up to `defaultLimit` of each table: what the gateway watches.
    package static func defaultRows(_ database: any PostgresDatabase) async throws(StoreError) -> Int {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                "SELECT sum(rows)::int8 AS rows FROM default_rows($1)", [.int(LedgerStatus.defaultLimit)])
        }
        return try reading { () throws(PostgresError) in try rows.single().int("rows") }
    }

    private static let facts: PostgresStatement = """
        SELECT (SELECT id FROM requests ORDER BY id LIMIT 1) AS oldest,
            (SELECT count(*) FROM dead_letters) AS dead_letters, d.deltas, c.added_at, c.failing_since, c.reason,
            d.deltas > 0 AND c.added_at < now() - interval '5 minutes' AS is_usage_left,
            (SELECT count(*) FROM pruned_partitions WHERE dropped_at IS NULL) AS detached,
            (SELECT count(*) FROM generate_series(1, 24) AS ahead WHERE (
                SELECT bool_and(EXISTS (SELECT FROM ledger_sizes z WHERE z.parent = p AND z.month = (date_trunc(
                    'month', now() AT TIME ZONE 'UTC') + n * interval '1 month') AT TIME ZONE 'UTC'))
                FROM unnest(ARRAY['requests', 'segments', 'payloads', 'charges']) AS p
                CROSS JOIN generate_series(1, ahead) AS n)) AS months_ahead
        FROM usage_compaction c, (
            SELECT (SELECT count(*) FROM usage_request_deltas) + (SELECT count(*) FROM usage_segment_deltas) AS deltas) d
        """
}
