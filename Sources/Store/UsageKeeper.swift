package import Accounting
internal import Postgres
package import Reactor
internal import Synchronization

/// What an operator should hear of the usage tables.
package enum UsageEvent: Sendable, Equatable {
    /// Usage of all tenants, or of some, cannot be added up, with the database's words. Told once until it can.
    case failing(String)
    /// All of it can be added up again.
    case restored
}

/// Keeps the usage tables in order: adds what batches have appended to the rows of their hours and days, and writes
/// down how many requests were refused. On a connection of its own, since moving much can take a while.
package final class UsageKeeper: Sendable {
    private struct Refusal: Hashable {
        let tenant: UUID7
        let key: UUID7
        let hour: Int64
        let model: String
        let code: String
    }

    /// Kinds of refusals that are told apart between two writes; what comes beyond them is counted without its model.
    private static let kindLimit = 5000
    private static let microsecondsInHour: Int64 = 3_600_000_000

    private let refusals = Mutex<[Refusal: Int64]>([:])
    private let loop: EventLoop
    private let interval: Duration
    private let database = UsageDatabase()
    private let failed = Atomic<Int>(0)
    private let isFailingNow = Atomic<Bool>(false)
    private let onEvent: @Sendable (UsageEvent) -> Void

    /// Starts to work on `loop`, which may be the ledger's.
    ///
    /// - Parameters:
    ///   - interval: between two times at which usage is added up.
    ///   - onEvent: called on `loop`.
    package init(
        connection: String, loop: EventLoop, interval: Duration = .seconds(5),
        onEvent: @escaping @Sendable (UsageEvent) -> Void = { _ in }
    ) {
        self.loop = loop
        self.interval = interval
        self.onEvent = onEvent
        loop.post { [self] in
            database.pool = PostgresPool(
                PostgresConfiguration(
                    connection: connection, application: "relaygate usage", connectTimeout: .seconds(2),
                    answerTimeout: .seconds(60)),
                size: 1, on: loop, waitLimit: .seconds(2), random: SystemRandom.word)
            work()
        }
    }

    /// Counts a request that was not admitted. From any thread.
    package func noteRefusal(tenant: UUID7, key: UUID7, model: String, code: String, at time: Timestamp) {
        let hour = time.microseconds / UsageKeeper.microsecondsInHour * UsageKeeper.microsecondsInHour
        refusals.withLock { counts in
            let isFull = counts.count >= UsageKeeper.kindLimit
            let kind = Refusal(tenant: tenant, key: key, hour: hour, model: isFull ? "" : model, code: code)
            counts[kind, default: 0] += 1
        }
    }

    /// How often usage could not be added up, of all tenants or of some, since the start.
    package var failures: Int { failed.load(ordering: .relaxed) }
    /// Whether it could not the last time.
    package var isFailing: Bool { isFailingNow.load(ordering: .relaxed) }

    private func work() {
        guard let pool = database.pool else { return }
        pool.query("SELECT compact_usage() AS moved", []) { [self] result in
            switch result {
            case .success: look(pool)
            case .failure(let error):
                // The ledger tells of a database that cannot be reached.
                guard error.code == .server || error.code == .timedOut && error.outcome == .unknown else { return }
                note(error.debugDescription)
            }
        }
        writeRefusals(pool) { [self] in
            guard database.pool != nil else { return }
            database.timer = loop.schedule(after: interval) { [self] in work() }
        }
    }

    /// Whether all of it was added up, by this gateway or by another one.
    private func look(_ pool: PostgresPool) {
        pool.query("SELECT reason FROM usage_compaction", []) { [self] result in
            guard let reason = try? result.get().single().text("reason") else { return }
            note(reason.isEmpty ? nil : reason)
        }
    }

    private func note(_ reason: String?) {
        if reason != nil { failed.add(1, ordering: .relaxed) }
        let wasFailing = isFailingNow.exchange(reason != nil, ordering: .relaxed)
        if let reason, !wasFailing { onEvent(.failing(reason)) }
        if reason == nil, wasFailing { onEvent(.restored) }
    }

    private func writeRefusals(_ pool: PostgresPool, _ completion: @escaping () -> Void) {
        let counts = refusals.withLock { counts in
            defer { counts = [:] }
            return Array(counts)
        }
        guard !counts.isEmpty else { return completion() }
        let binds: [PostgresValue] = [
            .uuids(counts.map(\.key.tenant)), .timestamps(counts.map { Timestamp(microseconds: $0.key.hour) }),
            .uuids(counts.map(\.key.key)), .texts(counts.map { LedgerStatement.storable($0.key.model) }),
            .texts(counts.map(\.key.code)), .int8s(counts.map(\.value)),
        ]
        pool.query(UsageKeeper.addRefusals, binds) { [self] result in
            if case .failure = result {
                // Counted again; if it was written all the same, twice: refusals are no bill.
                refusals.withLock { known in
                    for (kind, count) in counts where known.count < UsageKeeper.kindLimit {
                        known[kind, default: 0] += count
                    }
                }
            }
            completion()
        }
    }

    private static let addRefusals: PostgresStatement = """
        INSERT INTO usage_refusals AS u (tenant_id, hour, key_id, model, code, requests)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::int8[])
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (tenant_id, hour, key_id, model, code) DO UPDATE SET requests = u.requests + excluded.requests
        """

    /// Writes what is counted, for at most two seconds, and closes the connection. Not on the loop.
    package func stop() {
        precondition(!loop.isInLoop, "a thread cannot wait for itself")
        let done = Semaphore()
        loop.post { [self] in
            database.timer?.cancel()
            guard let pool = database.pool else { return done.signal() }
            database.pool = nil
            let end = { [self] in
                guard !database.isClosed else { return }
                database.isClosed = true
                pool.close()
                done.signal()
            }
            loop.schedule(after: .seconds(2), end)
            writeRefusals(pool, end)
        }
        done.wait()
    }
}

/// What lives on the keeper's loop: `@unchecked Sendable` because the compiler cannot see that nobody else touches it.
private final class UsageDatabase: @unchecked Sendable {
    var pool: PostgresPool?
    var timer: LoopTimer?
    var isClosed = false
}
