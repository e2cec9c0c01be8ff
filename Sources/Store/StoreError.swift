package import Postgres

/// Why something in the store was not done. `description` can be shown to whoever asked; what the database said is in
/// `debugDescription` only.
package struct StoreError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The closed set of causes.
    package enum Code: String, Sendable, CaseIterable {
        /// The name is taken.
        case exists
        /// Nothing has that name or id.
        case notFound = "not_found"
        /// More than one thing has it.
        case ambiguous
        /// The value is not allowed.
        case invalid
        /// It was there, and the ledger keeps it no longer.
        case pruned
        /// The schema in the database is not the one that this program knows.
        case drift
        /// The database cannot be reached, or does not answer.
        case unavailable
        /// The database refused.
        case database
    }

    package let code: Code
    package let description: String
    /// What the database said, if it was asked.
    package let cause: PostgresError?

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
        cause = nil
    }

    package init(_ error: PostgresError) {
        switch error.code {
        case .server, .unexpectedResult: code = .database
        case .connectFailed, .timedOut, .connectionLost, .queueFull, .closed: code = .unavailable
        }
        description =
            switch error.sqlState {
            case "42501": "the database role lacks a right that RelayGate needs; let the owner of the tables run it"
            case "25006": "the database refuses writes; connect to the primary"
            default: error.description
            }
        cause = error
    }

    package var debugDescription: String { cause.map { "\(code.rawValue): \($0.debugDescription)" } ?? description }
}

/// Runs a query and turns its error into the store's.
func storing<Value>(_ body: () async throws(PostgresError) -> Value) async throws(StoreError) -> Value {
    do { return try await body() } catch { throw StoreError(error) }
}

/// The same for reading rows.
func reading<Value>(_ body: () throws(PostgresError) -> Value) throws(StoreError) -> Value {
    do { return try body() } catch { throw StoreError(error) }
}
