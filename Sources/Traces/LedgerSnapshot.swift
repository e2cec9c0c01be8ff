package import Postgres

/// One state of the ledger, which several connections read. *Loop thread.*
package struct LedgerSnapshot: Sendable {
    private let name: String

    /// Begins a transaction whose state others can join as long as it lasts.
    package static func export(_ database: PostgresConnection) async throws(PostgresError) -> LedgerSnapshot {
        try await begin(database, then: "")
        let row = try await database.query("SELECT pg_export_snapshot() AS name").single()
        return LedgerSnapshot(name: try row.text("name"))
    }

    /// Begins a transaction on another connection that sees the same.
    package func join(_ database: PostgresConnection) async throws(PostgresError) {
        // The server made the name; it goes where no bind can.
        guard name.utf8.allSatisfy({ $0 == 0x2D || (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }) else {
            throw PostgresError(.unexpectedResult, outcome: .failed, detail: "the name of a snapshot: \(name)")
        }
        try await LedgerSnapshot.begin(database, then: "SET TRANSACTION SNAPSHOT '\(name)';")
    }

    /// A plan is made for each page: the one for any values would not use the index of tenants. The first connection
    /// has nothing to do while the others read.
    private static func begin(_ database: PostgresConnection, then script: String) async throws(PostgresError) {
        try await database.execute(
            """
            BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; \(script)
            SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL idle_in_transaction_session_timeout = 0;
            SET LOCAL jit = off
            """)
    }
}
