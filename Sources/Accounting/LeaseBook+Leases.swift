/// Leases: asking the database for tokens, and giving them back.
extension LeaseBook {
    /// Needs in one grant; later asks wait for the next.
    private static let needsLimit = 64

    typealias Position = Dictionary<UUID7, Tenant>.Values.Index

    /// Asks for what the waiting lack of one budget, unless an operation is under way.
    mutating func request(at position: Position, _ index: Int, now: Int64) {
        guard now < aliveUntil, !isDraining else { return }
        let account = tenants.values[position].accounts[index]
        guard account.lease?.operation == nil, !account.isRetired else { return }
        var free = account.free(now: now)
        var needs: [Int] = []
        var asks: [UInt64] = []
        for ask in tenants.values[position].waiting
        where account.applies(to: ask.ask) {
            let need = account.need(ask.ask, ask.tokens)
            let missing = max(0, need - free)
            // One free token answers any number of probes.
            free = ask.ask.purpose == .probe ? max(free, need) : max(0, free - need)
            guard missing > 0, !ask.asked.contains(account.definition.id) else { continue }
            needs.append(missing)
            asks.append(ask.id)
            if needs.count == LeaseBook.needsLimit { break }
        }
        guard !needs.isEmpty else { return }
        let spare = account.definition.resource == .concurrency ? 0 : account.worthHolding
        startGrant(at: position, index, needs: needs, spare: spare, asks: asks, now: now)
    }

    /// Asks ahead of need when half of what is worth holding is used, so that nobody waits.
    mutating func refill(at position: Position, now: Int64) {
        for index in tenants.values[position].accounts.indices { refill(at: position, index, now: now) }
    }

    private mutating func refill(at position: Position, _ index: Int, now: Int64) {
        let account = tenants.values[position].accounts[index]
        guard let lease = account.lease, lease.operation == nil, !account.isRecalled, !isDraining,
            account.definition.resource != .concurrency
        else { return }
        let worth = account.worthHolding
        // Near the end of a budget nothing is held ahead.
        guard lease.available < worth / 2, (account.pool ?? 0) / 4 > worth, now < aliveUntil, now < lease.endsAt else {
            return
        }
        startGrant(at: position, index, needs: [], spare: worth - lease.available, asks: [], now: now)
    }

    private mutating func startGrant(
        at position: Position, _ index: Int, needs: [Int], spare: Int, asks: [UInt64], now: Int64
    ) {
        if let lease = tenants.values[position].accounts[index].lease, now >= lease.endsAt {
            tenants.values[position].accounts[index].endLease()
            forgetAsked(at: position, tenants.values[position].accounts[index].definition.id)
        }
        if tenants.values[position].accounts[index].lease == nil {
            let mode = tenants.values[position].accounts[index].definition.mode
            tenants.values[position].accounts[index].lease = Lease(id: makeID(), mode: mode)
        }
        tenants.values[position].accounts[index].lease?.operation = .grant(needs: needs, spare: spare, asks: asks)
        send(tenants.values[position].accounts[index].lease!, tenants.values[position].accounts[index].definition)
    }

    /// Sends a lease's operation, for the first time or again: always the same for the same sequence number.
    private mutating func send(_ lease: Lease, _ definition: BudgetDefinition) {
        switch lease.operation {
        case .grant(let needs, let spare, _):
            actions.append(
                .grant(
                    Grant(
                        lease: lease.id, sequence: lease.sequence, tenant: definition.tenant, budget: definition.id,
                        mode: lease.mode, needs: needs, spare: spare, isRepeat: lease.failures > 0)))
        case .giveBack(let tokens, let closes):
            actions.append(
                .giveBack(
                    lease: lease.id, sequence: lease.sequence, tenant: definition.tenant, budget: definition.id,
                    tokens: tokens, closes: closes, used: closes && !definition.resource.isCharged ? lease.spent : 0,
                    lost: closes ? lease.lost : 0))
        case nil: break
        }
    }

    // MARK: Answers

