/// Reserving: at once from memory, or after the database was asked.
extension LeaseBook {
    /// Asks for a reservation. Nil: the ask waits, and an action `answer` with its id will follow.
    package mutating func reserve(_ ask: ReservationAsk, id: UInt64, now: Int64) -> Verdict? {
        guard let position = tenants.index(forKey: ask.tenant) else { return .granted(tokens: ask.tokens, []) }
        guard tenants.values[position].limits(ask) else { return .granted(tokens: ask.tokens, []) }
        if isAlive(now), tenants.values[position].waiting.isEmpty,
            tenants.values[position].canReserve(ask, ask.tokens, now: now)
        {
            let holds = take(ask, ask.tokens, at: position, now: now)
            refill(at: position, now: now)
            return .granted(tokens: ask.tokens, holds)
        }
        if isDraining { return refuse(ReservationRefusal(reason: .unavailable, budget: nil, resetsIn: nil)) }
        tenants.values[position].waiting.append(
            Ask(id: id, ask: ask, deadline: now + timing.patience, tokens: ask.tokens))
        serve(ask.tenant, now: now)
        // What can be said at once is not an action.
        guard let index = actions.lastIndex(where: { $0.isAnswer(to: id) }) else { return nil }
        guard case .answer(_, let verdict) = actions.remove(at: index) else { return nil }
        return verdict
    }

    /// The asker is gone; its ask is forgotten. An answer that is already on its way stays on its way.
    package mutating func withdraw(_ id: UInt64, tenant: UUID7, now: Int64) {
        tenants[tenant]?.waiting.removeAll { $0.id == id }
        serve(tenant, now: now)
    }

    /// Answers all of a tenant's asks that can be answered, in their order, and asks the database for what is missing.
    mutating func serve(_ id: UUID7, now: Int64) {
        guard let position = tenants.index(forKey: id), !tenants.values[position].waiting.isEmpty else { return }
        // What was asked of a window that is over is to be asked again.
        for index in tenants.values[position].accounts.indices {
            guard let lease = tenants.values[position].accounts[index].lease, now >= lease.endsAt else { continue }
            tenants.values[position].accounts[index].endLease()
            forgetAsked(at: position, tenants.values[position].accounts[index].definition.id)
        }
        var left: [Ask] = []
        // Nobody overtakes one who waits for the same budget.
        var awaited: Set<UUID7> = []
        let waiting = tenants.values[position].waiting
        for var ask in waiting {
            let tenant = tenants.values[position]
            for account in tenant.accounts where now < account.emptyUntil && account.applies(to: ask.ask) {
                ask.asked.insert(account.definition.id)
            }
            let budgets = tenant.accounts.filter { $0.applies(to: ask.ask) }.map(\.definition.id)
            if let verdict = judge(&ask, tenant, now: now) {
                actions.append(.answer(ask: ask.id, verdict))
            } else if isAlive(now), awaited.isDisjoint(with: budgets), tenant.canReserve(ask.ask, ask.tokens, now: now)
            {
                let holds = take(ask.ask, ask.tokens, at: position, now: now)
                if ask.tokens < ask.ask.tokens { counts.clamped += 1 }
                actions.append(.answer(ask: ask.id, .granted(tokens: ask.tokens, holds)))
            } else {
                awaited.formUnion(budgets)
                left.append(ask)
            }
        }
        tenants.values[position].waiting = left
        // A lease has one operation at a time: those who wait come first.
        guard !left.isEmpty else { return refill(at: position, now: now) }
        for index in tenants.values[position].accounts.indices { request(at: position, index, now: now) }
    }

    /// Whether an ask has to be refused; an ask that a budget can only serve in part is cut to that part.
    private mutating func judge(_ ask: inout Ask, _ tenant: Tenant, now: Int64) -> Verdict? {
        if isDraining || now >= ask.deadline {
            return refuse(ReservationRefusal(reason: .unavailable, budget: nil, resetsIn: nil))
        }
        guard now < aliveUntil else { return nil }
        for account in tenant.accounts where account.applies(to: ask.ask) && ask.asked.contains(account.definition.id) {
            let need = account.need(ask.ask, ask.tokens)
            let free = account.free(now: now)
            guard free < need else { continue }
            let possible = free - (need - ask.tokens)
            if account.definition.clamps, case .call(_, let smallest, _) = ask.ask.purpose, possible >= max(1, smallest)
            {
                ask.tokens = possible
                continue
            }
            // Others have taken what came for it, and the database had more.
            if ask.hasSecondChance, let pool = account.pool, pool >= (account.definition.clamps ? 1 : need - free) {
                ask.hasSecondChance = false
                ask.asked = []
                ask.tokens = ask.ask.tokens
                return nil
            }
            if account.leasedElsewhere > 0 { counts.refusedWhileStranded += 1 }
            return refuse(
                ReservationRefusal(
                    reason: .exhausted, budget: account.definition,
                    resetsIn: account.resetsIn(now: now), needed: need - ask.tokens + smallest(ask, account)))
        }
        return nil
    }

    /// The least that an ask would have taken.
    private func smallest(_ ask: Ask, _ account: Account) -> Int {
        if account.definition.clamps, case .call(_, let smallest, _) = ask.ask.purpose {
            max(1, smallest)
        } else {
            ask.tokens
        }
    }

