/// What one budget knows by itself.
extension LeaseBook.Account {
    init(definition: BudgetDefinition) { self.definition = definition }

    func counts(key: UUID7, charged: Bool) -> Bool {
        !isRetired && definition.resource.isCharged == charged && (definition.key == nil || definition.key == key)
    }

    func applies(to ask: ReservationAsk) -> Bool {
        if ask.purpose == .probe, definition.onExhausted == .degrade { return false }
        return counts(key: ask.key, charged: ask.isForLLM)
    }

    /// Tokens that an ask needs of this budget.
    func need(_ ask: ReservationAsk, _ tokens: Int) -> Int {
        switch ask.purpose {
        case .call(_, _, let prompt):
            precondition(tokens >= 0 && prompt >= 0, "nobody asks for less than nothing")
            guard definition.counts == .billed else { return tokens }
            let (sum, overflow) = tokens.addingReportingOverflow(prompt)
            return overflow ? Int.max : sum
        // A token that is free shows that there is one; it is not taken.
        case .probe: return 1
        case .request: return definition.resource == .tokens ? tokens : 1
        }
    }

    /// Tokens that can be reserved now.
    func free(now: Int64) -> Int {
        guard let lease, !lease.isEnding, now < lease.endsAt else { return 0 }
        return lease.available
    }

    /// What the database had left; nil when that was of a window that is over.
    func poolNow(_ now: Int64) -> Int? { lastEnd.map { now < $0 } ?? true ? pool : nil }

    func resetsIn(now: Int64) -> Duration? {
        guard let end = lease?.endsAt ?? lastEnd, end != Int64.max, end > now else { return nil }
        return .microseconds(end - now)
    }

    /// Moves tokens from free to reserved.
    mutating func hold(_ tokens: Int, for ask: ReservationAsk) -> Hold {
        guard let (id, mode) = lease.map({ ($0.id, $0.mode) }) else {
            preconditionFailure("a reservation without a lease")
        }
        lease!.available -= tokens
        lease!.reserved += tokens
        precondition(lease!.available >= 0, "more was reserved than there is")
        return Hold(
            tenant: definition.tenant, budget: definition.id, lease: id, resource: definition.resource,
            counts: definition.counts, tokens: tokens, segment: mode == .strict ? ask.segment : nil)
    }

    /// Takes nothing more from the lease.
    mutating func endLease() {
        guard var old = lease else { return }
        old.isEnding = true
        lastEnd = old.endsAt
        ending.append(old)
        lease = nil
    }

    // MARK: Recent use

    mutating func note(use: Int, now: Int64, _ bucket: Int64) {
        turnBuckets(now: now, bucket)
        let (sum, overflow) = recent.now.addingReportingOverflow(use)
        recent.now = overflow ? Int.max : sum
    }

    mutating func turnBuckets(now: Int64, _ bucket: Int64) {
        guard now >= recent.since, recent.since != Int64.min else {
            if recent.since == Int64.min { recent.since = now }
            return
        }
        let age = now - recent.since
        guard age >= bucket else { return }
        recent = (now: 0, before: age < 2 * bucket ? recent.now : 0, since: now)
    }

    /// Tokens worth holding: about two seconds of recent use. Slots for requests at a time are not hoarded.
    var worthHolding: Int {
        if definition.resource == .concurrency { return min(1, recent.now + recent.before) }
        let (sum, overflow) = recent.now.addingReportingOverflow(recent.before)
        return overflow ? Int.max / 4 : min(sum, Int.max / 8) * 2
    }
}

extension Lease {
    /// Ends a hold: what was not used is free again; what was used beyond it is taken from what is free, and what goes
    /// beyond that too is an overrun, which the database adds to the lease when it settles. Returns the tokens that
    /// were reserved in the end.
    mutating func end(_ tokens: Int, used: Int, isCharged: Bool) -> Int {
        reserved -= tokens
        precondition(reserved >= 0, "a hold was ended twice")
        let covered = min(max(0, used - tokens), available)
        available -= covered
        available += max(0, tokens - used)
        let excess = max(0, used - tokens - covered)
        granted += excess
        spent += used
        if isCharged { unconfirmed += used }
        return tokens + covered
    }
}
