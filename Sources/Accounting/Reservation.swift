/// What is to be reserved, and for whom.
package struct ReservationAsk: Sendable, Equatable {
    /// What the tokens are for.
    package enum Purpose: Sendable, Equatable {
        /// An attempt at a call of the LLM: reserves from every budget of LLM tokens.
        ///
        /// `tokens` is what the LLM may generate, `prompt` an upper bound of the tokens it reads, which budgets that
        /// count billed tokens reserve too. Fewer than `tokens`, but no fewer than `smallest`, may be granted where a
        /// budget clamps.
        case call(tokens: Int, smallest: Int, prompt: Int)
        /// Whether any budget of LLM tokens that rejects is used up: reserves nothing.
        case probe
        /// A request: reserves from every rate one request, and `tokens`, an estimate of all that it will use.
        case request(tokens: Int)
    }

    package var tenant: UUID7
    package var key: UUID7
    package var purpose: Purpose
    /// The row that the call's segment will be, for budgets whose mode is strict; nil for a request.
    package var segment: SegmentKey?

    package init(tenant: UUID7, key: UUID7, purpose: Purpose, segment: SegmentKey? = nil) {
        self.tenant = tenant
        self.key = key
        self.purpose = purpose
        self.segment = segment
    }
}

/// The key of a row of `segments`.
package struct SegmentKey: Sendable, Hashable {
    package var request: UUID7
    package var choice: Int
    package var sequence: Int
    package var attempt: Int

    package init(request: UUID7, choice: Int, sequence: Int, attempt: Int) {
        self.request = request
        self.choice = choice
        self.sequence = sequence
        self.attempt = attempt
    }
}

/// Why nothing was reserved.
package struct ReservationRefusal: Sendable, Equatable {
    package enum Reason: Sendable, Equatable {
        /// The budget is used up, or what is left is too little.
        case exhausted
        /// Nobody can say: the database has not answered in time. Fail closed.
        case unavailable
    }

    package var reason: Reason
    /// The budget that refused; nil when `reason` is `unavailable` before any was known.
    package var budget: BudgetDefinition?
    /// Time until the budget's window begins again; nil when it never does.
    package var resetsIn: Duration?
    /// What would have been enough, where a budget refused.
    package var needed: Int

    package init(reason: Reason, budget: BudgetDefinition?, resetsIn: Duration?, needed: Int = 0) {
        self.reason = reason
        self.budget = budget
        self.resetsIn = resetsIn
        self.needed = needed
    }
}

/// One hold on one lease: a part of a reservation.
package struct Hold: Sendable, Equatable {
    package let tenant: UUID7
    package let budget: UUID7
    package let lease: UUID7
    package let resource: Resource
    package let counts: CountedTokens
    package let tokens: Int
    /// The row of the intent that was written for it; nil where the budget's mode is not strict.
    package let segment: SegmentKey?

    package init(
        tenant: UUID7, budget: UUID7, lease: UUID7, resource: Resource, counts: CountedTokens, tokens: Int,
        segment: SegmentKey?
    ) {
        self.tenant = tenant
        self.budget = budget
        self.lease = lease
        self.resource = resource
        self.counts = counts
        self.tokens = tokens
        self.segment = segment
    }
}

/// Who gave a reservation, and takes it back.
package protocol ReservationOwner: AnyObject, Sendable {
    /// Ends holds with what each really used; returns the rows that the ledger has to write for them. From any thread.
    func settle(_ holds: [Hold], used: [Int]) -> [ChargeRecord]
    /// Ends holds that nobody accounted for: their tokens are charged as unreconciled.
    func abandon(_ holds: [Hold])
}

/// Tokens that are held for one attempt, or for one request, out of every budget that counts it.
///
/// It has to be ended: with `settle`, or with `cancel` where nothing can have been used. One that is dropped is charged
/// in full.
package struct Reservation: ~Copyable, Sendable {
    /// What the LLM may generate, at most what was asked for; for a request the tokens asked for.
    package let tokens: Int
    private let holds: [Hold]
    /// Nil once it has been ended.
    private var owner: (any ReservationOwner)?

    /// Made by the owner.
    package init(tokens: Int, holds: [Hold], owner: any ReservationOwner) {
        self.tokens = tokens
        self.holds = holds
        self.owner = owner
    }

    /// For callers without any budget: holds nothing.
    package init(unlimited tokens: Int) {
        self.tokens = tokens
        holds = []
        owner = nil
    }

    /// Whether no budget counts it.
    package var isUnlimited: Bool { holds.isEmpty }

    /// The holds, for tests and headers.
    package var parts: [Hold] { holds }

    /// Ends the reservation of a call. `generated` and `prompt` are tokens really used; the charges go with the
    /// attempt's segment into the ledger.
    package consuming func settle(generated: Int, prompt: Int) -> [ChargeRecord] {
        finish { hold in
            hold.counts == .billed ? Reservation.sum(generated, prompt) : max(0, generated)
        }
    }

    /// Ends the reservation of a request that used so many tokens in all.
    package consuming func settle(requestTokens: Int) {
        _ = finish { hold in
            switch hold.resource {
            case .tokens, .llmTokens: max(0, requestTokens)
            case .requests: hold.tokens
            case .concurrency: 0
            }
        }
    }

    /// Ends a reservation of which provably nothing was used: all of it is free again.
    package consuming func cancel() { _ = finish { _ in 0 } }

    private consuming func finish(_ used: (Hold) -> Int) -> [ChargeRecord] {
        guard let owner else { return [] }
        self.owner = nil
        return owner.settle(holds, used: holds.map(used))
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = max(0, left).addingReportingOverflow(max(0, right))
        return overflow ? Int.max : sum
    }

    deinit {
        if let owner { owner.abandon(holds) }
    }
}

/// The answer to an ask, on its way between threads: read once.
package enum ReservationAnswer: ~Copyable, Sendable {
    case granted(Reservation)
    case refused(ReservationRefusal)
}
