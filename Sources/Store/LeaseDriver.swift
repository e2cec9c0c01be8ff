internal import Accounting
internal import Failpoints
internal import Postgres
internal import Reactor

/// The lease manager's side towards the database. It lives on one loop: `@unchecked Sendable` because the compiler
/// cannot see that its methods are only posted to that loop; each checks it.
final class LeaseDriver: @unchecked Sendable {
    private let configuration: LeaseManagerConfiguration
    private let loop: EventLoop
    private var id = LeaseClock.newID()
    private var isRegistered = false
    /// Under which id each lease was opened: a gateway that was taken for dead gives its old leases back under its old.
    private var owners: [UUID7: UUID7] = [:]
    private var operations: PostgresPool?
    private var control: PostgresPool?
    private var epoch: Int?
    private var isStopped = false
    private var isLost = false
    /// Commits that the server says it did not wait out: what they granted may be forgotten by a failover.
    private var doubtfulCommits = 0
    /// Operations of one tenant that are under way, and those that wait for them: a tenant whose rows somebody has
    /// locked holds up no more than half of the connections.
    private var underWay: [UUID7: Int] = [:]
    private var waiting: [UUID7: [() -> Void]] = [:]
    private var intents: [IntentAsk] = []
    private var areIntentsUnderWay = false
    /// Attempts in one commit of intents.
    private static let intentBatch = 256

    init(_ configuration: LeaseManagerConfiguration, loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
    }

    /// Connects and begins. The manager is kept until `leave`.
    func start(_ manager: LeaseManager) {
        loop.checkIsolated()
        let wait = Duration.microseconds(configuration.timing.patience)
        let postgres = PostgresConfiguration(
            connection: configuration.connection, application: "relaygate budgets", connectTimeout: .seconds(2),
            answerTimeout: .seconds(3))
        let operations = PostgresPool(
            postgres, size: configuration.connections, on: loop, waitLimit: wait, random: SystemRandom.word)
        operations.onNotice = { [weak self] sqlState, message in
            if sqlState == "01000", message.contains("synchronous replication") { self?.doubtfulCommits += 1 }
        }
        self.operations = operations
        control = PostgresPool(postgres, size: 1, on: loop, waitLimit: wait, random: SystemRandom.word)
        register(manager)
        poll(manager)
        tick(manager)
    }

    private func again(after delay: Duration, _ work: @escaping () -> Void) {
        guard !isStopped else { return }
        loop.schedule(after: delay, work)
    }

    // MARK: Life

    private func register(_ manager: LeaseManager) {
        guard let control, !isStopped else { return }
        let sent = LeaseClock.now()
        let binds: [PostgresValue] = [
            .uuid(id), .text(configuration.gatewayName), .text(configuration.version),
        ]
        control.query("SELECT register_gateway($1, $2, $3)", binds) { [weak self] result in
            guard let self, !isStopped else { return }
            guard case .success = result else {
                note(result)
                return again(after: .milliseconds(200)) { [weak self] in self?.register(manager) }
            }
            note(result)
            isRegistered = true
            manager.change { $0.renewed(sent: sent, now: LeaseClock.now()) }
            announceIfReady(manager)
            again(after: interval) { [weak self] in self?.renew(manager) }
        }
    }

    /// A fifth of the time to live.
    private var interval: Duration { .microseconds(configuration.timing.ttl / 5) }

    private func renew(_ manager: LeaseManager) {
        guard let control, !isStopped else { return }
        Failpoint.reach(.beforeHeartbeat)
        let sent = LeaseClock.now()
        let renewed = id
        control.query("SELECT state FROM renew_gateway($1)", [.uuid(renewed)]) { [weak self] result in
            // Under a new id registering has begun the next round.
            guard let self, !isStopped, renewed == id else { return }
            note(result)
            let state = try? result.get().single().text("state")
            if state == "live" {
                manager.change { $0.renewed(sent: sent, now: LeaseClock.now()) }
            } else if state != nil {
                return rebirth(manager)
            }
            housekeep(manager)
            again(after: interval) { [weak self] in self?.renew(manager) }
        }
    }

    /// The database has given this gateway up: what it held is charged. It goes on as another.
    private func rebirth(_ manager: LeaseManager) {
        isRegistered = false
        id = LeaseClock.newID()
        manager.change { $0.expired(now: LeaseClock.now()) }
        configuration.onEvent(.expired)
        register(manager)
    }

