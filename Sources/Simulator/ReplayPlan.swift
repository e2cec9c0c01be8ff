/// A policy that is followed request by request; the policies of a scenario are these or mixtures of them.
enum ReplayLeaf: Equatable {
    case asLogged, slmOnly, llmOnly
    case change(AnswerChange)
    case budgets([BudgetRule])
    case oracle
    case threshold(String, Double)
    /// Rates of the judge's errors in millionths.
    case cascade(falseAccept: Int, falseReject: Int)

    /// What sums of it are to be divided by: a cascade counts probabilities.
    var scale: Int128 {
        if case .cascade = self { return Int128(ReplayPlan.million) }
        return 1
    }

    var isOrdered: Bool {
        if case .budgets = self { return true }
        return false
    }

    /// Whether it is a choice between the answers of the two models alone.
    var isRouter: Bool {
        switch self {
        case .oracle, .threshold, .cascade: true
        case .asLogged, .slmOnly, .llmOnly, .change, .budgets: false
        }
    }
}

/// A scenario made ready.
struct ReplayPlan {
    static let million = 1_000_000

    let scenario: Scenario
    let leaves: [ReplayLeaf]
    let tables: [CostTable]
    /// The leaves that each policy of the scenario needs.
    let needs: [Set<Int>]
    /// Names of tags that requests are asked for.
    let tags: Set<String>
    let hasBudgets: Bool
    /// The tags that hold scores, of given thresholds and of those that are chosen.
    let scores: Set<String>
    /// Models that prices name, other than `slm` and `llm`, and tenants that budgets name: a name that is mistyped has
    /// no effect.
    let pricedModels: Set<String>
    let budgetTenants: Set<String>
    /// The scores that thresholds are chosen by, each once.
    let chosenScores: [String]
    /// For thresholds that are chosen, with its order.
    let train: TrainSplit
    /// The cost model that is money: the first with prices.
    let money: Int?
    /// What tenants' spend is counted in: money, or else what the trace recorded.
    let spendTable: Int?

    /// The places of what every comparison needs.
    static let asLogged = 0
    static let slmOnly = 1
    static let llmOnly = 2

    init(_ scenario: Scenario) throws(SimulationError) {
        try ReplayPlan.check(scenario)
        var leaves: [ReplayLeaf] = [.asLogged, .slmOnly, .llmOnly]
        for policy in scenario.policies { ReplayPlan.collect(policy.counterfactual, &leaves) }
        self.leaves = leaves
        needs = scenario.policies.map { policy in
            Set(ReplayPlan.needed(policy.counterfactual).compactMap { leaves.firstIndex(of: $0) })
        }
        self.scenario = scenario
        tables = scenario.costModels.map(CostTable.init)
        hasBudgets = leaves.contains(where: \.isOrdered)
        var tags = Set(scenario.selection.tags.map(\.key))
        if let group = scenario.groupTag { tags.insert(group) }
        if case .tag(let key) = scenario.cluster { tags.insert(key) }
        chosenScores = scenario.policies.reduce(into: []) { scores, policy in
            guard case .chosenThreshold(let score, _) = policy.counterfactual, !scores.contains(score) else { return }
            scores.append(score)
        }
        let given = leaves.compactMap { if case .threshold(let score, _) = $0 { score } else { nil } }
        scores = Set(given + chosenScores)
        pricedModels = Set(
            scenario.costModels.flatMap { model in
                if case .prices(let prices, _) = model.basis { prices.map(\.model) } else { [String]() }
            }
        ).subtracting(["slm", "llm"])
        budgetTenants = Set(scenario.policies.flatMap { $0.counterfactual.budgetTenants })
        tags.formUnion(scores)
        train = TrainSplit(share: scenario.train?.share ?? 0.5, order: scenario.train?.order ?? .time)
        money = tables.firstIndex { $0.matches(.money) }
        spendTable = money ?? tables.firstIndex(where: \.isRecorded)
        self.tags = tags
        try ReplayPlan.check(self)
    }

    /// The leaf that a policy is; nil for a mixture.
    static func leaf(_ policy: Counterfactual) -> ReplayLeaf? {
        switch policy {
        case .asLogged: .asLogged
        case .slmOnly: .slmOnly
        case .llmOnly: .llmOnly
        case .fixedLength(let tokens): .change(.fixed(tokens))
        case .capTokensPerCall(let tokens): .change(.callTokens(tokens))
        case .capCalls(let calls): .change(.calls(calls))
        case .capTokensPerRequest(let tokens): .change(.answerTokens(tokens))
        case .budgets(let rules): .budgets(rules)
        case .oracleRouter: .oracle
        case .thresholdRouter(let score, let threshold): .threshold(score, threshold)
        case .cascade(let accept, let reject):
            .cascade(falseAccept: millionths(accept), falseReject: millionths(reject))
        case .randomRouter, .randomRouterAtCost, .randomRouterAtAccuracy, .timeShared, .chosenThreshold: nil
        }
    }

    static func millionths(_ share: Double) -> Int {
        Int((min(max(share, 0), 1) * Double(million)).rounded())
    }

