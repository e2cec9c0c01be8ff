package import Reactor

/// Several connections that are made again when they break. *Loop thread.*
package final class PostgresPool: PostgresDatabase {
    private struct Waiter {
        let deadline: ContinuousClock.Instant
        let statement: PostgresStatement
        let binds: [PostgresValue]
        let completion: (Result<PostgresRows, PostgresError>) -> Void
    }

    private let configuration: PostgresConfiguration
    private let loop: EventLoop
    private let waitLimit: Duration
    private let random: () -> UInt64
    private var connections: [PostgresConnection?]
    private var attempts: [Int]
    private var retries: [LoopTimer?]
    private var waiters: [Waiter] = []
    private var waiterTimer: LoopTimer?
    private var isClosed = false
    /// Why the last attempt to connect failed, or the last connection ended; nil after the first success.
    package private(set) var lastError: PostgresError?
    /// Called with each notice or warning that any of the connections gets: its SQLSTATE and its text.
    package var onNotice: ((_ sqlState: String, _ message: String) -> Void)?

    /// Starts to connect at once.
    /// - Parameters:
    ///   - waitLimit: how long a command waits for a connection before it fails with `timedOut`. Default 5 s.
    ///   - random: 64 random bits a call; spreads the reconnects of many gateways.
    package init(
        _ configuration: PostgresConfiguration, size: Int, on loop: EventLoop, waitLimit: Duration = .seconds(5),
        random: @escaping () -> UInt64
    ) {
        precondition(size > 0, "a pool has a connection")
        self.configuration = configuration
        self.loop = loop
        self.waitLimit = waitLimit
        self.random = random
        connections = Array(repeating: nil, count: size)
        attempts = Array(repeating: 0, count: size)
        retries = Array(repeating: nil, count: size)
        for slot in 0..<size { connect(slot) }
    }

    /// How many connections can take a command now.
    package var readyCount: Int { connections.count { $0?.isReady ?? false } }

    /// Commands without an answer.
    package var pendingCount: Int { waiters.count + connections.reduce(0) { $0 + ($1?.pendingCount ?? 0) } }

    package func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue],
        _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        guard !isClosed else { return refuse(.closed, completion) }
        let ready = connections.compactMap(\.self).filter(\.isReady)
        if let connection = ready.min(by: { $0.pendingCount < $1.pendingCount }) {
            return connection.query(statement, binds, completion)
        }
        guard waiters.count < configuration.queueLimit else { return refuse(.queueFull, completion) }
        let deadline = ContinuousClock.now + waitLimit
        waiters.append(Waiter(deadline: deadline, statement: statement, binds: binds, completion: completion))
        watchWaiters()
    }

    /// Closes every connection; commands without an answer fail.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        waiterTimer?.cancel()
        for timer in retries { timer?.cancel() }
        for connection in connections { connection?.close() }
        let left = waiters
        waiters = []
        for waiter in left { waiter.completion(.failure(PostgresError(.closed))) }
    }

    private func refuse(
        _ code: PostgresError.Code, _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        loop.atTurnEnd { completion(.failure(PostgresError(code))) }
    }

    private func connect(_ slot: Int) {
        retries[slot] = nil
        guard !isClosed else { return }
        PostgresConnection.connect(configuration, on: loop) { [weak self] result in
            guard let self, !isClosed else {
                if case .success(let connection) = result { connection.close() }
                return
            }
            switch result {
            case .success(let connection): adopt(connection, slot)
            case .failure(let error): retry(slot, error)
            }
        }
    }

    private func adopt(_ connection: PostgresConnection, _ slot: Int) {
        connections[slot] = connection
        attempts[slot] = 0
        lastError = nil
        connection.onNotice = { [weak self] sqlState, message in self?.onNotice?(sqlState, message) }
        connection.onClose = { [weak self] error in
            guard let self, !isClosed else { return }
            connections[slot] = nil
            retry(slot, error)
        }
        let left = waiters
        waiters = []
        for waiter in left { query(waiter.statement, waiter.binds, waiter.completion) }
    }

    private func retry(_ slot: Int, _ error: PostgresError) {
        lastError = error
        let delay = Backoff.delay(attempt: attempts[slot], random: random())
        attempts[slot] += 1
        retries[slot] = loop.schedule(after: delay) { [weak self] in self?.connect(slot) }
    }

    private func watchWaiters() {
        guard waiterTimer == nil, let first = waiters.first else { return }
        waiterTimer = loop.schedule(after: max(.zero, first.deadline - ContinuousClock.now)) { [weak self] in
            guard let self else { return }
            waiterTimer = nil
            let now = ContinuousClock.now
            let late = waiters.prefix { $0.deadline <= now }
            waiters.removeFirst(late.count)
            for waiter in late { waiter.completion(.failure(PostgresError(.timedOut, detail: "no connection"))) }
            watchWaiters()
        }
    }
}

/// The pause before another attempt: doubling from 50 ms to 2 s, the second half of it random.
package enum Backoff {
    package static func delay(attempt: Int, random: UInt64) -> Duration {
        let milliseconds = min(2000, 50 << min(max(attempt, 0), 6))
        return .milliseconds(milliseconds / 2 + Int(random % UInt64(milliseconds / 2 + 1)))
    }
}
