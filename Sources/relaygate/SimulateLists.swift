internal import Arguments
internal import Simulator

/// The lists of requests that come with a simulation's report.
struct SimulateLists: Sendable {
    private let policies: [PolicyEntry]
    private let rerun: RequestList?
    private let budgets: RequestList?

    init(_ arguments: ParsedArguments, _ scenario: Scenario) throws(CommandExit) {
        policies = scenario.policies
        rerun = try arguments.text("rerun-list").map { (path) throws(CommandExit) in
            try RequestList(path, option: "rerun-list", columns: ["rerun_for"])
        }
        let path = arguments.text("budget-list")
        if path != nil, !policies.contains(where: { SimulateLists.isBudget($0) }) {
            throw .badUsage("--budget-list: needs a policy of budgets, such as --budget 50k/day")
        }
        budgets = try path.map { (path) throws(CommandExit) in
            try RequestList(path, option: "budget-list", columns: ["budget_policy", "answer"])
        }
    }

    private static func isBudget(_ entry: PolicyEntry) -> Bool {
        if case .budgets = entry.counterfactual { true } else { false }
    }

    /// Told of requests whose answers only a new run can tell, and the policies under which, by their places.
    var onRerun: (@Sendable (LoggedRequest, UInt64) throws -> Void)? {
        guard let rerun else { return nil }
        let names = policies.map(\.name)
        return { request, places in
            let wanted = names.indices.filter { places >> UInt64($0) & 1 == 1 }.map { names[$0] }
            rerun.add(request, [wanted.joined(separator: "; ")])
        }
    }

    /// Told of requests that budgets refuse or degrade, and the policies that do, by their places.
    var onBudget: (@Sendable (LoggedRequest, UInt64, BudgetAnswer) throws -> Void)? {
        guard let budgets else { return nil }
        let names = policies.map { SimulateLists.isBudget($0) ? $0.name : nil }
        return { request, places, answer in
            for (place, name) in names.enumerated() where places >> UInt64(place) & 1 == 1 {
                if let name { budgets.add(request, [name, answer.rawValue]) }
            }
        }
    }

    func finish() throws(CommandExit) {
        try rerun?.finish()
        try budgets?.finish()
    }
}
