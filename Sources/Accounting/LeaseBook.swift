/// The gateway's side of all budgets: the leases that it holds, the reservations taken from them, and who waits.
///
/// Pure: the time (microseconds of a clock that also runs while the machine sleeps) and ids are arguments. Its rule:
/// what may be spent was granted to this gateway durably and has not been given back. Tokens leave the book only by
/// `giveBack`, and only if they are provably unspent; time never brings any (`Docs/budgets.md`).
package struct LeaseBook: Sendable {
    /// The figures that an operator does not set.
    package struct Timing: Sendable {
        /// A gateway that has not renewed itself for so long is taken for dead: it reserves nothing more.
        package var ttl: Int64 = 10_000_000
        /// How long an ask waits for the database.
        package var patience: Int64 = 2_000_000
        /// Two of these are remembered as recent use; unused tokens go back after that.
        package var bucket: Int64 = 500_000
        package var retryPause: Int64 = 100_000
        /// How long an empty budget is not asked for again.
        package var emptyPause: Int64 = 250_000
        package init() {}
    }

    /// What the owner has to do. Each is done once, and its outcome told to the book.
    package enum Action: Sendable, Equatable {
        /// Ask the database for tokens; answer with `granted` or `failed`.
        case grant(Grant)
        /// Give tokens back; answer with `gaveBack` or `failed`.
        case giveBack(
            lease: UUID7, sequence: Int, tenant: UUID7, budget: UUID7, tokens: Int, closes: Bool, used: Int, lost: Int)
        /// Tell the one who asked.
        case answer(ask: UInt64, Verdict)
    }

    /// What is asked of the database: tokens for `needs`, in their order, and `spare` ones beside them.
    package struct Grant: Sendable, Equatable {
        package let lease: UUID7
        package let sequence: Int
        package let tenant: UUID7
        package let budget: UUID7
        package let mode: HoldingMode
        package let needs: [Int]
        package let spare: Int
        /// Whether it was sent before, and nobody knows what became of that.
        package let isRepeat: Bool
    }

    /// What became of an ask.
    package enum Verdict: Sendable, Equatable {
        /// `tokens` of what was asked for are held.
        case granted(tokens: Int, [Hold])
        case refused(ReservationRefusal)
    }

    /// What the database said to a grant.
    package struct GrantAnswer: Sendable, Equatable {
        package enum State: String, Sendable {
            case granted, exhausted
            /// The budget, or its tenant, is gone.
            case gone
            /// This gateway was taken for dead.
            case expired
            /// The lease belongs to a window that is over.
            case windowOver = "window_over"
            /// The lease is not open.
            case closed
        }
        package var state: State
        package var tokens: Int
        /// Microseconds left of the window when the database answered; nil for a window without end.
        package var windowLeft: Int64?
        /// What is left for other grants.
        package var pool: Int
        /// Leased by others and not known to be spent.
        package var leasedElsewhere: Int

        package init(state: State, tokens: Int, windowLeft: Int64?, pool: Int, leasedElsewhere: Int) {
            self.state = state
            self.tokens = tokens
            self.windowLeft = windowLeft
            self.pool = pool
            self.leasedElsewhere = leasedElsewhere
        }
    }

    /// Totals since the start, for metrics.
    package struct Counts: Sendable, Equatable {
        package var grants = 0
        package var returns = 0
        package var reservations = 0
        package var refusals = 0
        /// Refusals for exhaustion while other gateways held tokens that they may not need.
        package var refusedWhileStranded = 0
        package var unavailable = 0
        package var clamped = 0
        package var overrunTokens = 0
        package var lostTokens = 0
    }

    /// The budgets of one tenant and those of its callers that wait.
    struct Tenant: Sendable {
        var accounts: [Account] = []
        var waiting: [Ask] = []
    }

    /// One budget.
    struct Account: Sendable {
        var definition: BudgetDefinition
        /// The lease that reservations are taken from.
        var lease: Lease?
        /// Leases from which nothing more is taken, until they are closed.
        var ending: [Lease] = []
        /// The budget is no longer in force.
        var isRetired = false
        /// Give back all that is free, whatever recent use says: the budget has changed.
        var isRecalled = false
        /// Tokens reserved in the running bucket, in the one before it, and when the running one began.
        var recent = (now: 0, before: 0, since: Int64.min)
        var pool: Int?
        var leasedElsewhere = 0
        /// Until then nobody asks: the database has just said that nothing is left, neither there nor in other leases.
        var emptyUntil = Int64.min
        /// When the window of the last lease ends, for those who come when there is none.
        var lastEnd: Int64?
    }

    /// Somebody who waits.
    struct Ask: Sendable {
        let id: UInt64
        let ask: ReservationAsk
        let deadline: Int64
        /// What may still be granted: less than was asked for once a budget has clamped.
        var tokens: Int
        /// Budgets that were asked for it and gave what they had. What they gave is still there: who gives it back, or
        /// ends the lease, forgets that they were asked.
        var asked: Set<UUID7> = []
        /// Whether it may ask once more where it would be refused although there was more.
        var hasSecondChance = true
    }

    let timing: Timing
    var tenants: [UUID7: Tenant] = [:]
    /// Reservations are allowed before this.
    package internal(set) var aliveUntil = Int64.min
    package internal(set) var counts = Counts()
    var isDraining = false
    var actions: [Action] = []
    let makeID: @Sendable () -> UUID7

    /// A book of a gateway that is not registered yet: everything waits until the first `renewed`.
    package init(timing: Timing = Timing(), makeID: @escaping @Sendable () -> UUID7) {
        self.timing = timing
        self.makeID = makeID
    }

    /// What is to be done since the last call.
    package mutating func takeActions() -> [Action] {
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    // MARK: Definitions

    /// Replaces the budgets in force by all that are in force now. A budget that has changed gives back what is free.
    package mutating func define(_ definitions: [BudgetDefinition], now: Int64) {
        let known = Dictionary(definitions.map { ($0.id, $0) }) { first, _ in first }
        var ended: [(tenant: UUID7, budget: UUID7)] = []
        forEachAccount { account in
            let definition = known[account.definition.id]
            if definition == nil, !account.isRetired {
                ended.append((account.definition.tenant, account.definition.id))
            }
            account.isRetired = definition == nil
            guard let definition, definition != account.definition else { return }
            // Whether calls have intents is a lease's for life.
            if definition.mode != account.definition.mode {
                account.endLease()
                ended.append((definition.tenant, definition.id))
            }
            account.definition = definition
            account.isRecalled = true
            account.pool = nil
            account.emptyUntil = Int64.min
        }
        for (tenant, budget) in ended {
            if let position = tenants.index(forKey: tenant) { forgetAsked(at: position, budget) }
        }
        for definition in definitions {
            let isKnown = tenants[definition.tenant]?.accounts.contains { $0.definition.id == definition.id } ?? false
            if !isKnown {
                tenants[definition.tenant, default: Tenant()].accounts.append(Account(definition: definition))
            }
        }
        for tenant in Array(tenants.keys) { serve(tenant, now: now) }
        tick(now: now)
    }

    /// Budgets and rates that count what a key does, of one kind or the other.
    package func definitions(tenant: UUID7, key: UUID7, charged: Bool) -> [BudgetDefinition] {
        tenants[tenant]?.accounts.filter { $0.counts(key: key, charged: charged) }.map(\.definition) ?? []
    }

    // MARK: The gateway's life

    /// The database has confirmed that this gateway lives; `sent` is when it was asked.
    package mutating func renewed(sent: Int64, now: Int64) {
        let wasAlive = now < aliveUntil
        aliveUntil = max(aliveUntil, sent + timing.ttl)
        guard !wasAlive else { return }
        for tenant in Array(tenants.keys) { serve(tenant, now: now) }
    }

    /// The database has taken this gateway for dead and charged what its leases held. Nothing more is taken from them;
    /// what was used is settled late, what was not is given back late.
    package mutating func expired(now: Int64) {
        aliveUntil = Int64.min
        forEachAccount { account in account.endLease() }
        for position in tenants.values.indices { forgetAsked(at: position, nil) }
        tick(now: now)
    }

    /// Nothing more is reserved; everything free goes back.
    package mutating func drain(now: Int64) {
        isDraining = true
        for tenant in Array(tenants.keys) { serve(tenant, now: now) }
        tick(now: now)
    }

    /// Whether no lease is left: what a clean end waits for.
    package var isEmpty: Bool {
        tenants.values.allSatisfy { $0.accounts.allSatisfy { $0.lease == nil && $0.ending.isEmpty } }
    }

    /// All leases with their budgets, for tests and metrics.
    package var leases: [(budget: UUID7, lease: Lease)] {
        tenants.values.flatMap { tenant in
            tenant.accounts.flatMap { account in
                ([account.lease].compactMap(\.self) + account.ending).map { (account.definition.id, $0) }
            }
        }
    }

    /// Asks without an answer.
    package var waitingCount: Int { tenants.values.reduce(0) { $0 + $1.waiting.count } }

    mutating func forEachAccount(_ body: (inout Account) -> Void) {
        var position = tenants.values.startIndex
        while position != tenants.values.endIndex {
            for index in tenants.values[position].accounts.indices { body(&tenants.values[position].accounts[index]) }
            tenants.values.formIndex(after: &position)
        }
    }
}
