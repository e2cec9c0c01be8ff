internal import Accounting
internal import Failpoints
internal import Postgres
internal import Reactor

/// The ledger writer on its own loop. `@unchecked Sendable` because the compiler cannot see that its methods are only
/// posted to that loop; each entry point checks it.
///
/// A record is in exactly one place: the inbox, `fresh`, `retries`, the batch that a completion holds, or the
/// group that is being spooled.
final class LedgerCore: @unchecked Sendable {
    let configuration: LedgerConfiguration
    let inbox: LedgerInbox
    let loop: EventLoop
    private var connections: [LedgerConnection] = []
    /// There is no connection, and the operator was told.
    private(set) var isAway = false
    private var failures = 0
    var fresh: ArraySlice<LedgerEntry> = []
    /// Batches that were sent before and have no good answer, halves of refused ones and what comes from the spool
    /// included; these go first.
    var retries: [[LedgerEntry]] = []
    var spooling = SpoolProgress()
    /// The database refused for a reason that is not the data; nothing is sent until the timer fires.
    private(set) var pause: LoopTimer?
    private var flushes: [(id: Int, timer: LoopTimer, completion: @Sendable (Bool) -> Void)] = []
    private var flushCount = 0
    private var maintenance: LoopTimer?
    private(set) var isStopped = false

    init(_ configuration: LedgerConfiguration, _ inbox: LedgerInbox, on loop: EventLoop) {
        self.configuration = configuration
        self.inbox = inbox
        self.loop = loop
    }

    // MARK: Connection

    func connect() {
        loop.checkIsolated()
        findSpool()
        let postgres = PostgresConfiguration(
            connection: configuration.connection, application: "relaygate ledger",
            answerTimeout: configuration.answerTimeout)
        connections = (0..<configuration.connections).map { _ in
            LedgerConnection(postgres, on: loop) { [self] in changed($0, $1) }
        }
        for connection in connections { connection.connect() }
    }

    private func changed(_ which: LedgerConnection, _ error: PostgresError?) {
        guard !isStopped else { return }
        let isConnected = hasConnection
        inbox.count {
            $0.isConnected = isConnected
            if let error { $0.lastError = error.debugDescription } else { $0.connects += 1 }
        }
        if let error, !isConnected, !isAway {
            isAway = true
            configuration.onEvent(.lost(error.description))
        }
        guard error == nil else { return send() }
        if isAway { configuration.onEvent(.restored) }
        isAway = false
        if which === connections.first { maintain() }
        send()
    }

    /// Makes the partitions of the months to come, on connecting and every six hours. Failing is harmless: rows then go
    /// to the DEFAULT partition.
    private func maintain() {
        maintenance?.cancel()
        maintenance = loop.schedule(after: .seconds(6 * 3600)) { [self] in maintain() }
        let connection = connections.lazy.compactMap(\.connection).first
        connection?.query(LedgerStatement.makePartitions, []) { [self] result in
            guard case .failure(let error) = result else { return }
            inbox.count { $0.lastError = error.debugDescription }
        }
    }

    // MARK: Batches

    func gather() {
        loop.checkIsolated()
        fresh.append(contentsOf: inbox.takeAll())
        if isStopped { return abandon() }
        send()
    }

    var hasConnection: Bool { connections.contains { $0.connection != nil } }
    private var inFlight: Int { connections.reduce(0) { $0 + $1.inFlight } }