    private mutating func refuse(_ refusal: ReservationRefusal) -> Verdict {
        switch refusal.reason {
        case .exhausted: counts.refusals += 1
        case .unavailable: counts.unavailable += 1
        }
        return .refused(refusal)
    }

    private func isAlive(_ now: Int64) -> Bool { now < aliveUntil && !isDraining }

    /// Takes the tokens out of every lease. All of them have enough.
    private mutating func take(
        _ ask: ReservationAsk, _ tokens: Int, at position: Dictionary<UUID7, Tenant>.Values.Index, now: Int64
    ) -> [Hold] {
        if ask.purpose == .probe { return [] }
        counts.reservations += 1
        var holds: [Hold] = []
        for index in tenants.values[position].accounts.indices {
            guard tenants.values[position].accounts[index].applies(to: ask) else { continue }
            let need = tenants.values[position].accounts[index].need(ask, tokens)
            guard need > 0 else { continue }
            tenants.values[position].accounts[index].note(use: need, now: now, timing.bucket)
            let hold = tenants.values[position].accounts[index].hold(need, for: ask)
            holds.append(hold)
        }
        return holds
    }

    // MARK: The end of a reservation

    /// Ends holds with what each used; returns the rows for the ledger, one for each hold of LLM tokens that used any
    /// or has an intent.
    package mutating func settle(_ holds: [Hold], used: [Int], now: Int64) -> [ChargeRecord] {
        precondition(holds.count == used.count, "each hold has its use")
        var charges: [ChargeRecord] = []
        for (hold, used) in zip(holds, used) {
            precondition(used >= 0, "nobody uses less than nothing")
            var reserved = 0
            withLease(hold.lease, budget: hold.budget, tenant: hold.tenant) { lease in
                reserved = lease.end(hold.tokens, used: used, isCharged: hold.resource.isCharged)
            }
            counts.overrunTokens += max(0, used - reserved)
            if used > hold.tokens, let position = tenants.index(forKey: hold.tenant) {
                forgetAsked(at: position, hold.budget)
            }
            guard hold.resource.isCharged, used > 0 || hold.segment != nil else { continue }
            charges.append(ChargeRecord(lease: hold.lease, budget: hold.budget, reserved: reserved, charged: used))
        }
        if let tenant = holds.first?.tenant { serve(tenant, now: now) }
        return charges
    }

    /// Ends holds of which nobody knows what became of them. Rates come back by themselves; of them nothing is lost.
    package mutating func abandon(_ holds: [Hold]) {
        for hold in holds {
            withLease(hold.lease, budget: hold.budget, tenant: hold.tenant) { lease in
                guard hold.resource.isCharged else {
                    _ = lease.end(
                        hold.tokens, used: hold.resource == .concurrency ? 0 : hold.tokens, isCharged: false)
                    return
                }
                lease.reserved -= hold.tokens
                lease.lost += hold.tokens
            }
            if hold.resource.isCharged { counts.lostTokens += hold.tokens }
        }
    }

    /// The ledger has committed charges.
    package mutating func confirm(_ charges: [ChargeRecord], tenant: UUID7) {
        // A row of a strict call that used nothing holds no lease open, which may be closed by now.
        for charge in charges where charge.charged > 0 {
            withLease(charge.lease, budget: charge.budget, tenant: tenant) { lease in
                lease.unconfirmed -= charge.charged
                precondition(lease.unconfirmed >= 0, "a charge is confirmed once")
            }
        }
    }

    /// Finds a lease by its id. One that is held, or not confirmed, is in the book.
    mutating func withLease(_ id: UUID7, budget: UUID7, tenant: UUID7, _ body: (inout Lease) -> Void) {
        guard let position = tenants.index(forKey: tenant),
            let index = tenants.values[position].accounts.firstIndex(where: { $0.definition.id == budget })
        else { preconditionFailure("a hold of a budget that the book does not know") }
        if tenants.values[position].accounts[index].lease?.id == id {
            body(&tenants.values[position].accounts[index].lease!)
        } else if let old = tenants.values[position].accounts[index].ending.firstIndex(where: { $0.id == id }) {
            body(&tenants.values[position].accounts[index].ending[old])
        } else {
            preconditionFailure("a hold of a lease that was closed")
        }
    }
}

extension LeaseBook.Tenant {
    /// Whether any budget counts it.
    func limits(_ ask: ReservationAsk) -> Bool { accounts.contains { $0.applies(to: ask) } }

    func canReserve(_ ask: ReservationAsk, _ tokens: Int, now: Int64) -> Bool {
        accounts.allSatisfy { !$0.applies(to: ask) || $0.free(now: now) >= $0.need(ask, tokens) }
    }
}

extension LeaseBook.Action {
    func isAnswer(to id: UInt64) -> Bool {
        if case .answer(id, _) = self { true } else { false }
    }
}

extension ReservationAsk {
    /// What the asker wants to use at most, prompt excluded.
    var tokens: Int {
        switch purpose {
        case .call(let tokens, _, _), .request(let tokens): tokens
        case .probe: 0
        }
    }

    /// Whether budgets of LLM tokens count it, and not rates.
    package var isForLLM: Bool {
        if case .request = purpose { false } else { true }
    }
}