    private func housekeep(_ manager: LeaseManager) {
        guard let control else { return }
        // Before the reaper closes windows that are over.
        control.query(LeaseStatement.alerts, []) { [weak self] result in
            guard self != nil, let rows = try? result.get() else { return }
            for row in rows { if let alert = try? BudgetAlert(row) { manager.tell(alert) } }
        }
        let ttl = Int(configuration.timing.ttl)
        control.query(LeaseStatement.reap, [.int(ttl)]) { [weak self] result in
            guard let self, let row = try? result.get().single() else { return }
            let reaped = try? (row.int("gateways"), row.int("leases"), row.int("tokens"))
            if Canary.is(.returnOnExpiry) {
                self.control?.query(LeaseStatement.forgetLeases, []) { _ in }
                self.control?.query(LeaseStatement.forgetWindows, []) { _ in }
            }
            if let reaped, reaped.0 > 0 || reaped.1 > 0 {
                configuration.onEvent(.reaped(gateways: reaped.0, leases: reaped.1, tokens: reaped.2))
            }
        }
    }

    /// Tells once when the database stops answering, and once when it answers again.
    private func note(_ result: Result<PostgresRows, PostgresError>) {
        switch result {
        case .failure(let error) where !isLost:
            isLost = true
            configuration.onEvent(.lost(error.description))
        case .success where isLost:
            isLost = false
            configuration.onEvent(.restored)
        default: break
        }
    }

    // MARK: Definitions

    private func poll(_ manager: LeaseManager) {
        guard let control, !isStopped else { return }
        control.query("SELECT epoch FROM control_epoch", []) { [weak self] result in
            guard let self, !isStopped else { return }
            if let now = try? result.get().single().int("epoch"), now != epoch { load(manager) }
            again(after: configuration.pollInterval) { [weak self] in self?.poll(manager) }
        }
    }

    private func load(_ manager: LeaseManager) {
        control?.query(LeaseStatement.definitions, []) { [weak self] result in
            guard let self, !isStopped else { return }
            do throws(PostgresError) {
                let rows = try result.get()
                let definitions = try rows.mapRows(BudgetDefinition.read).compactMap(\.self)
                epoch = try rows.first?.int("epoch")
                manager.change { $0.define(definitions, now: LeaseClock.now()) }
                announceIfReady(manager)
            } catch {
                if error.code == .unexpectedResult {
                    configuration.onEvent(.fault("budgets cannot be read: \(error.description)"))
                }
            }
        }
    }

    private func announceIfReady(_ manager: LeaseManager) {
        if isRegistered, epoch != nil { manager.becameReady() }
    }

    private func tick(_ manager: LeaseManager) {
        guard !isStopped else { return }
        manager.change { $0.tick(now: LeaseClock.now()) }
        again(after: .milliseconds(250)) { [weak self] in self?.tick(manager) }
    }

    // MARK: Operations

    /// Sends a lease's operation and tells the book what came of it.
    func perform(_ operation: LeaseBook.Action, for manager: LeaseManager) {
        loop.checkIsolated()
        switch operation {
        case .grant(let grant): perform(grant, for: manager)
        case .giveBack(let lease, let sequence, let tenant, let budget, let tokens, let closes, let used, let lost):
            Failpoint.reach(.beforeReturn)
            let binds: [PostgresValue] = [
                .uuid(owners[lease] ?? id), .uuid(lease), .int(sequence), .int(tokens), .bool(closes), .int(used),
                .int(lost),
            ]
            send(for: tenant, LeaseStatement.giveBack, binds) { [self] result in
                Failpoint.reach(.afterReturn)
                let state = try? result.get().single().text("state")
                if closes, state == "done" { owners[lease] = nil }
                if state == "unsettled" {
                    configuration.onEvent(.fault("lease \(lease) cannot be closed: its sums do not agree"))
                }
                manager.change { book in
                    let now = LeaseClock.now()
                    guard let state else { return book.failed(lease: lease, budget: budget, tenant: tenant, now: now) }
                    let isDone = state != "unsettled"
                    book.gaveBack(lease: lease, budget: budget, tenant: tenant, isDone: isDone, now: now)
                }
            }
        case .answer: preconditionFailure("answers are not for the database")
        }
    }

    private func perform(_ grant: LeaseBook.Grant, for manager: LeaseManager) {
        Failpoint.reach(.beforeGrant)
        let sent = LeaseClock.now()
        let doubts = doubtfulCommits
        let (lease, budget, tenant) = (grant.lease, grant.budget, grant.tenant)
        let owner = owners[lease] ?? id
        owners[lease] = owner
        let binds: [PostgresValue] = [
            .uuid(owner), .uuid(lease), .int(grant.sequence), .uuid(budget), .text(grant.mode.rawValue),
            .int8s(grant.needs.map(Int64.init)), .int(grant.spare), .bool(grant.isRepeat),
        ]
        send(for: tenant, LeaseStatement.grant, binds) { [self] result in
            // A warning about this commit is heard in the same turn as its answer, perhaps after it.
            loop.atTurnEnd { [self] in
                Failpoint.reach(.afterGrant)
                var answer = try? LeaseBook.GrantAnswer(result.get().single())
                if Canary.is(.failOpen), answer == nil {
                    answer = LeaseBook.GrantAnswer(
                        state: .granted, tokens: grant.needs.reduce(0, +), windowLeft: nil, pool: 0, leasedElsewhere: 0)
                }
                if doubts != doubtfulCommits { answer?.state = .closed }
                if answer?.state == .expired, owner == id, isRegistered { rebirth(manager) }
                if answer?.state == .gone { load(manager) }
                if let answer, answer.state != .granted, answer.tokens == 0, grant.sequence == 0 { owners[lease] = nil }
                manager.change { book in
                    let now = LeaseClock.now()
                    guard let answer else { return book.failed(lease: lease, budget: budget, tenant: tenant, now: now) }
                    book.granted(answer, lease: lease, budget: budget, tenant: tenant, sent: sent, now: now)
                }
            }
        }
    }

