package import Accounting
internal import Glibc
package import Reactor
internal import Synchronization

/// The settings of a lease manager.
package struct LeaseManagerConfiguration: Sendable {
    /// libpq's connection string or URI.
    package var connection: String
    /// What `relaygate budget show` calls this gateway; need not be unique.
    package var gatewayName: String
    package var version: String
    /// Connections for grants and returns; a locked row holds one of them up. Default 4.
    package var connections = 4
    /// Default 10 s for the time to live, 2 s for the patience of an ask.
    package var timing = LeaseBook.Timing()
    /// How often changes of budgets are looked for. Default 500 ms.
    package var pollInterval: Duration = .milliseconds(500)
    /// Why the database cannot keep a hard budget, if it cannot: every reservation of LLM tokens is refused then.
    package var hazard: String?
    /// Told what an operator should hear of. Called on the manager's loop.
    package var onEvent: @Sendable (LeaseEvent) -> Void = { _ in }

    package init(connection: String, gatewayName: String, version: String) {
        self.connection = connection
        self.gatewayName = gatewayName
        self.version = version
    }
}

/// What happened to budgets.
package enum LeaseEvent: Sendable, Equatable {
    /// A threshold of a budget was crossed, for the first time in its window and by all gateways together.
    case alert(BudgetAlert)
    /// This gateway was taken for dead; it goes on under a new id.
    case expired
    /// Leases of dead gateways were closed, and so many of their tokens charged without proof.
    case reaped(gateways: Int, leases: Int, tokens: Int)
    /// The database does not answer; nothing new is reserved beyond the leases held. Told once for each outage.
    case lost(String)
    case restored
    /// Something that must not happen happened; the operator should look.
    case fault(String)
}

/// Keeps this gateway's leases: reserves from memory, asks the database for more, gives back what is idle, and says
/// every two seconds that the gateway lives. What may be promised, and why, is in `Docs/budgets.md`.
package final class LeaseManager: Sendable {
    private struct Waiter {
        let target: EventLoop
        let completion: @Sendable (consuming ReservationAnswer) -> Void
    }

    private struct State {
        var book: LeaseBook
        var waiters: [UInt64: Waiter] = [:]
        var askCount: UInt64 = 0
        var isReady = false
        var alerts = 0
    }

    private let configuration: LeaseManagerConfiguration
    private let state: Mutex<State>
    private let loop: EventLoop
    private let driver: LeaseDriver

    /// Starts to register, to poll and to reap on `loop`, which may be the ledger's.
    package init(_ configuration: LeaseManagerConfiguration, loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
        state = Mutex(State(book: LeaseBook(timing: configuration.timing, makeID: LeaseClock.newID)))
        driver = LeaseDriver(configuration, loop: loop)
        loop.post { [self] in driver.start(self) }
    }

    /// Whether the budgets in force are known and this gateway is registered.
    package var isReady: Bool { state.withLock { $0.isReady } }

    /// Counters since the start.
    package var counts: LeaseBook.Counts { state.withLock { $0.book.counts } }

    /// Alerts that this gateway was the first to raise.
    package var alerts: Int { state.withLock { $0.alerts } }

    /// Leases held now: how many, and the tokens in them by what became of them.
    package var holdings: LeaseHoldings {
        state.withLock { state in state.book.leases.reduce(into: LeaseHoldings()) { $0.add($1.lease) } }
    }

    // MARK: Reserving

    /// Reserves for a caller. The answer at once if the database need not be asked; else nil, and one call of
    /// `completion` on `target`.
    package func reserve(
        _ ask: ReservationAsk, on target: EventLoop,
        _ completion: @escaping @Sendable (consuming ReservationAnswer) -> Void
    ) -> ReservationAnswer? {
        let now = LeaseClock.now()
        if ask.isForLLM, configuration.hazard != nil, isLimited(ask) {
            return .refused(ReservationRefusal(reason: .unavailable, budget: nil, resetsIn: nil))
        }
        let (verdict, actions, id): (LeaseBook.Verdict?, [LeaseBook.Action], UInt64) = state.withLock { state in
            state.askCount += 1
            let id = state.askCount
            let verdict = state.book.reserve(ask, id: id, now: now)
            if verdict == nil || verdict?.hasIntents == true {
                state.waiters[id] = Waiter(target: target, completion: completion)
            }
            return (verdict, state.book.takeActions(), id)
        }
        perform(actions)
        guard let verdict else { return nil }
        guard verdict.hasIntents else { return answer(verdict) }
        deliver(verdict, id)
        return nil
    }

    private func isLimited(_ ask: ReservationAsk) -> Bool {
        state.withLock { !$0.book.definitions(tenant: ask.tenant, key: ask.key, charged: true).isEmpty }
    }

    private func answer(_ verdict: LeaseBook.Verdict) -> ReservationAnswer {
        switch verdict {
        case .granted(let tokens, let holds):
            holds.isEmpty
                ? .granted(Reservation(unlimited: tokens))
                : .granted(Reservation(tokens: tokens, holds: holds, owner: self))
        case .refused(let refusal): .refused(refusal)
        }
    }

    /// Brings a verdict to the one who waits for it, after the intents that it needs are durable.
    private func deliver(_ verdict: LeaseBook.Verdict, _ id: UInt64) {
        guard case .granted(_, let holds) = verdict, verdict.hasIntents else { return hand(verdict, id) }
        loop.post { [self] in
            driver.recordIntents(holds) { [self] isDurable in
                if isDurable { return hand(verdict, id) }
                _ = settle(holds, used: holds.map { _ in 0 })
                hand(.refused(ReservationRefusal(reason: .unavailable, budget: nil, resetsIn: nil)), id)
            }
        }
    }

    private func hand(_ verdict: LeaseBook.Verdict, _ id: UInt64) {
        guard let waiter = state.withLock({ $0.waiters.removeValue(forKey: id) }) else {
            preconditionFailure("an ask is answered once")
        }
        let box = AnswerBox(answer(verdict))
        waiter.target.post {
            guard let answer = box.take() else { return }
            waiter.completion(answer)
        }
    }

    /// How a caller's budgets and rates stand.
    package func standing(tenant: UUID7, key: UUID7) -> [BudgetStanding] {
        let now = LeaseClock.now()
        return state.withLock { $0.book.standing(tenant: tenant, key: key, now: now) }
    }

    /// The caller's budgets of LLM tokens.
    package func budgets(tenant: UUID7, key: UUID7) -> [BudgetDefinition] {
        state.withLock { $0.book.definitions(tenant: tenant, key: key, charged: true) }
    }

    // MARK: After use

    /// The ledger has committed these charges of a tenant.
    package func confirm(_ charges: [ChargeRecord], tenant: UUID7) {
        guard !charges.isEmpty else { return }
        state.withLock { $0.book.confirm(charges, tenant: tenant) }
    }

    // MARK: The driver's side

    /// Changes the book and does what it then wants done.
    func change(_ body: (inout LeaseBook) -> Void) {
        perform(
            state.withLock { state in
                body(&state.book)
                return state.book.takeActions()
            })
    }

    func becameReady() { state.withLock { $0.isReady = true } }

    func tell(_ alert: BudgetAlert) {
        state.withLock { $0.alerts += 1 }
        configuration.onEvent(.alert(alert))
    }

    var isEmpty: Bool { state.withLock { $0.book.isEmpty } }

    private func perform(_ actions: [LeaseBook.Action]) {
        guard !actions.isEmpty else { return }
        var operations: [LeaseBook.Action] = []
        for action in actions {
            if case .answer(let id, let verdict) = action { deliver(verdict, id) } else { operations.append(action) }
        }
        guard !operations.isEmpty else { return }
        let sent = operations
        loop.post { [self] in
            for operation in sent { driver.perform(operation, for: self) }
        }
    }

    // MARK: Ending

    /// Gives back everything and says goodbye. To be called when no reservation is held any more and the ledger is
    /// written; not on the loop. False when it took longer than `limit`: the reaper of another gateway does the rest.
    package func stop(within limit: Duration) -> Bool {
        precondition(!loop.isInLoop, "a thread cannot wait for itself")
        change { $0.drain(now: LeaseClock.now()) }
        let deadline = ContinuousClock.now + limit
        while !isEmpty, ContinuousClock.now < deadline { usleep(5000) }
        let isClean = isEmpty
        let done = Semaphore()
        loop.post { [self] in driver.leave(isClean: isClean, within: .seconds(1)) { done.signal() } }
        done.wait()
        return isClean
    }
}