    /// The database's answer to a grant that was sent at `sent`.
    package mutating func granted(
        _ answer: GrantAnswer, lease id: UUID7, budget: UUID7, tenant: UUID7, sent: Int64, now: Int64
    ) {
        var operation: Lease.Operation?
        withLease(id, budget: budget, tenant: tenant) { lease in
            operation = lease.operation
            lease.answered()
            lease.granted += answer.tokens
            lease.available += answer.tokens
            if let left = answer.windowLeft { lease.endsAt = sent + left }
        }
        guard case .grant(let needs, _, let asks) = operation else {
            preconditionFailure("an answer to a grant that nobody asked for")
        }
        counts.grants += 1
        var (isCurrent, isOpen) = (false, false)
        let emptyPause = timing.emptyPause
        withAccount(budget, tenant) { account in
            // A lease that the database never opened has no history: nothing is left to close.
            account.ending.removeAll { $0.id == id && $0.granted == 0 }
            guard let lease = account.lease, lease.id == id else { return }
            isCurrent = true
            account.pool = answer.pool
            account.leasedElsewhere = answer.leasedElsewhere
            let isEmpty = [.exhausted, .gone].contains(answer.state) && answer.pool == 0 && answer.leasedElsewhere == 0
            account.emptyUntil = isEmpty ? now + emptyPause : Int64.min
            account.lastEnd = answer.windowLeft.map { sent + $0 }
            // What came for a window that is over says nothing of the next. A budget that is gone has nothing left
            // until it is known whether another has taken its place.
            isOpen = [.granted, .exhausted, .gone].contains(answer.state) && now < lease.endsAt
            if lease.granted == 0 {
                account.lease = nil
            } else if !isOpen || answer.state == .gone {
                account.endLease()
            }
        }
        // An answer to what this gateway was before it was taken for dead says nothing of what it is.
        if isCurrent, answer.state == .expired { expired(now: now) }
        if let position = tenants.index(forKey: tenant), isCurrent {
            if isOpen {
                mark(asks, needs, answer, at: position, budget)
            } else {
                forgetAsked(at: position, budget)
            }
        }
        serve(tenant, now: now)
        removeRetired(tenant)
    }

    /// Notes of which of the asks a grant has said all there is to say: they were covered, or no more could be had. The
    /// others ask again.
    private mutating func mark(
        _ asks: [UInt64], _ needs: [Int], _ answer: GrantAnswer, at position: Position, _ budget: UUID7
    ) {
        guard let account = tenants.values[position].accounts.first(where: { $0.definition.id == budget }) else {
            return
        }
        let clamps = account.definition.clamps
        let free = account.lease?.available ?? 0
        var rest = answer.tokens
        var answered: Set<UInt64> = []
        for (number, (ask, need)) in zip(asks, needs).enumerated() {
            let isCovered = need <= rest
            rest = isCovered ? rest - need : 0
            let isAll = number == 0 || answer.pool == 0 || !clamps && need > answer.pool
            // An ask that was cut to its part of another budget, and is whole again, needs more than was asked for.
            let whole = tenants.values[position].waiting.first { $0.id == ask }.map { account.need($0.ask, $0.tokens) }
            if isCovered ? whole ?? 0 <= free : isAll { answered.insert(ask) }
        }
        for index in tenants.values[position].waiting.indices
        where answered.contains(tenants.values[position].waiting[index].id) {
            tenants.values[position].waiting[index].asked.insert(budget)
        }
    }

    /// What a budget, or each, gave for those who wait is no longer here: they have to ask again.
    mutating func forgetAsked(at position: Position, _ budget: UUID7?) {
        for index in tenants.values[position].waiting.indices {
            let ask = tenants.values[position].waiting[index]
            guard budget.map(ask.asked.contains) ?? !ask.asked.isEmpty else { continue }
            if let budget, ask.tokens == ask.ask.tokens {
                tenants.values[position].waiting[index].asked.remove(budget)
            } else {
                tenants.values[position].waiting[index].asked = []
            }
            tenants.values[position].waiting[index].tokens = ask.ask.tokens
        }
    }

    /// The database's answer to a return. `isDone` is false when it found that the lease cannot be closed yet.
    package mutating func gaveBack(lease id: UUID7, budget: UUID7, tenant: UUID7, isDone: Bool, now: Int64) {
        var isClosed = false
        var given = 0
        let retryAt = now + 10 * timing.retryPause
        withLease(id, budget: budget, tenant: tenant) { lease in
            guard case .giveBack(let tokens, let closes) = lease.operation else {
                preconditionFailure("an answer to a return that nobody asked for")
            }
            lease.answered()
            isClosed = isDone && closes
            guard !isDone else {
                given = now < lease.endsAt ? tokens : 0
                return
            }
            // Nothing was changed; what was on its way back is here again.
            lease.returned -= tokens
            lease.available += tokens
            lease.retryAt = retryAt
        }
        counts.returns += 1
        withAccount(budget, tenant) { account in
            if !isDone, account.lease?.id == id { account.endLease() }
            account.pool? += given
            if given > 0 { account.emptyUntil = Int64.min }
            guard isClosed else { return }
            if account.lease?.id == id { account.lease = nil }
            account.ending.removeAll { $0.id == id }
        }
        serve(tenant, now: now)
        removeRetired(tenant)
    }

