/// Why a command or a connection failed.
///
/// `description` is safe to show to anybody: it holds no value, no SQL and no text of the server. `debugDescription`
/// holds the server's own words, which may quote values; it belongs into the operator's log.
package struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The closed set of causes.
    package enum Code: String, Sendable, CaseIterable {
        /// The connection string cannot be read, or the server refused the login.
        case connectFailed = "connect_failed"
        /// No connection came about, or no answer arrived, in the time allowed.
        case timedOut = "timed_out"
        /// The connection broke; see `outcome` for what that means for the command.
        case connectionLost = "connection_lost"
        /// The server answered with an error; see `sqlState`.
        case server
        /// The rows do not have the column, type or value that the caller asked for.
        case unexpectedResult = "unexpected_result"
        /// The queue of commands is at its limit.
        case queueFull = "queue_full"
        /// The connection or the pool was closed by its owner.
        case closed
    }

    /// What is known about the effect of the command.
    package enum Outcome: String, Sendable {
        /// The server never saw it.
        case notSent = "not_sent"
        /// The server refused it: it had no effect.
        case failed
        /// It was sent and no answer came: it may or may not have had its effect.
        case unknown
    }

    package let code: Code
    package let outcome: Outcome
    /// The five characters of SQLSTATE, when the server sent them.
    package let sqlState: String?
    private let detail: String

    package init(_ code: Code, outcome: Outcome = .notSent, sqlState: String? = nil, detail: String = "") {
        self.code = code
        self.outcome = outcome
        self.sqlState = sqlState
        self.detail = detail
    }

    /// The same error, with what is known of another command's effect.
    func with(outcome: Outcome) -> PostgresError {
        PostgresError(code, outcome: outcome, sqlState: sqlState, detail: detail)
    }

    /// The class of the SQLSTATE, its first two characters: `22` is bad data, `23` a violated constraint.
    package var sqlStateClass: String? { sqlState.map { String($0.prefix(2)) } }

    package var description: String {
        "database error \(code.rawValue)" + (sqlState.map { " (SQLSTATE \($0))" } ?? "")
    }

    package var debugDescription: String {
        "\(description), outcome \(outcome.rawValue)" + (detail.isEmpty ? "" : ": \(detail)")
    }
}
