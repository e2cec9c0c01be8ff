/// What a simulation says of one policy of its scenario.
struct PolicyAnswer {
    let name: String
    let counterfactual: Counterfactual
    /// Nil where it cannot be said, with the reason.
    var totals: PolicyTotals?
    /// Whether the totals are of the requests whose answers by both models are known, not of all.
    var isPaired = false
    /// The share of requests that a random router sends to the LLM.
    var share: Number?
    var match: PerformanceMatch?
    var note = ""
    /// Why its numbers are not exact.
    var reason = ""
    /// The leaf that it is; nil for a mixture.
    var leaf: Int?
}

extension TraceSimulation {
    /// The sums over all groups.
    var whole: GroupSums {
        var sum = emptyGroup
        for sums in groups.values { sum.merge(sums) }
        return sum
    }

    /// What every policy of the scenario comes to.
    func answers(_ sums: GroupSums) -> [PolicyAnswer] {
        plan.scenario.policies.compactMap { policy in
            // One that chooses its threshold has a section of its own.
            if case .chosenThreshold = policy.counterfactual { return nil }
            return answer(policy.name, policy.counterfactual, sums)
        }
    }

    func totals(_ leaf: Int, _ sums: GroupSums, paired: Bool) -> PolicyTotals {
        PolicyTotals(paired ? sums.paired[leaf] : sums.all[leaf], scale: plan.leaves[leaf].scale)
    }

    func answer(_ name: String, _ policy: Counterfactual, _ sums: GroupSums) -> PolicyAnswer {
        var answer = PolicyAnswer(name: name, counterfactual: policy)
        if let leaf = ReplayPlan.leaf(policy).flatMap({ plan.leaves.firstIndex(of: $0) }) {
            answer.leaf = leaf
            answer.totals = totals(leaf, sums, paired: false)
            answer.reason = plan.leaves[leaf].reason
            return answer
        }
        switch policy {
        case .randomRouter(let share):
            route(&answer, TraceSimulation.exact(share), sums)
        case .randomRouterAtCost(let quantity):
            answer.note = "matched: \(quantity.rawValue)"
            guard let share = matchedShare(quantity, sums) else {
                answer.note += "; \(unmatchedReason(quantity, sums))"
                return answer
            }
            route(&answer, share, sums)
        case .randomRouterAtAccuracy:
            guard let match = match(totals(ReplayPlan.asLogged, sums, paired: true), sums) else {
                answer.note = TraceSimulation.noPairs
                return answer
            }
            answer.match = match
            answer.note = "matched: accuracy; \(match.status)"
            guard let share = match.share else { return answer }
            route(&answer, share, sums)
        case .timeShared(let first, let second, let share):
            timeShare(&answer, (first, second), TraceSimulation.exact(share), sums)
        default: break
        }
        return answer
    }

    static let noPairs = "no request has a verdict and known answers of both models alone"

    /// A share as it was written: with at most nine decimals.
    static func exact(_ share: Double) -> Number {
        let billion = 1_000_000_000.0
        return Number.quotient(Int128((share * billion).rounded()), Int128(billion)) ?? .real(share)
    }

    private func route(_ answer: inout PolicyAnswer, _ share: Number, _ sums: GroupSums) {
        answer.isPaired = true
        answer.share = share
        guard sums.hasPairs else {
            answer.note = [answer.note, TraceSimulation.noPairs].filter { !$0.isEmpty }.joined(separator: "; ")
            return
        }
        guard (0...1).contains(share.double) else {
            answer.note += "; no router: the share is not from 0 to 1"
            return
        }
        let slm = totals(ReplayPlan.slmOnly, sums, paired: true)
        let llm = totals(ReplayPlan.llmOnly, sums, paired: true)
        answer.totals = PolicyTotals(llm, share, slm)
    }

    private func timeShare(
        _ answer: inout PolicyAnswer, _ policies: (Counterfactual, Counterfactual), _ share: Number, _ sums: GroupSums
    ) {
        var first = self.answer("", policies.0, sums)
        var second = self.answer("", policies.1, sums)
        if first.isPaired != second.isPaired {
            // Over the same requests, or the mixture means nothing.
            first.totals = pairedTotals(policies.0, sums)
            second.totals = pairedTotals(policies.1, sums)
        }
        answer.isPaired = first.isPaired || second.isPaired
        answer.reason = [first.reason, second.reason].filter { !$0.isEmpty }.joined(separator: "; ")
        answer.share = share
        guard let one = first.totals, let other = second.totals else {
            answer.note = "one of the two policies cannot be replayed on the same requests"
            return
        }
        answer.totals = PolicyTotals(one, share, other)
    }

    /// On the requests whose answers by both models are known; nil for budgets, which took all requests in their order.
    private func pairedTotals(_ policy: Counterfactual, _ sums: GroupSums) -> PolicyTotals? {
        if case .timeShared(let first, let second, let share) = policy {
            guard let one = pairedTotals(first, sums), let other = pairedTotals(second, sums) else { return nil }
            return PolicyTotals(one, TraceSimulation.exact(share), other)
        }
        guard let leaf = ReplayPlan.leaf(policy).flatMap({ plan.leaves.firstIndex(of: $0) }) else {
            return answer("", policy, sums).totals
        }
        return plan.leaves[leaf].isOrdered ? nil : totals(leaf, sums, paired: true)
    }