    /// Sends a tenant's operation when fewer than its share are under way.
    private func send(
        for tenant: UUID7, _ statement: PostgresStatement, _ binds: [PostgresValue],
        _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        guard underWay[tenant, default: 0] < max(1, configuration.connections / 2) else {
            waiting[tenant, default: []].append { [self] in send(for: tenant, statement, binds, completion) }
            return
        }
        underWay[tenant, default: 0] += 1
        send(statement, binds) { [self] result in
            let left = underWay[tenant, default: 1] - 1
            underWay[tenant] = left == 0 ? nil : left
            completion(result)
            guard let next = waiting[tenant]?.first else { return }
            waiting[tenant]?.removeFirst()
            if waiting[tenant]?.isEmpty == true { waiting[tenant] = nil }
            next()
        }
    }

    private func send(
        _ statement: PostgresStatement, _ binds: [PostgresValue],
        _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        guard let operations else { return loop.atTurnEnd { completion(.failure(PostgresError(.closed))) } }
        operations.query(statement, binds, completion)
    }

    // MARK: Intents

    /// Intents of one attempt that wait for their commit.
    private struct IntentAsk {
        let holds: [Hold]
        let completion: @Sendable (Bool) -> Void
    }

    /// Makes the intents of a reservation durable, before its call begins. False when they are not, or nobody knows.
    /// Those that come while a commit is under way share the next one.
    func recordIntents(_ holds: [Hold], _ completion: @escaping @Sendable (Bool) -> Void) {
        loop.checkIsolated()
        intents.append(IntentAsk(holds: holds.filter { $0.segment != nil }, completion: completion))
        if !areIntentsUnderWay { sendIntents() }
    }

    private func sendIntents() {
        let batch = Array(intents.prefix(LeaseDriver.intentBatch))
        intents.removeFirst(batch.count)
        guard !batch.isEmpty else { return }
        areIntentsUnderWay = true
        Failpoint.reach(.beforeIntent)
        send(LeaseStatement.intents, intentBinds(batch)) { [self] result in
            Failpoint.reach(.afterIntent)
            let recorded = try? Set(result.get().mapRows { (row) throws(PostgresError) in try row.int("number") })
            areIntentsUnderWay = false
            // The next commit is not kept waiting by what these calls do now.
            sendIntents()
            for (number, ask) in batch.enumerated() { ask.completion(recorded?.contains(number) ?? false) }
        }
    }

    private func intentBinds(_ batch: [IntentAsk]) -> [PostgresValue] {
        var rows: [(number: Int, hold: Hold, segment: SegmentKey)] = []
        for (number, ask) in batch.enumerated() {
            for hold in ask.holds {
                if let segment = hold.segment { rows.append((number, hold, segment)) }
            }
        }
        return [
            .uuid(id), .int8s(rows.map { Int64($0.number) }), .uuids(rows.map(\.hold.lease)),
            .uuids(rows.map(\.segment.request)), .int8s(rows.map { Int64($0.segment.choice) }),
            .int8s(rows.map { Int64($0.segment.sequence) }), .int8s(rows.map { Int64($0.segment.attempt) }),
            .int8s(rows.map { Int64($0.hold.tokens) }),
        ]
    }

    /// Takes intents back of which nothing was used. If that fails they cost tokens only after a crash.
    func voidIntents(_ holds: [Hold]) {
        loop.checkIsolated()
        for hold in holds {
            guard let segment = hold.segment else { continue }
            let binds: [PostgresValue] = [
                .uuid(owners[hold.lease] ?? id), .uuid(hold.lease), .uuid(segment.request), .int(segment.choice),
                .int(segment.sequence), .int(segment.attempt),
            ]
            send(LeaseStatement.void, binds) { _ in }
        }
    }

    // MARK: Ending

    /// Says goodbye if everything was given back, and closes the connections.
    func leave(isClean: Bool, within limit: Duration, _ completion: @escaping @Sendable () -> Void) {
        loop.checkIsolated()
        isStopped = true
        let end = { [self] in
            guard operations != nil else { return }
            operations?.close()
            control?.close()
            operations = nil
            control = nil
            completion()
        }
        guard isClean, isRegistered, let control else { return end() }
        loop.schedule(after: limit, end)
        control.query("SELECT leave_gateway($1)", [.uuid(id)]) { _ in end() }
    }
}
