import Accounting

/// A book and a clock that a test turns. What the book wants done is told as text, so that a test reads as a
/// transcript:
/// `grant 0.1 of b2: needs [10]` is the operation with number 1 of lease 0.
struct BookScript {
    var book: LeaseBook
    /// Microseconds.
    var now: Int64 = 0
    /// What was granted to each ask, and how it was settled.
    var holds: [UInt64: [Hold]] = [:]
    var charges: [UInt64: [ChargeRecord]] = [:]

    /// A gateway that the database knows since 0, with these budgets.
    init(_ definitions: BudgetDefinition...) {
        let ids = Numbering()
        book = LeaseBook { ids.next() }
        book.define(definitions, now: 0)
        book.renewed(sent: 0, now: 0)
    }

    // MARK: Callers

    /// Asks; the verdict as text, nil when the ask waits.
    mutating func reserve(_ ask: UInt64, _ purpose: ReservationAsk.Purpose, key: Int = 0) -> String? {
        let segment = SegmentKey(request: id(Int(ask)), choice: 0, sequence: 0, attempt: 0)
        let verdict = book.reserve(
            ReservationAsk(tenant: id(0), key: id(key), purpose: purpose, segment: segment), id: ask, now: now)
        if case .granted(_, let parts) = verdict { holds[ask] = parts }
        return verdict?.text
    }

    mutating func call(_ ask: UInt64, _ tokens: Int, smallest: Int = 1, prompt: Int = 0, key: Int = 0) -> String? {
        reserve(ask, .call(tokens: tokens, smallest: smallest, prompt: prompt), key: key)
    }

    mutating func settle(_ ask: UInt64, _ used: Int...) {
        charges[ask] = book.settle(holds.removeValue(forKey: ask) ?? [], used: used, now: now)
    }

    mutating func abandon(_ ask: UInt64) { book.abandon(holds.removeValue(forKey: ask) ?? []) }

    /// The ledger has written the charges of a call.
    mutating func confirm(_ ask: UInt64) { book.confirm(charges[ask] ?? [], tenant: id(0)) }

    // MARK: The database

    mutating func granted(
        _ lease: Int, _ budget: Int, _ tokens: Int, _ state: LeaseBook.GrantAnswer.State = .granted, left: Int64? = nil,
        pool: Int = 0
    ) {
        let answer = LeaseBook.GrantAnswer(
            state: state, tokens: tokens, windowLeft: left, pool: pool, leasedElsewhere: 0)
        book.granted(answer, lease: id(lease), budget: id(budget), tenant: id(0), sent: now, now: now)
    }

    mutating func gaveBack(_ lease: Int, _ budget: Int, isDone: Bool = true) {
        book.gaveBack(lease: id(lease), budget: id(budget), tenant: id(0), isDone: isDone, now: now)
    }

    mutating func failed(_ lease: Int, _ budget: Int) {
        book.failed(lease: id(lease), budget: id(budget), tenant: id(0), now: now)
    }

    // MARK: The clock

    mutating func tick(at time: Int64) {
        now = time
        book.tick(now: now)
    }

    /// What the book wants done since the last time.
    mutating func actions() -> [String] {
        book.takeActions().map { action in
            if case .answer(let ask, .granted(_, let parts)) = action { holds[ask] = parts }
            return action.text
        }
    }

    /// A lease's counts: `free + reserved + spent + lost + returned = granted`.
    func counts(_ lease: Int) -> String {
        guard let lease = book.leases.first(where: { $0.lease.id == id(lease) })?.lease else { return "closed" }
        let (free, reserved, spent) = (lease.available, lease.reserved, lease.spent)
        return "\(free) + \(reserved) + \(spent) + \(lease.lost) + \(lease.returned) = \(lease.granted)"
            + (lease.isBalanced ? "" : ", which is wrong")
    }
}

extension LeaseBook.Action {
    var text: String {
        switch self {
        case .grant(let grant):
            "grant \(grant.lease.low).\(grant.sequence) of b\(grant.budget.low): needs \(grant.needs)"
                + (grant.spare > 0 ? ", spare \(grant.spare)" : "") + (grant.mode == .strict ? ", strict" : "")
                + (grant.isRepeat ? ", again" : "")
        case .giveBack(let lease, let sequence, _, let budget, let tokens, let closes, let used, let lost):
            "return \(lease.low).\(sequence) of b\(budget.low): \(tokens)" + (used > 0 ? ", used \(used)" : "")
                + (lost > 0 ? ", lost \(lost)" : "") + (closes ? ", closes" : "")
        case .answer(let ask, let verdict): "answer \(ask): \(verdict.text)"
        }
    }
}

extension LeaseBook.Verdict {
    var text: String {
        switch self {
        case .granted(let tokens, let holds):
            holds.isEmpty
                ? "granted \(tokens) of nothing"
                : "granted \(tokens): " + holds.map { "\($0.tokens) of b\($0.budget.low)" }.joined(separator: ", ")
        case .refused(let refusal):
            refusal.reason == .exhausted ? "\(refusal.budget?.name ?? "nothing") is exhausted" : "unavailable"
        }
    }
}

/// A quarter of a second, in microseconds: the time between ticks.
let quarter: Int64 = 250_000
let second: Int64 = 1_000_000