    /// Records gather while a batch commits; full batches are spread over the connections, so that one is worked on
    /// while another waits for the disk.
    func send() {
        spoolWhatIsOwed()
        replay()
        while pause == nil, !isStopped,
            let connection = connections.filter(\.hasRoom).min(by: { $0.inFlight < $1.inFlight })
        {
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

    private func settleAgain(_ batch: [LedgerEntry], _ connection: LedgerConnection) {
        let charges = batch.flatMap { $0.record.segments.flatMap(\.charges) }
        let binds: [PostgresValue] = [
            .uuids(charges.map(\.lease)), .int8s(charges.map { Int64($0.charged) }), .int8s(charges.map { _ in 0 }),
        ]
        connection.connection?.query(LedgerStatement.settleAgain, binds) { _ in }
    }

    func takeFresh() -> [LedgerEntry] {
        defer { if fresh.isEmpty { fresh = [] } }
        return takeBatch(&fresh)
    }

    func takeBatch(_ entries: inout ArraySlice<LedgerEntry>) -> [LedgerEntry] {
        var bytes = 0
        let batch = entries.prefix(configuration.batchLimit).prefix { entry in
            bytes += entry.bytes
            return bytes <= configuration.batchBytes
        }
        // A record over the limit by itself is sent alone.
        let taken = Array(entries.prefix(max(batch.count, min(1, entries.count))))
        entries = entries.dropFirst(taken.count)
        return taken
    }

    private func submit(_ batch: [LedgerEntry], _ connection: LedgerConnection) {
        guard let postgres = connection.connection else { return retries.append(batch) }
        connection.inFlight += 1
        let sent = ContinuousClock.now
        Failpoint.reach(.beforeLedger)
        postgres.query(LedgerStatement.insert, LedgerStatement.binds(batch.map(\.record))) { [self] result in
            Failpoint.reach(.afterLedger)
            connection.inFlight -= 1
            switch result {
            case .success(let rows): committed(batch, ContinuousClock.now - sent, LedgerStatement.costs(rows))
            case .failure(let error): refused(batch, error, connection)
            }
            send()
            answerFlushes()
        }
    }

    private func committed(_ batch: [LedgerEntry], _ time: Duration, _ costs: [UUID7: RequestCost]) {
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
        finish(batch, .committed, costs: costs)
    }

    /// The database has the batch, in its tables or its dead letters.
    private func finish(_ batch: [LedgerEntry], _ result: LedgerResult, costs: [UUID7: RequestCost] = [:]) {
        inbox.settle(batch)
        for entry in batch { entry.settled?() }
        acknowledge(batch, result, costs: costs)
    }

    private func refused(_ batch: [LedgerEntry], _ error: PostgresError, _ connection: LedgerConnection) {
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
        if batch.count == 1 { return bury(batch, error, connection) }
        let half = batch.count / 2
        retries.insert(contentsOf: [Array(batch[..<half]), Array(batch[half...])], at: 0)
    }

    /// Class 22 is bad data, 23 a violated constraint, 54 a value too large: sending it again would not help.
    static func isDataError(_ error: PostgresError) -> Bool {
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

    /// Puts a record that the tables refuse where an operator finds it. Where they refuse its charges too it goes there
    /// without them: one record must not stop the ledger, and what no charge explains stays held by its lease.
    private func bury(
        _ batch: [LedgerEntry], _ reason: PostgresError, _ connection: LedgerConnection, charges: Bool = true
    ) {
        guard let entry = batch.first, let postgres = connection.connection else { return retries.append(batch) }
        connection.inFlight += 1
        let binds = LedgerStatement.buryBinds(entry.record, sqlState: reason.sqlState ?? "", charges: charges)
        postgres.query(LedgerStatement.bury, binds) { [self] result in
            connection.inFlight -= 1
            switch result {
            case .success:
                failures = 0
                inbox.count { $0.deadLetters += 1 }
                configuration.onEvent(.buried(entry.record.id, sqlState: reason.sqlState ?? ""))
                finish(batch, .deadLettered)
            case .failure(let error):
                if charges, error.code == .server, LedgerCore.isDataError(error) {
                    return bury(batch, reason, connection, charges: false)
                }
                retries.append(batch)
                if error.code == .server { pauseSending() }
            }
            send()
            answerFlushes()
        }
    }

    // MARK: Ending

    /// What lies in the spool is safe there.
    private var isIdle: Bool {
        inFlight == 0 && fresh.isEmpty && retries.allSatisfy { $0.allSatisfy(\.isSpooled) } && inbox.isEmpty
            && spooling.writing.isEmpty
    }

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

    func answerFlushes() {
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
        for connection in connections { connection.stop() }
        connections = []
        configuration.spool?.stop()
        fresh.append(contentsOf: inbox.takeAll())
        abandon()
        finishFlushes(false)
        loop.stop()
    }

    private func abandon() {
        let left = spooling.writing + retries.flatMap(\.self) + fresh
        spooling.writing = []
        spooling.retry?.cancel()
        retries = []
        fresh = []
        inbox.settle(left)
        acknowledge(left, .stopped)
    }
}