    private static func collect(_ policy: Counterfactual, _ leaves: inout [ReplayLeaf]) {
        if case .timeShared(let first, let second, _) = policy {
            collect(first, &leaves)
            collect(second, &leaves)
        }
        if let leaf = leaf(policy), !leaves.contains(leaf) { leaves.append(leaf) }
    }

    private static func needed(_ policy: Counterfactual) -> [ReplayLeaf] {
        switch policy {
        case .randomRouter, .randomRouterAtCost, .randomRouterAtAccuracy, .chosenThreshold: [.slmOnly, .llmOnly]
        case .timeShared(let first, let second, _): needed(first) + needed(second)
        default: leaf(policy).map { [$0] } ?? []
        }
    }

    // MARK: What cannot be asked

    /// Scores beyond which tables of them would take too much memory.
    private static let scoreLimit = 4

    /// What thresholds that are chosen need.
    private static func check(_ plan: ReplayPlan) throws(SimulationError) {
        guard !plan.chosenScores.isEmpty else {
            if plan.scenario.train != nil { throw Scenario.trainWithoutChoice }
            return
        }
        try plan.train.validate()
        guard plan.train.order != .file else {
            throw SimulationError(.scenario, "train.order", "must be time or random: requests of a trace have times")
        }
        guard plan.chosenScores.count <= scoreLimit else {
            throw SimulationError(
                .scenario, "policies", "choose thresholds by more than \(scoreLimit) scores: split the scenario")
        }
        for (index, policy) in plan.scenario.policies.enumerated() {
            guard case .chosenThreshold(_, let aim) = policy.counterfactual, aim.isCost, plan.money == nil else {
                continue
            }
            throw SimulationError(
                .scenario, "policies[\(index)]",
                "\(policy.name) needs prices: a cost model with the basis prices, or --price slm=IN/OUT and "
                    + "--price llm=IN/OUT")
        }
    }

    private static func check(_ scenario: Scenario) throws(SimulationError) {
        guard scenario.costModels.count <= 32 else {
            throw SimulationError(.scenario, "cost_models", "are more than 32: split the scenario")
        }
        guard scenario.policies.count <= 64 else {
            throw SimulationError(.scenario, "policies", "are more than 64: split the scenario")
        }
        for (index, policy) in scenario.policies.enumerated() {
            try check(policy.counterfactual, "policies[\(index)]")
        }
        for (index, model) in scenario.costModels.enumerated() {
            guard case .prices(let prices, _) = model.basis else { continue }
            // A larger price could make a sum overflow.
            let most = 1_000_000_000_000
            for price in prices {
                let all = [price.input, price.cachedInput ?? 0, price.cacheWrite ?? 0, price.output]
                guard all.allSatisfy({ (0...most).contains($0) }), (0...most * 1000).contains(price.request) else {
                    throw SimulationError(
                        .scenario, "cost_models[\(index)].prices",
                        "must be from 0 to 1,000,000 dollars for a million tokens and to 1,000 dollars a request")
                }
            }
        }
        let limits = scenario.relay
        guard limits.calls >= 0, limits.callTokens >= 1, limits.malformed >= 0, (limits.answerTokens ?? 1) >= 1,
            max(limits.calls, limits.malformed) <= 1_000_000,
            max(limits.callTokens, limits.answerTokens ?? 1) <= LoggedRequest.tokenLimit
        else {
            throw SimulationError(.scenario, "relay", "must have limits from 1, those of calls and malformed from 0")
        }
    }

    private static func check(_ policy: Counterfactual, _ field: String) throws(SimulationError) {
        func share(_ value: Double, _ member: String) throws(SimulationError) {
            guard (0...1).contains(value) else {
                throw SimulationError(.scenario, "\(field).\(member)", "must be from 0 to 1")
            }
        }
        switch policy {
        case .asLogged, .slmOnly, .llmOnly, .oracleRouter, .randomRouterAtCost, .randomRouterAtAccuracy: break
        case .randomRouter(let value): try share(value, "share")
        case .fixedLength(let count), .capTokensPerCall(let count):
            guard (1...LoggedRequest.tokenLimit).contains(count) else {
                throw SimulationError(.scenario, field, "must be a whole number of tokens from 1")
            }
        case .capCalls(let count), .capTokensPerRequest(let count):
            guard (0...LoggedRequest.tokenLimit).contains(count) else {
                throw SimulationError(.scenario, field, "must be a whole number from 0")
            }
        case .budgets(let rules):
            guard !rules.isEmpty, rules.allSatisfy({ $0.tokens >= 0 }) else {
                throw SimulationError(.scenario, field, "must name at least one budget, of 0 tokens or more")
            }
        case .timeShared(let first, let second, let value):
            try share(value, "share")
            try check(first, field + ".first")
            try check(second, field + ".second")
        case .thresholdRouter(_, let threshold):
            guard threshold.isFinite else { throw SimulationError(.scenario, field, "must have a finite threshold") }
        case .chosenThreshold(_, let aim):
            try aim.validate(field)
            guard !field.contains("].") else {
                throw SimulationError(
                    .scenario, field, "chooses its threshold, which cannot be time-shared: give a threshold with >=")
            }
        case .cascade(let accept, let reject):
            try share(accept, "false_accept")
            try share(reject, "false_reject")
        }
    }
}
