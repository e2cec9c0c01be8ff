import Accounting

/// What migration 0004 does, in plain Swift: the functions by their names, one at a time.
struct DatabaseModel {
    struct Gateway {
        enum State { case live, stopped, expired }
        var state = State.live
        var heartbeat: Int64
    }

    struct Window {
        let start: Int64
        let end: Int64?
        var amount: Int
        var cap: Int
        var charged = 0
        var leased = 0
        var unreconciled = 0
        var overrun = 0
        /// What only the simulation knows: tokens really used, those used beyond reservations, and whether a lease of
        /// it expired.
        var used = 0
        var usedBeyond = 0
        var hasExpired = false

        var committed: Int { charged + leased + unreconciled }
        var pool: Int { max(0, amount - committed) }
    }

    struct Budget {
        var definition: BudgetDefinition
        let length: Int64?
        var isActive = true
        var windows: [Window] = []
        /// The pool after each operation: whether a refusal was right.
        var pools: [Int] = []
    }

    struct Event {
        let sequence: Int
        let isGrant: Bool
        let tokens: Int
    }

    struct Intent {
        let call: Int
        let reserved: Int
    }

    struct Lease {
        enum State { case missing, open, expired, closed }
        var gateway = 0
        var budget = 0
        var window = 0
        var mode = HoldingMode.leased
        var granted = 0
        var settled = 0
        var returned = 0
        var unreconciled = 0
        var overrun = 0
        var state = State.missing
        var events: [Event] = []
        var intents: [Intent] = []
        /// What it had not explained when it expired.
        var doubtful = 0
    }

    /// A call's rows of the ledger.
    struct LedgerRow {
        let call: Int
        let charges: [ChargeRecord]
        /// For the oracle: tokens beyond what each hold had reserved at first.
        let beyond: [Int]
    }

    struct ReturnOperation {
        var tokens: Int
        var closes: Bool
        var used: Int
        var lost: Int
    }

    var now: Int64 = 0
    var gateways: [Gateway] = []
    var budgets: [Budget] = []
    var leases: [Lease] = []
    /// Calls whose segment is in the ledger, by their number.
    var recorded: Set<Int> = []
    /// Counts the changes of definitions.
    var epoch = 0
    var lateSettles = 0
    var lateReturns = 0

    // MARK: Gateways

    mutating func registerGateway() -> Int {
        gateways.append(Gateway(heartbeat: now))
        return gateways.count - 1
    }

    mutating func renewGateway(_ gateway: Int) -> Bool {
        guard gateways[gateway].state == .live else { return false }
        gateways[gateway].heartbeat = now
        return true
    }

    mutating func leaveGateway(_ gateway: Int) {
        if gateways[gateway].state == .live { gateways[gateway].state = .stopped }
    }

    // MARK: Budgets

    func start(_ budget: Int) -> Int64 { budgets[budget].length.map { now / $0 * $0 } ?? 0 }

    /// The current window's index; nil when nobody has used it yet.
    func currentWindow(_ budget: Int) -> Int? {
        let start = start(budget)
        return budgets[budget].windows.lastIndex { $0.start == start }
    }

    private mutating func ensureWindow(_ budget: Int) -> Int {
        if let window = currentWindow(budget) { return window }
        let start = start(budget)
        let amount = budgets[budget].definition.amount
        budgets[budget].windows.append(
            Window(start: start, end: budgets[budget].length.map { start + $0 }, amount: amount, cap: amount))
        return budgets[budget].windows.count - 1
    }

    mutating func setBudget(_ budget: Int, _ definition: BudgetDefinition) {
        epoch += 1
        budgets[budget].definition = definition
        if let window = currentWindow(budget) {
            budgets[budget].windows[window].amount = definition.amount
            let (cap, committed) = (budgets[budget].windows[window].cap, budgets[budget].windows[window].committed)
            budgets[budget].windows[window].cap = max(definition.amount, min(cap, committed))
        }
        notePool(budget)
    }

    mutating func addBudget(_ definition: BudgetDefinition, length: Int64?) {
        epoch += 1
        budgets.append(Budget(definition: definition, length: length, pools: [definition.amount]))
    }

    mutating func removeBudget(_ budget: Int) {
        epoch += 1
        budgets[budget].isActive = false
    }

    var definitions: [BudgetDefinition] { budgets.filter(\.isActive).map(\.definition) }

    /// What is left for grants now.
    func pool(_ budget: Int) -> Int {
        currentWindow(budget).map { budgets[budget].windows[$0].pool } ?? budgets[budget].definition.amount
    }

    private mutating func notePool(_ budget: Int) { budgets[budget].pools.append(pool(budget)) }

    mutating func changeWindow(
        _ lease: Int, charged: Int = 0, leased: Int = 0, unreconciled: Int = 0, overruns: Bool = false
    ) {
        let budget = leases[lease].budget
        var window = budgets[budget].windows[leases[lease].window]
        let committed = window.committed + charged + leased + unreconciled
        if overruns { window.overrun = max(window.overrun, committed - window.cap) }
        window.cap = max(window.amount, min(window.cap, committed))
        window.charged += charged
        window.leased += leased
        window.unreconciled += unreconciled
        budgets[budget].windows[leases[lease].window] = window
        notePool(budget)
    }

    // MARK: Leases

