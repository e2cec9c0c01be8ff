import Accounting

@testable import LeaseModel

/// What must hold after every step, and at the end.
extension LeaseSimulation {
    func check() {
        for process in processes.indices where processes[process].isChanged {
            processes[process].isChanged = false
            for (_, lease) in processes[process].book.leases { check(lease, process) }
        }
        for budget in database.budgets.indices {
            for window in database.budgets[budget].windows.indices { checkWindow(budget, window) }
        }
    }

    private func checkWindow(_ budget: Int, _ index: Int) {
        let window = database.budgets[budget].windows[index]
        if window.committed > window.cap + window.overrun { fail("budget \(budget) is overspent: \(window)") }
        // Time may bring back a rate.
        guard !window.hasExpired || database.budgets[budget].definition.resource.isCharged else { return }
        if window.used > window.cap + window.usedBeyond { fail("budget \(budget) is overused: \(window)") }
    }

    /// The book agrees with itself, and has nothing that the database did not give.
    private func check(_ lease: Lease, _ process: Int) {
        if !lease.isBalanced { fail("gateway \(process) has lost its balance: \(lease)") }
        let number = lease.id.number
        guard lease.granted > 0 else { return }
        guard number < database.leases.count, database.leases[number].state != .missing else {
            return fail("gateway \(process) has lease \(number), which the database never gave")
        }
        let row = database.leases[number]
        let grants = row.events.reduce(0) { $0 + ($1.isGrant ? $1.tokens : 0) }
        if lease.granted > grants + beyond[number, default: 0] {
            fail("gateway \(process) holds more than it was given: \(lease), \(row)")
        }
        if row.settled > lease.spent || row.state == .open && row.returned > lease.returned {
            fail("the database knows more of a lease than its gateway: \(lease), \(row)")
        }
    }

    func checkEmpty(_ process: Int) {
        if !processes[process].waiting.isEmpty { fail("a drained gateway leaves asks without an answer") }
    }

    // MARK: The end

    /// Everything works again: all calls end, all asks are answered, and everything goes back.
    func heal() {
        say("everything works again")
        isHealed = true
        trouble = 0
        outageUntil = Int64.min
        for process in processes.indices { processes[process].pausedUntil = Int64.min }
        settleDown("asks without an answer") { process in
            self.processes[process].waiting.isEmpty
                && self.processes[process].book.aliveUntil > self.time(process) + self.timing.ttl / 2
        }
        check()
        askOnceMore()
        for process in processes.indices where !processes[process].isDraining {
            let time = time(process)
            processes[process].isDraining = true
            perform(process) { $0.drain(now: time) }
        }
        let generations = processes.map(\.generation)
        settleDown("a drained gateway still has leases") { process in
            self.processes[process].generation != generations[process]
        }
        check()
        advance(by: 2 * timing.ttl)
        reap()
        checkEnd()
    }

    /// Plays without faults until `isDone` says so of every process.
    private func settleDown(_ complaint: String, until isDone: (Int) -> Bool) {
        for _ in 0..<100 where failure == nil {
            while !network.isEmpty, failure == nil { deliver() }
            for process in processes.indices {
                for _ in 0..<processes[process].calls.count { endCall(process) }
                commit(process)
                housekeep(process)
            }
            let isQuiet = processes.allSatisfy { $0.calls.isEmpty && $0.ledger.isEmpty }
            if isQuiet, network.isEmpty, processes.indices.allSatisfy(isDone) { return }
            advance(by: 300_000)
        }
        fail("\(complaint): \(processes.flatMap { $0.book.leases.map(\.lease) })")
    }

    /// Whoever asks a healthy gateway gets an answer that says something.
    private func askOnceMore() {
        guard failure == nil, let process = processes.indices.first(where: { !processes[$0].isDraining }) else {
            return
        }
        let before = seen[Event.unavailable.rawValue]
        ask(process)
        settleDown("the last ask has no answer") { self.processes[$0].waiting.isEmpty }
        if seen[Event.unavailable.rawValue] > before { fail("a healthy gateway says that it cannot say") }
    }

    private func checkEnd() {
        guard failure == nil else { return }
        for (event, count) in [(Event.lateSettle, database.lateSettles), (.lateReturn, database.lateReturns)]
        where count > 0 {
            note(event)
        }
        if database.budgets.contains(where: { $0.windows.count > 1 }) { note(.rollover) }
        if let broken = database.brokenRule() { fail(broken) }
        for (number, lease) in database.leases.enumerated() where lease.state == .open {
            fail("lease \(number) is open at the end: \(lease)")
        }
        for budget in database.budgets.indices where database.budgets[budget].definition.resource.isCharged {
            for window in database.budgets[budget].windows.indices { checkCharged(budget, window) }
        }
    }

    /// What was used is charged, and what is charged without use was held by the dead or lost sight of.
    private func checkCharged(_ budget: Int, _ index: Int) {
        let window = database.budgets[budget].windows[index]
        let charged = window.charged + window.unreconciled
        if charged < window.used { fail("budget \(budget) is charged too little: \(window)") }
        var allowed = 0
        for (number, lease) in database.leases.enumerated() where lease.budget == budget && lease.window == index {
            allowed += overcharge(number, lease)
        }
        if charged > window.used + allowed { fail("budget \(budget) is charged too much, by \(allowed): \(window)") }
    }

    /// The most that a lease may be charged without proof.
    private func overcharge(_ number: Int, _ lease: DatabaseModel.Lease) -> Int {
        guard lease.state != .missing else { return 0 }
        let isStrict = lease.mode == .strict
        if lease.state == .expired, !isStrict, orphans.contains(number) { return lease.doubtful }
        var tokens = 0
        for (call, trace) in traces.enumerated() {
            let isInDoubt = lease.state == .expired && isStrict
            for (hold, used) in zip(trace.holds, trace.used) where hold.lease.number == number {
                // An intent may outlive a call that used nothing, and its gateway.
                let isProved = database.recorded.contains(call) && used > 0 && !orphans.contains(number)
                if trace.isAbandoned || isInDoubt && !isProved { tokens += hold.tokens }
            }
        }
        return tokens
    }
}
