package import Accounting
internal import Postgres
package import Reactor
internal import Synchronization

/// The settings of a usage service.
package struct UsageServiceConfiguration: Sendable {
    /// libpq's connection string or URI.
    package var connection: String
    /// The database gives up a report after this, and a report waits as long for a connection. Default 2 s.
    package var timeout: Duration = .seconds(2)
    /// Reports of one tenant at a time; the next is `busy`. Default 2.
    package var tenantLimit = 2
    /// Reports at a time; the next is `unavailable`. Default 16.
    package var limit = 16
    /// Rows of a report. Default 10,000.
    package var rowLimit = 10_000

    package init(connection: String) { self.connection = connection }
}

/// Answers tenants' questions about their own usage, on a thread and connections of its own: a large report delays
/// neither the ledger nor any request. It connects when it is first asked.
package final class UsageService: Sendable {
    private struct State {
        var running: [UUID7: Int] = [:]
        var total = 0
    }

    private let configuration: UsageServiceConfiguration
    private let now: @Sendable () -> Timestamp
    private let state = Mutex(State())
    private let thread: LoopThread
    private let database: UsageDatabase

    package init(
        _ configuration: UsageServiceConfiguration, now: @escaping @Sendable () -> Timestamp
    ) throws(SystemError) {
        self.configuration = configuration
        self.now = now
        let database = UsageDatabase(configuration)
        self.database = database
        thread = try LoopThread.start(name: "reports") { _ in database }
    }

    /// Answers a question about one tenant's usage, whatever its filters say. `completion` is called on `target`, once.
    package func report(
        _ query: UsageQuery, tenant: UUID7, on target: EventLoop,
        _ completion: @escaping @Sendable (UsageAnswer) -> Void
    ) {
        let refusal: UsageAnswer? = state.withLock { state in
            guard state.running[tenant, default: 0] < configuration.tenantLimit else { return .busy }
            guard state.total < configuration.limit else { return .unavailable }
            state.running[tenant, default: 0] += 1
            state.total += 1
            return nil
        }
        if let refusal { return target.post { completion(refusal) } }
        let actor = LoopActor(thread.loop)
        Task { [self] in
            let answer = await actor.run { (actor) async -> UsageAnswer in
                await self.answer(query, tenant, on: actor.loop)
            }
            state.withLock { state in
                state.total -= 1
                let left = state.running[tenant, default: 1] - 1
                state.running[tenant] = left > 0 ? left : nil
            }
            target.post { completion(answer) }
        }
    }

    /// Closes the connections and ends the thread; questions under way are `unavailable`.
    package func stop() {
        let loop = thread.loop
        loop.post { [database] in
            database.stop()
            loop.atTurnEnd { loop.stop() }
        }
        thread.join()
    }

    private func answer(_ query: UsageQuery, _ tenant: UUID7, on loop: EventLoop) async -> UsageAnswer {
        guard let pool = database.pool(on: loop) else { return .unavailable }
        do throws(StoreError) {
            let report = try await UsageReader(pool, now: now)
                .report(query, tenant: tenant, limit: configuration.rowLimit)
            return .report(Array(report.json.utf8))
        } catch {
            guard error.code == .invalid else { return .unavailable }
            let names = ["from", "timezone"].filter { error.description.hasPrefix($0 + ": ") }
            guard let name = names.first else { return .invalid(parameter: nil, reason: error.description) }
            return .invalid(parameter: name, reason: String(error.description.dropFirst(name.count + 2)))
        }
    }
}

/// The service's side towards the database. It lives on one loop: `@unchecked Sendable` because the compiler cannot see
/// that its functions are only called there.
private final class UsageDatabase: @unchecked Sendable {
    private let configuration: UsageServiceConfiguration
    private var pool: PostgresPool?
    private var isStopped = false

    init(_ configuration: UsageServiceConfiguration) { self.configuration = configuration }

    func pool(on loop: EventLoop) -> PostgresPool? {
        loop.checkIsolated()
        if let pool { return pool }
        guard !isStopped else { return nil }
        let settings = PostgresConfiguration(
            connection: configuration.connection, application: "relaygate usage", connectTimeout: .seconds(2),
            statementTimeout: configuration.timeout, answerTimeout: configuration.timeout + .seconds(1))
        let made = PostgresPool(
            settings, size: 2, on: loop, waitLimit: configuration.timeout, random: SystemRandom.word)
        pool = made
        return made
    }

    func stop() {
        isStopped = true
        pool?.close()
        pool = nil
    }
}
