import Accounting

extension DatabaseModel {
    /// The ledger's statement: each call once, then its charges summed for each lease.
    mutating func record(_ rows: [LedgerRow]) {
        var used: [(lease: Int, tokens: Int, beyond: Int)] = []
        for row in rows where recorded.insert(row.call).inserted {
            for (charge, beyond) in zip(row.charges, row.beyond) {
                let lease = charge.lease.number
                if leases[lease].state != .missing {
                    budgets[leases[lease].budget].windows[leases[lease].window].used += beyond
                    budgets[leases[lease].budget].windows[leases[lease].window].usedBeyond += beyond
                }
                if let index = used.firstIndex(where: { $0.lease == lease }) {
                    used[index].tokens += charge.charged
                    used[index].beyond += charge.overrun
                } else {
                    used.append((lease, charge.charged, charge.overrun))
                }
            }
        }
        for (lease, tokens, beyond) in used { settle(lease, tokens, beyond) }
    }

    private mutating func settle(_ lease: Int, _ used: Int, _ beyond: Int) {
        let row = leases[lease]
        if row.state == .open {
            let excess = max(beyond, row.settled + row.returned + used - row.granted)
            leases[lease].settled += used
            guard excess > 0 else { return }
            leases[lease].granted += excess
            leases[lease].overrun += excess
            changeWindow(lease, leased: excess, overruns: true)
        } else {
            lateSettles += used > 0 ? 1 : 0
            // What is no longer in doubt: of a strict lease all but the calls still in flight.
            let cleared =
                switch (row.state, row.mode) {
                case (.closed, _): 0
                case (_, .strict): max(0, row.unreconciled - inFlight(lease))
                case (_, .leased): min(used - beyond, row.unreconciled)
                }
            let late = min(used - beyond, cleared)
            leases[lease].settled += used
            leases[lease].unreconciled -= cleared
            leases[lease].returned += cleared - late
            leases[lease].granted += used - late
            leases[lease].overrun += used - late
            changeWindow(lease, charged: used, unreconciled: -cleared, overruns: true)
        }
    }

    /// False, and nothing written, when one of the leases is no longer open.
    mutating func recordIntents(gateway: Int, call: Int, _ holds: [Hold]) -> Bool {
        let isOpen = holds.allSatisfy {
            let lease = leases[$0.lease.number]
            return lease.gateway == gateway && lease.state == .open
        }
        guard isOpen else { return false }
        for hold in holds where !leases[hold.lease.number].intents.contains(where: { $0.call == call }) {
            leases[hold.lease.number].intents.append(Intent(call: call, reserved: hold.tokens))
        }
        return true
    }

    mutating func voidIntents(gateway: Int, lease: Int, call: Int) {
        guard leases[lease].gateway == gateway else { return }
        leases[lease].intents.removeAll { $0.call == call }
    }

    /// Tokens of calls that were begun and are not in the ledger.
    func inFlight(_ lease: Int) -> Int {
        leases[lease].intents.reduce(0) { $0 + (recorded.contains($1.call) ? 0 : $1.reserved) }
    }

    /// Closes the leases of gateways that have not been heard of; returns how many.
    mutating func reapLeases(ttl: Int64) -> Int {
        var count = 0
        for gateway in gateways.indices where gateways[gateway].state == .live {
            if gateways[gateway].heartbeat < now - ttl { gateways[gateway].state = .expired }
        }
        for lease in leases.indices where leases[lease].state == .open {
            guard gateways[leases[lease].gateway].state != .live else { continue }
            let row = leases[lease]
            let rest = row.granted - row.settled - row.returned
            var doubtful = rest
            if !budgets[row.budget].definition.resource.isCharged {
                doubtful = 0
            } else if row.mode == .strict {
                doubtful = min(rest, inFlight(lease))
            }
            leases[lease].state = .expired
            leases[lease].unreconciled = doubtful
            leases[lease].doubtful = doubtful
            leases[lease].returned += rest - doubtful
            budgets[row.budget].windows[row.window].hasExpired = true
            changeWindow(lease, charged: row.settled, leased: row.returned - row.granted, unreconciled: doubtful)
            count += 1
        }
        return count
    }

    // MARK: What must hold

    /// The first of these rules that a row breaks: I1, I2, I3 and I5.
    func brokenRule() -> String? {
        for (index, budget) in budgets.enumerated() {
            for window in budget.windows.indices {
                if let broken = brokenWindow(index, window) { return "\(broken) of budget \(index), window \(window)" }
            }
        }
        for (index, lease) in leases.enumerated() where lease.state != .missing {
            let explained = lease.settled + lease.returned + lease.unreconciled
            let isRight = lease.state == .open ? explained <= lease.granted : explained == lease.granted
            let grants = lease.events.reduce(0) { $0 + ($1.isGrant ? $1.tokens : 0) }
            guard isRight, min(lease.settled, lease.returned, lease.unreconciled) >= 0,
                lease.granted == grants + lease.overrun
            else { return "the sums of lease \(index): \(lease)" }
        }
        return nil
    }

    private func brokenWindow(_ budget: Int, _ index: Int) -> String? {
        let window = budgets[budget].windows[index]
        var (charged, leased, unreconciled) = (0, 0, 0)
        for lease in leases where lease.state != .missing && lease.budget == budget && lease.window == index {
            unreconciled += lease.unreconciled
            if lease.state == .open { leased += lease.granted - lease.returned } else { charged += lease.settled }
        }
        if window.committed > window.cap + window.overrun { return "overspent: \(window)" }
        if (charged, leased, unreconciled) != (window.charged, window.leased, window.unreconciled) {
            return "the sums: \(window), leases \(charged) \(leased) \(unreconciled)"
        }
        return nil
    }
}
