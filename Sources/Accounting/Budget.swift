/// What a budget limits.
package enum Resource: String, Sendable, CaseIterable {
    /// Tokens of the LLM. Spent tokens stay spent: what cannot be proved unspent is charged.
    case llmTokens = "llm_tokens"
    /// Tokens of both models, prompts included: a rate.
    case tokens
    /// Requests: a rate.
    case requests
    /// Requests at a time.
    case concurrency

    /// Whether the ledger charges it, token for token. Rates are settled by the gateway's own word.
    package var isCharged: Bool { self == .llmTokens }
}

/// Which tokens of a call a budget counts.
package enum CountedTokens: String, Sendable, CaseIterable {
    /// What the LLM generated: the paper's cost.
    case generated
    /// The prompt that the LLM read, and what it generated.
    case billed
}

/// The stretch of time that one budget amount is for, in UTC, by the database's clock.
package enum BudgetWindow: String, Sendable, CaseIterable {
    case minute, hour, day
    /// From Monday, 00:00.
    case week
    case month
    /// Prepaid: never begins again.
    case fixed
}

/// What a caller gets when a budget is used up.
package enum OnExhausted: String, Sendable, CaseIterable {
    /// The SLM goes on alone.
    case degrade
    /// 429 before the first byte; later the SLM goes on alone.
    case reject
}

/// How the tokens of a budget are held by the gateways.
package enum HoldingMode: String, Sendable, CaseIterable {
    /// In leases: after a crash at most the dead gateway's leases are charged for nothing.
    case leased
    /// Each call is made durable before it begins: after a crash at most the calls in flight are.
    case strict
}

/// A budget or a rate limit, as an operator set it.
package struct BudgetDefinition: Sendable, Equatable {
    package let id: UUID7
    package let tenant: UUID7
    /// The API key that it is for; nil when it is for the tenant as a whole.
    package let key: UUID7?
    package let name: String
    package let resource: Resource
    package let counts: CountedTokens
    package let window: BudgetWindow
    /// Tokens, requests, or requests at a time.
    package let amount: Int
    package let onExhausted: OnExhausted
    /// Whether a call may be granted less than it asked for.
    package let clamps: Bool
    package let mode: HoldingMode

    package init(
        id: UUID7, tenant: UUID7, key: UUID7?, name: String, resource: Resource, counts: CountedTokens,
        window: BudgetWindow, amount: Int, onExhausted: OnExhausted, clamps: Bool, mode: HoldingMode
    ) {
        self.id = id
        self.tenant = tenant
        self.key = key
        self.name = name
        self.resource = resource
        self.counts = counts
        self.window = window
        self.amount = amount
        self.onExhausted = onExhausted
        self.clamps = clamps
        self.mode = mode
    }
}

/// What a lease pays for one attempt at a segment: one row of the table `charges`.
package struct ChargeRecord: Sendable, Equatable {
    package var lease: UUID7
    package var budget: UUID7
    /// Tokens that were reserved for the attempt.
    package var reserved: Int
    /// Tokens that it really used.
    package var charged: Int
    /// Tokens used beyond the reservation, because a server sent more than it was asked for.
    package var overrun: Int { max(0, charged - reserved) }

    package init(lease: UUID7, budget: UUID7, reserved: Int, charged: Int) {
        self.lease = lease
        self.budget = budget
        self.reserved = reserved
        self.charged = charged
    }
}

/// How a budget of a caller stands, as far as this gateway knows: for the headers of a response.
package struct BudgetStanding: Sendable, Equatable {
    package let name: String
    package let resource: Resource
    package let amount: Int
    /// What is left in the pool and in this gateway's lease, as of the last answer of the database; nil before one.
    package let remaining: Int?
    /// Time until the window begins again; nil when it never does, or is not known yet.
    package let resetsIn: Duration?

    package init(name: String, resource: Resource, amount: Int, remaining: Int?, resetsIn: Duration?) {
        self.name = name
        self.resource = resource
        self.amount = amount
        self.remaining = remaining
        self.resetsIn = resetsIn
    }
}
