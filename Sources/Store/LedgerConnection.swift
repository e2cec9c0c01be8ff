internal import Postgres
internal import Reactor

/// One of the ledger writer's connections, made again whenever it breaks. *Loop thread.*
final class LedgerConnection {
    /// Batches on their way over one connection: the second is encoded and sent while the first commits.
    static let pipelineLimit = 2

    private let configuration: PostgresConfiguration
    private let loop: EventLoop
    /// Nil while there is none that can be used.
    private(set) var connection: PostgresConnection?
    /// Batches without an answer.
    var inFlight = 0
    private var attempts = 0
    private var isStopped = false
    /// Told nil when there is a connection, else why there is none.
    private let changed: (LedgerConnection, PostgresError?) -> Void

    init(
        _ configuration: PostgresConfiguration, on loop: EventLoop,
        changed: @escaping (LedgerConnection, PostgresError?) -> Void
    ) {
        self.configuration = configuration
        self.loop = loop
        self.changed = changed
    }

    /// Whether another batch may be sent over it.
    var hasRoom: Bool { connection?.isReady == true && inFlight < LedgerConnection.pipelineLimit }

    func connect() {
        guard !isStopped else { return }
        PostgresConnection.connect(configuration, on: loop) { [self] result in
            switch result {
            case .success(let connection): secure(connection)
            case .failure(let error): reconnect(error)
            }
        }
    }

    /// An acknowledged record must survive a crash of the server, whatever its defaults are.
    private func secure(_ connection: PostgresConnection) {
        connection.query(LedgerStatement.secureCommit, []) { [self] result in
            if case .failure(let error) = result {
                connection.close()
                return reconnect(error)
            }
            guard !isStopped else { return connection.close() }
            self.connection = connection
            attempts = 0
            connection.onClose = { [self] error in
                self.connection = nil
                reconnect(error)
            }
            changed(self, nil)
        }
    }

    private func reconnect(_ error: PostgresError) {
        guard !isStopped else { return }
        loop.schedule(after: Backoff.delay(attempt: attempts, random: SystemRandom.word())) { [self] in connect() }
        attempts += 1
        changed(self, error)
    }

    /// Ends it. Commands without an answer fail now.
    func stop() {
        isStopped = true
        connection?.close()
        connection = nil
    }
}
