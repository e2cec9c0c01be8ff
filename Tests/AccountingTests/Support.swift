import Accounting
import Synchronization

/// Ids that count from 0, so that an id is also an index.
final class Numbering: Sendable {
    private let count = Atomic<UInt64>(0)

    func next() -> UUID7 { UUID7(high: 0, low: count.add(1, ordering: .relaxed).oldValue) }
}

/// A short id for tests.
func id(_ number: Int) -> UUID7 { UUID7(high: 0, low: UInt64(number)) }

extension BudgetDefinition {
    /// A budget of a test, with what most tests want.
    static func test(
        _ number: Int, tenant: Int = 0, key: Int? = nil, resource: Resource = .llmTokens,
        counts: CountedTokens = .generated, window: BudgetWindow = .day, amount: Int, clamps: Bool = true,
        mode: HoldingMode = .leased, onExhausted: OnExhausted = .degrade
    ) -> BudgetDefinition {
        BudgetDefinition(
            id: UUID7(high: 0, low: UInt64(number)), tenant: UUID7(high: 0, low: UInt64(tenant)),
            key: key.map { UUID7(high: 0, low: UInt64($0)) }, name: "b\(number)", resource: resource,
            counts: counts, window: window, amount: amount, onExhausted: onExhausted, clamps: clamps, mode: mode)
    }
}
