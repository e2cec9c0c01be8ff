internal import Accounting
internal import Failpoints
internal import Postgres
internal import Reactor

/// The ledger writer on its own loop. `@unchecked Sendable` because the compiler cannot see that its methods are only
/// posted to that loop; each entry point checks it.
///
/// A record is in exactly one place: the inbox, `fresh`, `retries`, or the batch that a completion holds.
final class LedgerCore: @unchecked Sendable {
    /// Batches on their way at a time: the second is encoded and sent while the first commits.
    private static let pipelineLimit = 2

    private let configuration: LedgerConfiguration
    private let inbox: LedgerInbox
    private let loop: EventLoop
    private var connection: PostgresConnection?
    private var attempts = 0
    private var failures = 0
    private var fresh: ArraySlice<LedgerEntry> = []
    /// Batches that were sent before and have no good answer, halves of refused ones included; these go first.
    private var retries: [[LedgerEntry]] = []
    private var inFlight = 0
    /// The database refused for a reason that is not the data; nothing is sent until the timer fires.
    private var pause: LoopTimer?
    private var flushes: [(id: Int, timer: LoopTimer, completion: @Sendable (Bool) -> Void)] = []
    private var flushCount = 0
    private var maintenance: LoopTimer?
    private var isStopped = false

    init(_ configuration: LedgerConfiguration, _ inbox: LedgerInbox, on loop: EventLoop) {
        self.configuration = configuration
        self.inbox = inbox
        self.loop = loop
    }

    // MARK: Connection

    func connect() {
        loop.checkIsolated()
        guard !isStopped else { return }
        let postgres = PostgresConfiguration(
            connection: configuration.connection, application: "relaygate ledger",
            answerTimeout: configuration.answerTimeout)
        PostgresConnection.connect(postgres, on: loop) { [self] result in
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
            if attempts > 0 { configuration.onEvent(.restored) }
            attempts = 0
            connection.onClose = { [self] error in
                self.connection = nil
                inbox.count { $0.isConnected = false }
                reconnect(error)
            }
            inbox.count {
                $0.isConnected = true
                $0.connects += 1
            }
            maintain()
            send()
        }
    }

    /// Makes the partitions of the months to come, on connecting and every six hours. Failing is harmless: rows then go
    /// to the DEFAULT partition.
    private func maintain() {
        maintenance?.cancel()
        maintenance = loop.schedule(after: .seconds(6 * 3600)) { [self] in maintain() }
        connection?.query(LedgerStatement.makePartitions, []) { [self] result in
            guard case .failure(let error) = result else { return }
            inbox.count { $0.lastError = error.debugDescription }
        }
    }

    private func reconnect(_ error: PostgresError) {
        guard !isStopped else { return }
        inbox.count { $0.lastError = error.debugDescription }
        if attempts == 0 { configuration.onEvent(.lost(error.description)) }
        loop.schedule(after: Backoff.delay(attempt: attempts, random: SystemRandom.word())) { [self] in connect() }
        attempts += 1
    }

    // MARK: Batches

    func gather() {
        loop.checkIsolated()
        fresh.append(contentsOf: inbox.takeAll())
        if isStopped { return abandon() }
        send()
    }

    private func send() {
        while let connection, connection.isReady, pause == nil, inFlight < LedgerCore.pipelineLimit, !isStopped {
            let batch: [LedgerEntry]
            let isRepeated = !retries.isEmpty
            if isRepeated {
                batch = retries.removeFirst()
            } else if inFlight == 0 || fresh.count >= configuration.batchLimit {
                batch = takeFresh()
            } else {
                return
            }
            guard !batch.isEmpty else { return }
            submit(batch, connection)
            if Canary.is(.settleTwice) || Canary.is(.skipConflict) && isRepeated { settleAgain(batch, connection) }
        }
    }

    private func settleAgain(_ batch: [LedgerEntry], _ connection: PostgresConnection) {
        let charges = batch.flatMap { $0.record.segments.flatMap(\.charges) }
        let binds: [PostgresValue] = [
            .uuids(charges.map(\.lease)), .int8s(charges.map { Int64($0.charged) }), .int8s(charges.map { _ in 0 }),
        ]
        connection.query(LedgerStatement.settleAgain, binds) { _ in }
    }

    private func takeFresh() -> [LedgerEntry] {
        var bytes = 0
        let batch = fresh.prefix(configuration.batchLimit).prefix { entry in
            bytes += entry.bytes
            return bytes <= configuration.batchBytes
        }
        // A record over the limit by itself is sent alone.
        let count = max(batch.count, min(1, fresh.count))
        let taken = Array(fresh.prefix(count))
        fresh = fresh.dropFirst(count)
        if fresh.isEmpty { fresh = [] }
        return taken
    }

