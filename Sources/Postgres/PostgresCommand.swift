/// A command on its way through a connection.
final class PostgresCommand {
    enum Work {
        /// Prepared once per connection, then run with binds; pipelined.
        case statement(PostgresStatement, [PostgresValue])
        /// Any number of statements as one string, by the simple protocol; alone on the connection.
        case script(String)
    }

    let work: Work
    let completion: (Result<PostgresRows, PostgresError>) -> Void
    /// When it was given to libpq.
    var sent: ContinuousClock.Instant?
    /// The next result answers its PREPARE, not the command itself.
    var awaitsPrepare = false
    /// The server has reached the command's synchronisation point: nothing more will come for it.
    var isSynchronised = false
    var result: Result<PostgresRows, PostgresError>?

    init(_ work: Work, _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void) {
        self.work = work
        self.completion = completion
    }

    var isScript: Bool {
        if case .script = work { true } else { false }
    }

    /// The first error of a command is its result: what follows is only its consequence.
    func take(_ next: Result<PostgresRows, PostgresError>) {
        if case .failure = result { return }
        result = next
    }

    func complete() {
        completion(result ?? .failure(PostgresError(.unexpectedResult, outcome: .unknown, detail: "no result")))
    }
}
