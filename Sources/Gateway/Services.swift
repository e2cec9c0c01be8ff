package import Accounting
package import Reactor

/// Finds the tenant of a key.
package protocol KeyChecker: Sendable {
    /// The answer at once if it is known, else nil and later one call of `completion` on `target`.
    func lookup(
        _ presented: String, on target: EventLoop, _ completion: @escaping @Sendable (KeyResult) -> Void
    ) -> KeyResult?
    /// Whether keys can be checked now.
    var isReady: Bool { get }
}

/// Keeps the ledger.
package protocol RequestLedger: Sendable {
    /// No more requests may be admitted until what is queued has been written.
    var isFull: Bool { get }
    /// Whether finished requests lie on a local disk and not yet in the database.
    var isSpooling: Bool { get }
    /// Writes a request and its segments. `completion` is called on `loop` when they are durable, with `false` if they
    /// never will be, and with what the request cost.
    func append(
        _ record: RequestRecord, on loop: EventLoop,
        durable completion: @escaping @Sendable (_ isDurable: Bool, _ cost: RequestCost) -> Void)
    /// Counts a request of a known caller that was not admitted. `model` is empty when it is not one of the gateway's.
    func noteRefusal(tenant: UUID7, key: UUID7, model: String, code: String, at time: Timestamp)
}

/// Says what a tenant has used.
package protocol UsageReporter: Sendable {
    /// Answers a question about one tenant's usage, whatever its filters say. `completion` is called on `target`, once.
    func report(
        _ query: UsageQuery, tenant: UUID7, on target: EventLoop,
        _ completion: @escaping @Sendable (UsageAnswer) -> Void)
}

/// Keeps budgets and rates.
package protocol BudgetKeeper: Sendable {
    /// Reserves for a caller. The answer at once if no question to the database is needed, else nil and later one call
    /// of `completion` on `target`.
    func reserve(
        _ ask: ReservationAsk, on target: EventLoop,
        _ completion: @escaping @Sendable (consuming ReservationAnswer) -> Void
    ) -> ReservationAnswer?
    /// How the caller's budgets and rates stand, tightest first; empty without any.
    func standing(tenant: UUID7, key: UUID7) -> [BudgetStanding]
    /// The caller's budgets of LLM tokens whose `onExhausted` is `reject`, or any other, in force now.
    func budgets(tenant: UUID7, key: UUID7) -> [BudgetDefinition]
}

/// Keeps verdicts.
package protocol VerdictKeeper: Sendable {
    /// Writes verdicts of a tenant's requests. `completion` is called on `target`, once: with what became of
    /// each, in their order, or with nil when the database did not answer; then all may be sent
    /// again.
    func record(
        _ verdicts: [VerdictRecord], tenant: UUID7, on target: EventLoop,
        _ completion: @escaping @Sendable ([VerdictOutcome]?) -> Void)
}