    /// Nobody knows what became of an operation, or it was refused for a reason that passes. It is sent again, the
    /// same.
    package mutating func failed(lease id: UUID7, budget: UUID7, tenant: UUID7, now: Int64) {
        let pause = timing.retryPause
        withLease(id, budget: budget, tenant: tenant) { lease in
            lease.retryAt = now + pause << Int64(min(lease.failures, 4))
            lease.failures += 1
        }
    }

    private mutating func withAccount(_ budget: UUID7, _ tenant: UUID7, _ body: (inout Account) -> Void) {
        guard let position = tenants.index(forKey: tenant),
            let index = tenants.values[position].accounts.firstIndex(where: { $0.definition.id == budget })
        else { return }
        body(&tenants.values[position].accounts[index])
    }

    private mutating func removeRetired(_ tenant: UUID7) {
        tenants[tenant]?.accounts.removeAll { $0.isRetired && $0.lease == nil && $0.ending.isEmpty }
        if tenants[tenant]?.accounts.isEmpty == true, tenants[tenant]?.waiting.isEmpty == true { tenants[tenant] = nil }
    }

    // MARK: Time

    /// Does what the time asks for: answers those who have waited too long, sends again what failed, gives back what is
    /// idle and closes what is over. To be called about four times a second.
    package mutating func tick(now: Int64) {
        for id in Array(tenants.keys) {
            guard let position = tenants.index(forKey: id) else { continue }
            for index in tenants.values[position].accounts.indices { tick(at: position, index, now: now) }
            serve(id, now: now)
            removeRetired(id)
        }
    }

    private mutating func tick(at position: Position, _ index: Int, now: Int64) {
        // A copy: the account's lease sends its operations through the book.
        var account = tenants.values[position].accounts[index]
        let isUnderWay = account.lease?.operation != nil
        account.turnBuckets(now: now, timing.bucket)
        if let end = account.lastEnd, now >= end {
            account.pool = nil
            account.emptyUntil = Int64.min
        }
        var isForgotten = account.isRecalled
        if let lease = account.lease, now >= lease.endsAt || account.isRetired || isDraining {
            account.endLease()
            isForgotten = true
        }
        if var lease = account.lease, lease.operation == nil || lease.retryAt != nil {
            let promised = tenants.values[position].waiting.reduce(into: 0) { sum, ask in
                guard account.applies(to: ask.ask) else { return }
                let (more, overflow) = sum.addingReportingOverflow(account.need(ask.ask, ask.tokens))
                sum = overflow ? Int.max : more
            }
            let keep = account.isRecalled ? 0 : max(account.worthHolding, promised)
            tend(&lease, keeping: keep, account.definition, now: now)
            account.lease = lease
            if !isUnderWay { account.isRecalled = false }
        }
        for old in account.ending.indices { tend(&account.ending[old], keeping: 0, account.definition, now: now) }
        tenants.values[position].accounts[index] = account
        if isForgotten { forgetAsked(at: position, account.definition.id) }
    }

    /// Sends an operation of a lease again, or gives back what is free beyond `keep`.
    private mutating func tend(_ lease: inout Lease, keeping keep: Int, _ definition: BudgetDefinition, now: Int64) {
        if let retryAt = lease.retryAt {
            guard now >= retryAt else { return }
            lease.retryAt = nil
            if lease.operation != nil { return send(lease, definition) }
        }
        guard lease.operation == nil else { return }
        let tokens = max(0, lease.available - keep)
        let closes = lease.canClose && keep == 0
        guard tokens > 0 || closes else { return }
        lease.available -= tokens
        lease.returned += tokens
        if closes { lease.isEnding = true }
        lease.operation = .giveBack(tokens: tokens, closes: closes)
        send(lease, definition)
    }
}