    mutating func grantTokens(_ grant: LeaseBook.Grant, gateway: Int) -> LeaseBook.GrantAnswer {
        let (lease, budget) = (grant.lease.number, grant.budget.number)
        while leases.count <= lease { leases.append(Lease()) }
        if let answer = answerBefore(grant) { return answer }
        let start = start(budget)
        var answer = LeaseBook.GrantAnswer(
            state: .gone, tokens: 0, windowLeft: budgets[budget].length.map { start + $0 - now }, pool: 0,
            leasedElsewhere: 0)
        guard budgets[budget].isActive else { return answer }
        guard gateways[gateway].state == .live else {
            answer.state = .expired
            return answer
        }
        if leases[lease].state != .missing {
            if budgets[budget].windows[leases[lease].window].start != start {
                answer.state = .windowOver
                return answer
            } else if leases[lease].state != .open {
                answer.state = .closed
                return answer
            }
        }
        let window = ensureWindow(budget)
        let granted = share(budget, window, grant.needs, grant.spare)
        if granted > 0 {
            budgets[budget].windows[window].leased += granted
            leases[lease].gateway = gateway
            leases[lease].budget = budget
            leases[lease].window = window
            if leases[lease].state == .missing { leases[lease].mode = grant.mode }
            leases[lease].state = .open
            leases[lease].granted += granted
            notePool(budget)
        }
        if granted > 0 || grant.isRepeat {
            leases[lease].events.append(Event(sequence: grant.sequence, isGrant: true, tokens: granted))
        }
        answer.tokens = granted
        answer.pool = budgets[budget].windows[window].pool
        if granted == 0 {
            answer.leasedElsewhere = leases.reduce(into: 0) { sum, other in
                guard other.state == .open, other.budget == budget, other.window == window, other.gateway != gateway
                else { return }
                sum += other.granted - other.returned - other.settled
            }
        }
        answer.state = granted > 0 || grant.needs.isEmpty ? .granted : .exhausted
        return answer
    }

    /// What was answered to the same sequence number before.
    private func answerBefore(_ grant: LeaseBook.Grant) -> LeaseBook.GrantAnswer? {
        let lease = leases[grant.lease.number]
        guard let event = lease.events.first(where: { $0.sequence == grant.sequence && $0.isGrant }) else { return nil }
        guard lease.state != .missing else {
            return LeaseBook.GrantAnswer(state: .exhausted, tokens: 0, windowLeft: nil, pool: 0, leasedElsewhere: 0)
        }
        let window = budgets[lease.budget].windows[lease.window]
        return LeaseBook.GrantAnswer(
            state: lease.state != .open ? .closed : event.tokens == 0 ? .exhausted : .granted, tokens: event.tokens,
            windowLeft: window.end.map { max(0, $0 - now) }, pool: window.pool, leasedElsewhere: 0)
    }

    /// How much of what is left a grant gets.
    private func share(_ budget: Int, _ window: Int, _ needs: [Int], _ spare: Int) -> Int {
        let pool = budgets[budget].windows[window].pool
        guard pool > 0 else { return 0 }
        var granted = 0
        for need in needs {
            guard need <= pool - granted else {
                return granted == 0 && budgets[budget].definition.clamps ? pool : granted
            }
            granted += need
        }
        let live = gateways.count { $0.state == .live && $0.heartbeat > now - 10_000_000 }
        let extra = min(spare, (pool - granted) / (4 * max(live, 1)))
        return extra >= 8 * (needs.first ?? 1) ? granted + extra : granted
    }

    /// Nil for a lease that cannot be closed yet; else whether the lease is known.
    mutating func returnTokens(gateway: Int, lease: Int, sequence: Int, _ operation: ReturnOperation) -> Bool? {
        guard leases.indices.contains(lease) else { return false }
        if leases[lease].events.contains(where: { $0.sequence == sequence }) { return true }
        guard leases[lease].state != .missing, leases[lease].gateway == gateway else { return false }
        let row = leases[lease]
        let tokens = operation.tokens
        if row.state == .open, operation.closes {
            let explained = row.settled + operation.used + operation.lost + row.returned + tokens
            // Of a rate nobody else tells that it was used beyond what was granted.
            let isRate = !budgets[row.budget].definition.resource.isCharged
            let excess = isRate ? max(0, explained - row.granted) : 0
            guard explained == row.granted + excess else { return nil }
            leases[lease].granted += excess
            leases[lease].overrun += excess
            leases[lease].settled += operation.used
            leases[lease].returned += tokens
            leases[lease].unreconciled = operation.lost
            leases[lease].state = .closed
            leases[lease].intents = []
            changeWindow(
                lease, charged: row.settled + operation.used, leased: row.returned - row.granted,
                unreconciled: operation.lost, overruns: excess > 0)
        } else if row.state == .open {
            guard row.settled + row.returned + tokens <= row.granted else { return nil }
            leases[lease].returned += tokens
            changeWindow(lease, leased: -tokens)
        } else {
            lateReturns += tokens > 0 ? 1 : 0
            // Of a strict lease only what was in flight is left.
            let late = row.mode == .strict ? max(0, row.unreconciled - inFlight(lease)) : min(tokens, row.unreconciled)
            leases[lease].returned += late
            leases[lease].unreconciled -= late
            changeWindow(lease, unreconciled: -late)
        }
        leases[lease].events.append(Event(sequence: sequence, isGrant: false, tokens: tokens))
        return true
    }
}
