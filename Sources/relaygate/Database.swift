internal import Arguments
internal import Configuration
internal import Notation
internal import Postgres
internal import Reactor
internal import Store

/// The database as the tools use it: one connection, one piece of work.
enum Database {
    /// Connects, runs `body` and closes. Errors become one line that names the remedy where there is one.
    ///
    /// - Parameter answerTimeout: how long a statement may take; nil for as long as it takes.
    static func use<Value: Sendable>(
        _ connection: String, answerTimeout: Duration? = .seconds(30),
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) throws(CommandExit) -> Value {
        try use(Postgres.PostgresConfiguration(connection: connection, answerTimeout: answerTimeout), body)
    }

    /// The same with a server that may be the replica.
    static func use<Value: Sendable>(
        _ source: LedgerSource, answerTimeout: Duration? = .seconds(30),
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) throws(CommandExit) -> Value {
        try use(
            Postgres.PostgresConfiguration(connection: source.connection, answerTimeout: answerTimeout),
            isReplica: source.isReplica, body)
    }

    private static func use<Value: Sendable>(
        _ settings: Postgres.PostgresConfiguration, isReplica: Bool = false,
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) throws(CommandExit) -> Value {
        do {
            return try EventLoop.running("tool") { actor in
                let connection = try await PostgresConnection.connect(settings, on: actor.loop)
                defer { connection.close() }
                return try await body(connection)
            }
        } catch let exit as CommandExit {
            throw exit
        } catch let error as StoreError {
            throw .failure(explain(error.cause, isReplica) ?? error.description)
        } catch {
            throw .failure(explain(error as? PostgresError, isReplica) ?? "the database cannot be used: \(error)")
        }
    }

    /// The same for reports, which have `--timeout` and `--primary`: read only, in one snapshot, and no statement
    /// longer than the timeout. `body` also gets what it reads.
    static func report<Value: Sendable>(
        _ arguments: ParsedArguments,
        _ body: @escaping @Sendable (PostgresConnection, LedgerSource) async throws -> Value
    ) throws(CommandExit) -> Value {
        let source = try LedgerSource(arguments)
        let timeout = arguments.duration("timeout") ?? .seconds(30)
        guard timeout > .zero else { throw .badUsage("--timeout: must be longer than 0s, such as 30s") }
        let settings = Postgres.PostgresConfiguration(
            connection: source.connection, application: "relaygate report", statementTimeout: timeout,
            answerTimeout: timeout + .seconds(10))
        return try use(settings, isReplica: source.isReplica) { (connection) async throws -> Value in
            do {
                try await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                let value = try await body(connection, source)
                try await connection.execute("COMMIT")
                return value
            } catch {
                let cause = error as? PostgresError ?? (error as? StoreError)?.cause
                guard cause?.sqlState == "57014" else { throw error }
                throw CommandExit.failure(
                    "the report took longer than \(Quantity.text(timeout)); ask for less, or give it more with --timeout"
                )
            }
        }
    }

    /// What to do about the errors that everybody meets first; nil for others.
    private static func explain(_ error: PostgresError?, _ isReplica: Bool) -> String? {
        guard let error else { return nil }
        if error.sqlState == "42883" { return "the database lacks a migration; run: relaygate migrate --config <file>" }
        if error.sqlState == "42P01" { return "the database has no tables yet; run: relaygate migrate --config <file>" }
        let said = Terminal.oneLine(error.debugDescription)
        // A transaction that waits for its next statement is ended with its connection, and its snapshot with it.
        if said.contains("conflict with recovery") || said.contains("invalid snapshot identifier") {
            return
                "the database ended the reading, which a replica does with what stands in the way of replication; try "
                + "again, give --primary, or set hot_standby_feedback = on there"
        }
        let isUnreached = error.code == .connectFailed || error.code == .timedOut && said.contains("no connection in")
        if isReplica, isUnreached || error.code == .connectionLost {
            return
                "postgres.replica \(isUnreached ? "cannot be reached" : "broke the connection"): \(said). Is it running? "
                + "--primary reads postgres.url instead"
        }
        if isUnreached {
            return
                "PostgreSQL cannot be reached: \(said). Is it running? With `relaygate up` it runs only as long as that "
                + "does"
        }
        return error.code == .connectionLost ? "the connection to PostgreSQL broke: \(said)" : nil
    }

    /// Refuses to go on with a schema that is not the one this program was built with.
    static func requireCurrentSchema(_ configuration: GatewayConfiguration) throws(CommandExit) {
        let states = try use(configuration.postgres.url.reveal()) { try await Migrator($0).status() }
        let pending = states.filter { $0.state == .pending }
        guard pending.isEmpty else {
            throw .failure(
                "the database lacks \(pending.count) migration(s); run: relaygate migrate --config <file>")
        }
        guard states.allSatisfy({ if case .applied = $0.state { true } else { false } }) else {
            throw .failure(
                "the database's schema is not this program's; see: relaygate migrate --status --config <file>")
        }
    }
}
