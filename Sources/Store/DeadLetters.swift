package import Accounting
package import Postgres

/// A record that the tables refused, as it lies in `dead_letters`.
package struct DeadLetter: Sendable, Equatable {
    package let request: UUID7
    /// Why the tables refused it, as PostgreSQL has it.
    package let sqlState: String
    /// When it was buried.
    package let buried: Timestamp
    /// The record as JSON, its columns as members, without text of prompts and answers.
    package let record: String
    /// Nil for a tenant that the database does not know.
    package let tenantName: String?
    /// What budgets were charged for it, in their units, of all budgets together.
    package let charged: Int
}

/// What became of a dead letter that was tried again.
package enum DeadLetterOutcome: Sendable, Equatable {
    /// The request is in the ledger, and the letter is gone.
    case written
    /// The request was in the ledger already; the letter is gone.
    case present
    /// Somebody else has taken the letter, or changed it, meanwhile; nothing was done.
    case gone
    /// It stays a dead letter, for this reason.
    case refused(String)
}

/// The records that the tables refused: to look at, and to try again. *Loop thread.*
package struct DeadLetters {
    private let database: PostgresConnection

    /// - Parameter database: a connection that nobody else uses, since letters are tried again in transactions.
    package init(_ database: PostgresConnection) { self.database = database }

    /// The first letters in the order of their requests.
    package func list(limit: Int) async throws(StoreError) -> [DeadLetter] {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(DeadLetters.find, [.uuid(nil), .int(limit)])
        }
        return try reading { () throws(PostgresError) in try rows.mapRows(DeadLetter.init) }
    }

    /// The letter of a request; throws `notFound` when there is none.
    package func letter(of request: UUID7) async throws(StoreError) -> DeadLetter {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(DeadLetters.find, [.uuid(request), .int(1)])
        }
        guard let row = rows.first else {
            throw StoreError(
                .notFound, "no dead letter is of request \(request); see: relaygate ledger dead-letters list")
        }
        return try reading { () throws(PostgresError) in try DeadLetter(row) }
    }

    /// Whether a request lies among the dead letters. The text is its id; anything else is no dead letter's.
    package static func has(_ text: String, in database: any PostgresDatabase) async throws(StoreError) -> Bool {
        guard let request = UUID7(text) else { return false }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT FROM dead_letters WHERE request_id = $1", [.uuid(request)])
        }
        return !rows.isEmpty
    }

    /// How many letters are of requests that began from `first` on and before `end`.
    ///
    /// - Parameter tenants: of tenants with these names; of all when there is none.
    package static func count(
        _ database: any PostgresDatabase, from first: Timestamp, to end: Timestamp, tenants: [String]
    ) async throws(StoreError) -> Int {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT count(*) AS letters FROM dead_letters d
                WHERE d.request_id >= uuid7_bound($1) AND d.request_id < uuid7_bound($2)
                    AND (cardinality($3::text[]) = 0 OR EXISTS (SELECT FROM tenants t WHERE t.name = ANY ($3)
                        AND t.id::text = substring(left(d.record, 95) FROM '"tenant_id":"([0-9a-f-]{36})"')))
                """, [.timestamp(first), .timestamp(end), .texts(tenants)])
        }
        return try reading { () throws(PostgresError) in try rows.single().int("letters") }
    }

    /// Writes the record of a letter into the ledger and takes the letter away, in one transaction, by the statement
    /// that writes every request. Its budgets were charged when it was buried, so that no charge is written now.
    ///
    /// - Parameter record: what the letter says, without charges.
    package func retry(_ letter: DeadLetter, as record: RequestRecord) async throws(StoreError) -> DeadLetterOutcome {
        let prepared = try await storing { () async throws(PostgresError) in
            try await database.query("SELECT is_pruned($1) AS is_pruned", [.timestamp(record.started)]).single()
        }
        if try reading({ () throws(PostgresError) in try prepared.bool("is_pruned") }) {
            return .refused("its month was pruned")
        }
        do throws(PostgresError) {
            _ = try await database.query("SELECT ensure_partitions(0, $1)", [.timestamp(record.started)])
            return try await database.withTransaction { () async throws(PostgresError) in
                try await write(letter, record)
            }
        } catch {
            guard error.code == .server, LedgerCore.isDataError(error) else { throw StoreError(error) }
            return .refused("the tables refuse it still (SQLSTATE \(error.sqlState ?? "unknown"))")
        }
    }

    private func write(
        _ letter: DeadLetter, _ record: RequestRecord
    ) async throws(PostgresError) -> DeadLetterOutcome {
        // Who else tries the same letter waits here, and then finds none.
        let held = try await database.query(
            "SELECT FROM dead_letters WHERE request_id = $1 AND record = $2 FOR UPDATE",
            [.uuid(letter.request), .text(letter.record)])
        guard !held.isEmpty else { return .gone }
        let there = try await database.query("SELECT tenant_id FROM requests WHERE id = $1", [.uuid(record.id)])
        if let row = there.first {
            guard try row.uuid("tenant_id") == record.tenant else {
                return .refused("a request of another tenant has its id")
            }
        } else {
            _ = try await database.query(LedgerStatement.insert, LedgerStatement.binds([record]))
        }
        _ = try await database.query("DELETE FROM dead_letters WHERE request_id = $1", [.uuid(letter.request)])
        return there.isEmpty ? .written : .present
    }

    /// A record says its tenant before what callers can put into it, and so do those that were forgotten.
    private static let find: PostgresStatement = """
        SELECT d.request_id, d.sqlstate, d.created_at, d.record, t.name AS tenant_name, least(9000000000000000, (
            SELECT coalesce(sum(c.charged), 0) FROM charges c WHERE c.request_id = d.request_id))::int8 AS charged
        FROM dead_letters d
        LEFT JOIN tenants t ON t.id::text = substring(left(d.record, 95) FROM '"tenant_id":"([0-9a-f-]{36})"')
        WHERE $1::uuid IS NULL OR d.request_id = $1
        ORDER BY d.request_id LIMIT $2
        """
}

extension DeadLetter {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        self.init(
            request: try row.uuid("request_id"), sqlState: try row.text("sqlstate"),
            buried: try row.timestamp("created_at"), record: try row.text("record"),
            tenantName: try row.optionalText("tenant_name"), charged: try row.int("charged"))
    }
}

extension UsageReader {
    /// How many dead letters are of the range and the tenants that a query asks for: they are in no report.
    package func deadLetters(_ query: UsageQuery) async throws(StoreError) -> Int {
        let range = try await range(query)
        return try await DeadLetters.count(
            database, from: range.starts, to: range.ends, tenants: query.filters[.tenant] ?? [])
    }
}
