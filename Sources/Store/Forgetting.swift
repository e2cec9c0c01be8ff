internal import Accounting
package import Postgres

/// What was deleted when a tenant, or one of its users, was forgotten.
package struct ForgettingCounts: Sendable, Equatable {
    /// Requests whose tags were emptied.
    package var requests = 0
    package var payloads = 0
    /// Verdicts whose notes were emptied.
    package var notes = 0
    package var usageRows = 0
    package var deadLetters = 0

    package init(requests: Int = 0, payloads: Int = 0, notes: Int = 0, usageRows: Int = 0, deadLetters: Int = 0) {
        self.requests = requests
        self.payloads = payloads
        self.notes = notes
        self.usageRows = usageRows
        self.deadLetters = deadLetters
    }
}

/// Deletes what the ledger knows of persons; counts and costs stay. *Loop thread.*
package struct Forgetting {
    /// Requests in one transaction.
    private static let batch: Int64 = 2000

    private let database: any PostgresDatabase

    package init(_ database: any PostgresDatabase) { self.database = database }

    /// Forgets a tenant's text, tags and notes, or those of one user's requests. What is interrupted is begun again; it
    /// finds less to do. Deleted tenants can be forgotten, too. Requests that began before and are still on their way
    /// come without what is forgotten.
    ///
    /// - Parameters:
    ///   - user: the tag `user` of the requests; nil for all.
    ///   - progress: told how many requests have been looked at.
    package func forget(
        tenant name: String, user: String?, actor: String, reason: String, _ progress: (Int) -> Void
    ) async throws(StoreError) -> ForgettingCounts {
        let found = try await query("SELECT id FROM tenants WHERE name = $1", [.text(name)])
        guard let tenant = found.first else { throw StoreError(.notFound, "no tenant is named \(quoted(name))") }
        let hash = user.map { SHA256.digest(Array($0.utf8)) }
        let id = try reading { () throws(PostgresError) in try tenant.uuid("id") }
        let begun = try await query(
            "SELECT begin_forgetting($1, $2, $3, $4) AS id",
            [.uuid(id), .bytea(hash), .text(actor), .text(reason)])
        let number = try reading { () throws(PostgresError) in try begun.single().int("id") }
        var last = UUID7(high: 0, low: 0)
        var seen = 0
        while true {
            let rows = try await query(
                "SELECT last, seen FROM forget_requests($1, $2, $3, $4)",
                [.int(number), .text(user), .uuid(last), .int8(Forgetting.batch)])
            let (next, count) = try reading { () throws(PostgresError) in
                (try rows.single().optionalUUID("last"), try rows.single().int("seen"))
            }
            guard let next, count > 0 else { break }
            last = next
            seen += count
            progress(seen)
        }
        _ = try await query("SELECT finish_forgetting($1, $2)", [.int(number), .text(user)])
        let rows = try await query(
            "SELECT requests, payloads, notes, usage_rows, dead_letters FROM forgettings WHERE id = $1", [.int(number)])
        return try reading { () throws(PostgresError) in
            let row = try rows.single()
            return ForgettingCounts(
                requests: try row.int("requests"), payloads: try row.int("payloads"), notes: try row.int("notes"),
                usageRows: try row.int("usage_rows"), deadLetters: try row.int("dead_letters"))
        }
    }

    private func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue]
    ) async throws(StoreError) -> PostgresRows {
        try await storing { () async throws(PostgresError) in try await database.query(statement, binds) }
    }
}
