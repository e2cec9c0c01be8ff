/// What the budgets of a policy do to one request.
package enum BudgetAnswer: String, Sendable {
    /// It is rejected whole.
    case refused
    /// A call of it is refused or cut.
    case degraded
    /// What was used before it is known between two bounds only.
    case perhapsRefused = "perhaps refused"
    case perhapsDegraded = "perhaps degraded"

    /// Nil when it is served as if there were no budget.
    init?(_ result: ReplayedRequest) {
        if result[.refused].low > 0 {
            self = .refused
        } else if result[.degraded].low > 0 {
            self = .degraded
        } else if result[.refused].high > 0 {
            self = .perhapsRefused
        } else if result[.degraded].high > 0 {
            self = .perhapsDegraded
        } else {
            return nil
        }
    }
}