extension LeaseManager: ReservationOwner {
    package func settle(_ holds: [Hold], used: [Int]) -> [ChargeRecord] {
        let now = LeaseClock.now()
        let (charges, actions) = state.withLock { state in
            let charges = state.book.settle(holds, used: used, now: now)
            return (charges, state.book.takeActions())
        }
        perform(actions)
        let unused = zip(holds, used).filter { $0.0.segment != nil && $0.1 == 0 }.map(\.0)
        if !unused.isEmpty {
            loop.post { [self] in driver.voidIntents(unused) }
        }
        return charges
    }

    package func abandon(_ holds: [Hold]) {
        state.withLock { $0.book.abandon(holds) }
        configuration.onEvent(.fault("a reservation was dropped"))
    }
}

/// The sum of a gateway's leases.
package struct LeaseHoldings: Sendable, Equatable {
    package var leases = 0
    package var available = 0
    package var reserved = 0
    package var unconfirmed = 0

    mutating func add(_ lease: Lease) {
        leases += 1
        available += lease.available
        reserved += lease.reserved
        unconfirmed += lease.unconfirmed
    }
}

/// An answer between two threads: closures cannot carry what must not be copied.
private final class AnswerBox: Sendable {
    private let content: Mutex<ReservationAnswer?>

    init(_ answer: consuming ReservationAnswer) { content = Mutex(answer) }

    func take() -> ReservationAnswer? { content.withLock { $0.take() } }
}

/// The clock of leases: it runs on while the machine sleeps, and nobody sets it.
enum LeaseClock {
    static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// An id for a lease or a gateway. The time in it is for order only.
    static func newID() -> UUID7 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UUID7(milliseconds: UInt64(max(0, time.tv_sec)) * 1000 + UInt64(time.tv_nsec / 1_000_000)) {
            SystemRandom.word()
        }
    }
}

extension LeaseBook.Verdict {
    /// Whether an intent has to be durable before the call begins.
    var hasIntents: Bool {
        if case .granted(_, let holds) = self { holds.contains { $0.segment != nil } } else { false }
    }
}
