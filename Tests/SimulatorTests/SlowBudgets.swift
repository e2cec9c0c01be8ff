@testable import Simulator

/// Budgets, one request after the other, by searching all that was used before.
struct SlowBudgets {
    private struct Use {
        var rule: Int
        var tenant: String
        var window: String
        var tokens: Int
    }

    let rules: [BudgetRule]
    private var uses: [Use] = []

    init(_ rules: [BudgetRule]) { self.rules = rules }

    /// The window of a moment in words, which only equality is asked of.
    private static func window(_ window: BudgetRule.Window, _ microseconds: Int64) -> String {
        var days = microseconds / 86_400_000_000
        let hour = microseconds / 3_600_000_000 % 24
        switch window {
        case .hour: return "day \(days), hour \(hour)"
        case .day: return "day \(days)"
        case .total: return ""
        case .month:
            var year = 1970
            while true {
                let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
                for (month, length) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].enumerated() {
                    if days < length { return "year \(year), month \(month)" }
                    days -= Int64(length)
                }
                year += 1
            }
        }
    }

    /// Serves the next request.
    ///
    /// - Parameters:
    ///   - left: runs its answers when so many LLM tokens are left.
    mutating func serve(tenant: String, at microseconds: Int64, _ run: (_ left: Int) -> SlowTotals) -> SlowTotals {
        var left = Int.max
        var isRejected = false
        for (index, rule) in rules.enumerated() where rule.tenant == nil || rule.tenant == tenant {
            let name = SlowBudgets.window(rule.window, microseconds)
            var rest = rule.tokens
            for use in uses where use.rule == index && use.tenant == tenant && use.window == name { rest -= use.tokens }
            left = min(left, rest)
            if rest <= 0, rule.onExhausted == .reject { isRejected = true }
        }
        let totals = isRejected ? SlowTotals.refusal : run(left)
        for (index, rule) in rules.enumerated() {
            uses.append(
                Use(
                    rule: index, tenant: tenant, window: SlowBudgets.window(rule.window, microseconds),
                    tokens: totals.llmTokens))
        }
        return totals
    }
}
