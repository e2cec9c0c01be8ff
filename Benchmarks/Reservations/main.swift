import Accounting
import Synchronization

// What a reservation costs in memory: taking one from a lease and settling it, as the gateway does it, under the lock
// that its loops share. The reference in the same run is that lock around a bare subtraction and addition.

let rounds = 2_000_000
let tenants = 1000

/// Nanoseconds of one call of `body`, over `rounds` of them.
func time(_ body: (Int) -> Void) -> Double {
    let clock = ContinuousClock()
    let spent = clock.measure { for round in 0..<rounds { body(round) } }
    return Double(spent.components.attoseconds) / 1e9 / Double(rounds) + Double(spent.components.seconds) * 1e9
        / Double(rounds)
}

/// Ids that differ; the benchmark needs no more.
func makeID(_ number: Int) -> UUID7 { UUID7(high: 0x7000, low: UInt64(number)) }

/// A book in which every tenant has so many budgets, each with a lease that does not run out.
func makeBook(budgets: Int) -> LeaseBook {
    let count = Atomic<Int>(1_000_000)
    var book = LeaseBook(makeID: { makeID(count.wrappingAdd(1, ordering: .relaxed).newValue) })
    book.renewed(sent: 0, now: 0)
    book.define(
        (0..<tenants * budgets).map { number in
            BudgetDefinition(
                id: makeID(number + 1), tenant: makeID(number % tenants + 1), key: nil, name: "b\(number)",
                resource: .llmTokens, counts: .generated, window: .fixed, amount: 1 << 50, onExhausted: .degrade,
                clamps: true, mode: .leased)
        }, now: 0)
    for tenant in 0..<tenants {
        _ = book.reserve(ask(tenant), id: UInt64(tenant), now: 0)
        var actions = book.takeActions()
        while !actions.isEmpty {
            for case .grant(let grant) in actions {
                let answer = LeaseBook.GrantAnswer(
                    state: .granted, tokens: 1 << 40, windowLeft: nil, pool: 1 << 50, leasedElsewhere: 0)
                book.granted(
                    answer, lease: grant.lease, budget: grant.budget, tenant: grant.tenant, sent: 0, now: 0)
            }
            actions = book.takeActions()
        }
    }
    return book
}

func ask(_ tenant: Int) -> ReservationAsk {
    ReservationAsk(
        tenant: makeID(tenant % tenants + 1), key: makeID(0), purpose: .call(tokens: 100, smallest: 1, prompt: 0))
}

/// A mutex cannot be captured by a closure; a class can.
final class Shared<Value: ~Copyable>: Sendable {
    let content: Mutex<Value>
    init(_ value: consuming sending Value) { content = Mutex(value) }
}

let counter = Shared(1 << 40)
let reference = time { round in
    counter.content.withLock { $0 -= 100 }
    counter.content.withLock { $0 += 100 - round % 100 }
}
print("reference: a lock around a subtraction, and one around an addition   \(Int(reference)) ns")
for budgets in [1, 2, 4] {
    let book = Shared(makeBook(budgets: budgets))
    let cost = time { round in
        let verdict = book.content.withLock { $0.reserve(ask(round), id: UInt64(round), now: 1) }
        guard case .granted(_, let holds)? = verdict, holds.count == budgets else { fatalError("nothing was reserved") }
        let charges = book.content.withLock { $0.settle(holds, used: holds.map { _ in round % 100 }, now: 1) }
        book.content.withLock { $0.confirm(charges, tenant: makeID(round % tenants + 1)) }
    }
    print(
        "reserve, settle and confirm, \(budgets) of \(tenants * budgets) budgets   \(Int(cost)) ns, "
            + "\(Int(1e9 / cost)) calls/s on one core, \(Int(cost / reference)) times the reference")
}