    // MARK: Matching

    /// Why no share of requests to the LLM spends what the log did.
    private func unmatchedReason(_ quantity: MatchedQuantity, _ sums: GroupSums) -> String {
        guard sums.hasPairs else { return TraceSimulation.noPairs }
        let isOfCosts = [.billedTokens, .money, .activatedParameters].contains(quantity)
        guard let index = plan.tables.firstIndex(where: { $0.matches(quantity) }) else {
            return isOfCosts ? "nothing counts it: \(quantity.remedy)" : "no share has it: \(quantity.remedy)"
        }
        let name = plan.tables[index].model.name
        let parts = [ReplayPlan.asLogged, ReplayPlan.slmOnly, ReplayPlan.llmOnly].map {
            totals($0, sums, paired: true)
        }
        let unpriced = parts.map { $0.unpriced[index] }.max() ?? 0
        if unpriced > 0 { return "\(name): \(unpricedReason(unpriced, index))" }
        guard parts.allSatisfy({ $0[cost: index].exact != nil }) else {
            return "\(name) is not exact: \(ReplayLeaf.unknownCache)"
        }
        return "no share has it: both models alone cost the same (\(name))"
    }

    /// How often a policy is right, against random routers, on the requests whose answers by both models are known.
    func match(_ policy: PolicyTotals, _ sums: GroupSums) -> PerformanceMatch? {
        guard let accuracy = policy.accuracy?.exact,
            let slm = totals(ReplayPlan.slmOnly, sums, paired: true).accuracy?.exact,
            let llm = totals(ReplayPlan.llmOnly, sums, paired: true).accuracy?.exact
        else { return nil }
        return PerformanceMatch(accuracy: accuracy, slm: slm, llm: llm)
    }

    /// The share of requests at which a random router spends as much of a quantity as the log did.
    func matchedShare(_ quantity: MatchedQuantity, _ sums: GroupSums) -> Number? {
        matchedShare(quantity, totals(ReplayPlan.asLogged, sums, paired: true), sums)
    }

    func matchedShare(_ quantity: MatchedQuantity, _ policy: PolicyTotals, _ sums: GroupSums) -> Number? {
        guard sums.hasPairs else { return nil }
        let slm = totals(ReplayPlan.slmOnly, sums, paired: true)
        let llm = totals(ReplayPlan.llmOnly, sums, paired: true)
        func share(_ range: (PolicyTotals) -> PolicyTotals.Range) -> Number? {
            guard let spent = range(policy).exact, let least = range(slm).exact, let most = range(llm).exact else {
                return nil
            }
            return MatchedCost.requestShare(cost: spent, slmCost: least, llmCost: most)
        }
        switch quantity {
        case .llmTokens:
            // Of no tokens there is no share.
            guard let ratio = policy.callRatio.exact, policy.generated.exact != .zero,
                let weak = slm[.slmTokens].exact, let strong = llm[.llmTokens].exact
            else { return nil }
            return MatchedCost.requestShare(tokenShare: ratio, slmTokens: weak, llmTokens: strong)
        case .generatedTokens: return share(\.generated)
        case .requests: return policy.requestShare?.exact
        case .billedTokens, .money, .activatedParameters:
            guard let index = plan.tables.firstIndex(where: { $0.matches(quantity) }),
                [policy, slm, llm].allSatisfy({ $0.unpriced[index] == 0 })
            else { return nil }
            return share { $0[cost: index] }
        }
    }
}

extension MatchedQuantity {
    /// What to give, or what is missing, where no share of requests matches it.
    fileprivate var remedy: String {
        switch self {
        case .llmTokens: "the log, or one of the models alone, generated nothing"
        case .generatedTokens: "both models alone generated the same"
        case .requests: "no request asked a model"
        case .billedTokens: "give a cost model with the basis billed_tokens"
        case .money: "give prices: --price slm=IN/OUT and --price llm=IN/OUT, or a cost model with the basis prices"
        case .activatedParameters: "give --parameters SLM/LLM, or a cost model with the basis parameters"
        }
    }
}

extension CostTable {
    /// Whether this is what is matched by a quantity.
    func matches(_ quantity: MatchedQuantity) -> Bool {
        switch (quantity, model.basis) {
        case (.billedTokens, .billedTokens), (.money, .prices), (.activatedParameters, .parameters): true
        default: false
        }
    }
}

extension ReplayLeaf {
    static let unknownCache = "a server did not say how much came from its cache"

    /// Why its numbers are not exact, where they are not.
    var reason: String {
        switch self {
        case .asLogged: ReplayLeaf.unknownCache
        case .slmOnly, .llmOnly: "the answer of this model alone was not run for all requests"
        case .change(.callTokens): "what follows a call that is cut was never written"
        case .change(.calls): "what the SLM writes instead of a call that is forbidden was never written"
        case .change(.answerTokens): "what follows a call that is cut or refused was never written"
        case .change(.fixed): "what follows a call of another length was never written"
        case .budgets: "what follows a call that a budget cuts or refuses was never written"
        case .oracle, .threshold, .cascade: "the answers of both models alone were not run for all requests"
        }
    }
}