    private func submit(_ batch: [LedgerEntry], _ connection: PostgresConnection) {
        inFlight += 1
        let sent = ContinuousClock.now
        Failpoint.reach(.beforeLedger)
        connection.query(LedgerStatement.insert, LedgerStatement.binds(batch.map(\.record))) { [self] result in
            Failpoint.reach(.afterLedger)
            inFlight -= 1
            switch result {
            case .success: committed(batch, ContinuousClock.now - sent)
            case .failure(let error): refused(batch, error)
            }
            send()
            answerFlushes()
        }
    }

    private func committed(_ batch: [LedgerEntry], _ time: Duration) {
        failures = 0
        let (seconds, attoseconds) = time.components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        inbox.count {
            $0.batches += 1
            $0.requests += batch.count
            $0.segments += batch.reduce(0) { $0 + $1.record.segments.count }
            $0.commitMicroseconds += microseconds
            $0.lastCommitMicroseconds = microseconds
            $0.lastError = nil
        }
        inbox.settle(batch)
        acknowledge(batch, .committed)
    }

    private func refused(_ batch: [LedgerEntry], _ error: PostgresError) {
        inbox.count {
            $0.retries += 1
            $0.lastError = error.debugDescription
        }
        guard error.code == .server else {
            // The connection is gone: the answer is unknown, or it was not sent. Both mean: again.
            return retries.append(batch)
        }
        guard LedgerCore.isDataError(error) else {
            retries.append(batch)
            return pauseSending()
        }
        if batch.count == 1 { return bury(batch, error) }
        let half = batch.count / 2
        retries.insert(contentsOf: [Array(batch[..<half]), Array(batch[half...])], at: 0)
    }

    /// Class 22 is bad data, 23 a violated constraint, 54 a value too large: sending it again would not help.
    private static func isDataError(_ error: PostgresError) -> Bool {
        ["22", "23", "54"].contains(error.sqlStateClass)
    }

    /// Anything else the server says (no space, a lock, a missing table) may pass.
    private func pauseSending() {
        pause?.cancel()
        pause = loop.schedule(after: Backoff.delay(attempt: failures, random: SystemRandom.word())) { [self] in
            pause = nil
            send()
        }
        failures += 1
    }

    /// Puts a record that the tables refuse where an operator finds it.
    private func bury(_ batch: [LedgerEntry], _ error: PostgresError) {
        guard let entry = batch.first, let connection else { return retries.append(batch) }
        inFlight += 1
        let binds = LedgerStatement.buryBinds(entry.record, sqlState: error.sqlState ?? "")
        connection.query(LedgerStatement.bury, binds) { [self] result in
            inFlight -= 1
            switch result {
            case .success:
                failures = 0
                inbox.count { $0.deadLetters += 1 }
                inbox.settle(batch)
                acknowledge(batch, .deadLettered)
            case .failure(let error):
                retries.append(batch)
                if error.code == .server { pauseSending() }
            }
            send()
            answerFlushes()
        }
    }

    // MARK: Ending

    private var isIdle: Bool { inFlight == 0 && fresh.isEmpty && retries.isEmpty && inbox.isEmpty }

    func flush(within limit: Duration, _ completion: @escaping @Sendable (Bool) -> Void) {
        loop.checkIsolated()
        if isIdle { return completion(true) }
        if isStopped { return completion(false) }
        flushCount += 1
        let id = flushCount
        let timer = loop.schedule(after: limit) { [self] in
            flushes.removeAll { $0.id == id }
            completion(false)
        }
        flushes.append((id, timer, completion))
    }

    private func answerFlushes() {
        guard !flushes.isEmpty, isIdle else { return }
        finishFlushes(true)
    }

    private func finishFlushes(_ answer: Bool) {
        let finished = flushes
        flushes = []
        for flush in finished {
            flush.timer.cancel()
            flush.completion(answer)
        }
    }

    func stop() {
        loop.checkIsolated()
        isStopped = true
        pause?.cancel()
        maintenance?.cancel()
        // Its commands fail now, and their batches come back to `retries`.
        connection?.close()
        connection = nil
        fresh.append(contentsOf: inbox.takeAll())
        abandon()
        finishFlushes(false)
        loop.stop()
    }

    private func abandon() {
        let left = retries.flatMap(\.self) + fresh
        retries = []
        fresh = []
        inbox.settle(left)
        acknowledge(left, .stopped)
    }
}
