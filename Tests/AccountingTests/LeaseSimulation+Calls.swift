import Accounting

@testable import LeaseModel

/// What callers do: ask, call, end.
extension LeaseSimulation {
    func ask(_ process: Int) {
        guard isAwake(process) else { return }
        askCount += 1
        let tenant = database.budgets[random.below(database.budgets.count)].definition.tenant
        let tokens = 1 + random.below([8, 40, 200][random.below(3)])
        let purpose: ReservationAsk.Purpose =
            switch random.below(10) {
            case 0: .probe
            case 1..<3: .request(tokens: tokens)
            default: .call(tokens: tokens, smallest: 1 + random.below(tokens), prompt: random.below(20))
            }
        let number = traces.count
        let segment = SegmentKey(request: id(number), choice: 0, sequence: 0, attempt: 0)
        let ask = ReservationAsk(tenant: tenant, key: id(random.below(2)), purpose: purpose, segment: segment)
        say("gateway \(process): ask \(askCount) of tenant \(tenant.low), key \(ask.key.low): \(purpose)")
        // Who joins a queue shares its fate: what the first of it was told may be why the last is refused.
        let first = processes[process].waiting.first { $0.ask.tenant == tenant }
        let pools = database.budgets.enumerated().map { index, budget in
            first.map { index < $0.pools.count ? $0.pools[index] : 1 } ?? budget.pools.count
        }
        let waiting = Waiting(id: askCount, ask: ask, pools: pools, overruns: processes[process].overruns)
        let time = time(process)
        if let verdict = processes[process].book.reserve(ask, id: askCount, now: time) {
            accept(verdict, waiting, process)
        } else {
            processes[process].waiting.append(waiting)
        }
        perform(process) { _ in }
    }

    /// A verdict has come for one who asked.
    func accept(_ verdict: LeaseBook.Verdict, _ waiting: Waiting, _ process: Int) {
        switch verdict {
        case .granted(let tokens, let holds):
            say("ask \(waiting.id) is granted \(tokens), holds \(holds.map { "\($0.tokens) of \($0.lease.low)" })")
            if case .call(let wanted, let smallest, _) = waiting.ask.purpose, tokens < wanted {
                note(.clamp)
                let mayClamp = holds.contains { database.budgets[$0.budget.number].definition.clamps }
                if tokens < smallest || !mayClamp { fail("ask \(waiting.id) got \(tokens), at least \(smallest)") }
            }
            if !holds.isEmpty { begin(tokens, holds, waiting.ask, process) }
        case .refused(let refusal):
            say("ask \(waiting.id) is refused: \(refusal.reason) \(refusal.budget?.name ?? "")")
            note(refusal.reason == .exhausted ? .refusal : .unavailable)
            if processes[process].overruns == waiting.overruns { checkRefusal(refusal, waiting) }
        }
    }

    /// Exhausted is said only if there was a moment at which the pool had too little.
    private func checkRefusal(_ refusal: ReservationRefusal, _ waiting: Waiting) {
        guard refusal.reason == .exhausted, let budget = refusal.budget else { return }
        var need = 1
        switch waiting.ask.purpose {
        case .call(let tokens, let smallest, let prompt):
            need = (budget.clamps ? smallest : tokens) + (budget.counts == .billed ? prompt : 0)
        case .request(let tokens): need = budget.resource == .tokens ? tokens : 1
        case .probe: break
        }
        let number = budget.id.number
        // One that is gone refuses until its gateway knows.
        guard database.budgets[number].isActive else { return }
        let first = number < waiting.pools.count ? waiting.pools[number] - 1 : 0
        let lowest = database.budgets[number].pools[first...].min() ?? 0
        guard lowest >= need else { return }
        say("NEEDLESS: ask \(waiting.id) is refused for \(need) of budget \(number), \(lowest) were left")
        needlessRefusals += 1
    }

    private func begin(_ tokens: Int, _ holds: [Hold], _ ask: ReservationAsk, _ process: Int) {
        let share = random.below(10)
        let fate: Call.Fate = share == 0 ? .cancel : random.percent(4) ? .abandon : .settle
        let generated = share < 3 ? 0 : share < 6 ? random.below(tokens + 1) : tokens
        let beyond = share == 9 && fate == .settle && random.percent(30) ? 1 + random.below(30) : 0
        if beyond > 0 { note(.overrun) }
        var prompt = 0
        if case .call(_, _, let bound) = ask.purpose { prompt = share == 0 ? 0 : bound - random.below(bound + 1) }
        let used = holds.map { hold in
            switch hold.resource {
            case .llmTokens: fate == .cancel ? 0 : generated + beyond + (hold.counts == .billed ? prompt : 0)
            case .tokens: fate == .cancel ? 0 : generated + beyond
            case .requests: fate == .cancel ? 0 : hold.tokens
            case .concurrency: 0
            }
        }
        let isStrict = holds.contains { $0.segment != nil }
        let call = Call(
            number: traces.count, tenant: ask.tenant.number, holds: holds, fate: fate, used: used, mayBegin: !isStrict)
        traces.append(Trace(holds: holds, used: used))
        for hold in holds { checkHold(hold) }
        if time(process) >= processes[process].book.aliveUntil { fail("gateway \(process) reserves after its life") }
        processes[process].calls.append(call)
        if isStrict {
            note(.intent)
            send(.intents(call), process)
        } else if random.percent(70) {
            use(process, processes[process].calls.count - 1)
        }
    }

    /// The tokens of a hold were given by the database before.
    private func checkHold(_ hold: Hold) {
        let lease = hold.lease.number
        guard lease < database.leases.count, database.leases[lease].state != .missing,
            database.leases[lease].budget == hold.budget.number
        else { return fail("a hold of lease \(lease), which the database never gave") }
        // A gateway counts the rest of a window from its question, so that it is never late.
        let window = database.budgets[hold.budget.number].windows[database.leases[lease].window]
        if let end = window.end, database.now >= end { fail("a hold of lease \(lease), whose window is over") }
    }

    /// The call begins: what it uses is used from now on.
    private func use(_ process: Int, _ index: Int) {
        let call = processes[process].calls[index]
        guard !call.hasBegun else { return }
        processes[process].calls[index].hasBegun = true
        guard call.fate != .cancel else { return }
        for (hold, used) in zip(call.holds, call.used) {
            let lease = database.leases[hold.lease.number]
            database.budgets[lease.budget].windows[lease.window].used += min(used, hold.tokens)
        }
    }

    func endCall(_ process: Int) {
        guard isAwake(process), !processes[process].calls.isEmpty else { return }
        let index = random.below(processes[process].calls.count)
        guard processes[process].calls[index].mayBegin else { return }
        use(process, index)
        end(processes[process].calls.remove(at: index), process)
    }

    private func end(_ call: Call, _ process: Int) {
        say("gateway \(process): call \(call.number) ends: \(call.fate), used \(call.used)")
        let time = time(process)
        if call.fate == .abandon {
            note(.abandoned)
            traces[call.number].isAbandoned = true
            return perform(process) { $0.abandon(call.holds) }
        }
        var charges: [ChargeRecord] = []
        for (hold, used) in zip(call.holds, call.used) where used > hold.tokens {
            beyond[hold.lease.number, default: 0] += used - hold.tokens
            processes[process].overruns += 1
        }
        perform(process) { charges = $0.settle(call.holds, used: call.used, now: time) }
        let unused = zip(call.holds, call.used).filter { $0.0.segment != nil && $0.1 == 0 }.map(\.0)
        for hold in unused { send(.void(call.number, hold), process) }
        guard call.fate == .settle, !charges.isEmpty else { return }
        let due = zip(call.holds, call.used).filter { $0.0.resource.isCharged && ($0.1 > 0 || $0.0.segment != nil) }
        checkCharges(charges, due, call)
        let beyond = due.map { max(0, $0.1 - $0.0.tokens) }
        processes[process].ledger.append(
            DatabaseModel.LedgerRow(call: call.number, charges: charges, beyond: beyond))
        if random.percent(60) { commit(process) }
    }

    /// Every hold of LLM tokens that used any has its charge.
    private func checkCharges(_ charges: [ChargeRecord], _ due: [(Hold, Int)], _ call: Call) {
        guard charges.count == due.count else { return fail("call \(call.number) has \(charges.count) charges") }
        for (charge, part) in zip(charges, due) {
            let isRight =
                charge.lease == part.0.lease && charge.budget == part.0.budget && charge.charged == part.1
                && charge.reserved >= part.0.tokens
                && charge.reserved <= max(part.0.tokens, part.1)
            if !isRight { fail("call \(call.number) has the charge \(charge)") }
        }
    }

    /// The ledger writes what it has.
    func commit(_ process: Int) {
        guard isAwake(process), !processes[process].isCommitting, !processes[process].ledger.isEmpty else { return }
        processes[process].isCommitting = true
        send(.commit(processes[process].ledger), process)
    }

    /// The answer to intents: the call may begin, or it never does.
    func intentsRecorded(_ isDurable: Bool, _ call: Call, _ process: Int) {
        guard let index = processes[process].calls.firstIndex(where: { $0.number == call.number }) else {
            return fail("intents of a call that is over")
        }
        if isDurable {
            processes[process].calls[index].mayBegin = true
            return
        }
        say("gateway \(process): call \(call.number) has no intents, and does not begin")
        processes[process].calls.remove(at: index)
        let time = time(process)
        perform(process) { _ = $0.settle(call.holds, used: call.holds.map { _ in 0 }, now: time) }
        for hold in call.holds where hold.segment != nil { send(.void(call.number, hold), process) }
    }
}
