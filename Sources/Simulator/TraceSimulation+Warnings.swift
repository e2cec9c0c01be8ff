/// What a reader must know before using the numbers.
extension TraceSimulation {
    func warnings(_ answers: [PolicyAnswer], _ sums: GroupSums) -> [String] {
        var warnings = emptySelections + coverageWarnings(sums)
        if let warning = clusterWarning { warnings.append(warning) }
        if let warning = tenantWarning(sums) { warnings.append(warning) }
        if judged > 0, judged < ReportWarnings.fewRequests {
            warnings.append("\(judged) verdicts: a difference of 3 points may be noise")
        } else if paired > 0, paired < ReportWarnings.fewRequests {
            warnings.append(
                "\(paired) requests with known answers of both models alone: a difference of 3 points may be noise")
        }
        for case .threshold(let score, _) in plan.leaves where met.scores.contains(score) {
            warnings.append(
                "thresholds on \(score) look better on the log that they were chosen on than on new requests; one that is "
                    + "chosen here, such as threshold:\(score)@share=0.3, is reported on requests that are held out")
        }
        if plan.money != nil {
            warnings.append("prices age: those of the cost models belong to the result")
        }
        return warnings + comparisonWarnings(answers, sums)
    }

    /// What intervals take for independent.
    private var clusterWarning: String? {
        // Intervals of held-out requests are by a formula.
        let hasIntervals = plan.scenario.replicates > 0 || !plan.chosenScores.isEmpty
        guard plan.scenario.cluster != .request else {
            guard hasIntervals, seen > outside else { return nil }
            return
                "intervals take requests as independent; set cluster to tenant or to a tag such as question if they are not"
        }
        return largestCluster.flatMap {
            ReportWarnings.largeCluster($0, by: clusterName, isFolded: clusters.isFolded)
        }
    }

    /// What segments say that cannot be so, or that the format has no word for.
    private var segmentWarnings: [String] {
        var warnings: [String] = []
        if log.overcached > 0 {
            warnings.append(
                "\(log.overcached) segments have more prompt tokens of a cache (cached_input_tokens, cache_write_tokens) "
                    + "than they read (input_tokens), as some servers report them: no more than were read are priced so"
            )
        }
        if log.otherEnds > 0 {
            warnings.append(
                "\(log.otherEnds) segments have a finish that is no word of the trace format; it is taken for a reason of "
                    + "the server's own, such as content_filter")
        }
        return warnings
    }

    /// What the data lack.
    private func coverageWarnings(_ sums: GroupSums) -> [String] {
        var warnings = segmentWarnings
        let requests = seen - outside
        if requests > 0, judged < requests {
            warnings.append(
                "\(requests - judged) of \(requests) requests have no verdict and are in no accuracy, though in tokens and "
                    + "costs; verdicts are seldom missing at random")
        }
        warnings += [
            measuredSLM.warning("SLM", "slm_only", "that it served, or relays without a command"),
            measuredLLM.warning("LLM", "llm_only", "that it served"),
        ].compactMap { $0 }
        for (index, table) in plan.tables.enumerated() {
            let missing = sums.all[ReplayPlan.asLogged].unpriced[index]
            guard missing > 0 else { continue }
            warnings.append("\(table.model.name): \(unpricedReason(missing, index)), so no total is given")
        }
        return warnings
    }

    /// Of money where all of it is known, else of LLM tokens.
    private func tenantWarning(_ sums: GroupSums) -> String? {
        let logged = totals(ReplayPlan.asLogged, sums, paired: false)
        let table = plan.spendTable.flatMap { index in
            logged.unpriced[index] == 0 && (logged[cost: index].exact ?? .zero) > .zero ? index : nil
        }
        return ReportWarnings.largeTenant(
            spend, isMoney: table != nil, of: "the spend (\(table.map { plan.tables[$0].model.name } ?? "LLM tokens"))",
            isClustered: plan.scenario.cluster == .tenant)
    }

    /// What comparisons of policies do not say.
    private func comparisonWarnings(_ answers: [PolicyAnswer], _ sums: GroupSums) -> [String] {
        var warnings: [String] = []
        let isUnknown =
            !plan.scenario.hasUsualPolicies
            && answers.contains { $0.totals.map { $0.replayable < $0.requests } ?? true }
        if judged > 0, paired == 0, !isExplored, isUnknown {
            warnings.append(
                "the log says nothing of what it did not do: without drawn policies (propensity) or shadow runs "
                    + "(counterfactual) accuracies of other policies are bounds")
        }
        for answer in answers {
            guard let isLLM = collapse(answer) else { continue }
            warnings.append(RoutingCollapse.text(answer.name, isLLM: isLLM))
        }
        if let warning = macroWarning { warnings.append(warning) }
        guard paired > 0 else { return warnings }
        let unmatched = answers.filter { answer in
            guard let leaf = answer.leaf, !plan.leaves[leaf].isOrdered else { return false }
            return match(totals(leaf, sums, paired: true), sums)?.hasNoSolution ?? false
        }
        if let warning = ReportWarnings.unmatched(unmatched.map(\.name)) { warnings.append(warning) }
        guard plan.scenario.matched == .llmTokens else { return warnings }
        warnings.append(
            "matched: llm_tokens counts what the LLM generates, which is not money: neither prompts nor the SLM's tokens are "
                + "in it")
        let slm = totals(ReplayPlan.slmOnly, sums, paired: true)[.slmTokens].exact
        let llm = totals(ReplayPlan.llmOnly, sums, paired: true)[.llmTokens].exact
        if let slm, let llm, slm != llm {
            warnings.append(
                "a share of requests is not a share of tokens: on the same requests the SLM's answers have "
                    + "\(Decimals.text(slm, decimals: 0)) tokens and the LLM's \(Decimals.text(llm, decimals: 0)), and tokens "
                    + "of different tokenizers are not one currency")
        }
        return warnings
    }

    /// Which model alone a router comes to that is called another: true for the LLM.
    private func collapse(_ answer: PolicyAnswer) -> Bool? {
        switch answer.counterfactual {
        // Who asks for these knows.
        case .slmOnly, .llmOnly, .randomRouter: return nil
        default: break
        }
        guard answer.counterfactual.choosesModel, let totals = answer.totals, totals.requests > 0 else { return nil }
        let isSLM = totals[.llmTokens].exact == .zero && totals[.reached].exact == .zero
        let isLLM = totals[.slmTokens].exact == .zero && totals[.reached].exact == .whole(Int128(totals.requests))
        return isSLM == isLLM ? nil : isLLM
    }

    private var macroWarning: String? {
        guard let name = plan.scenario.groupBy else { return nil }
        let order = groups.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        let logged = order.map { totals(ReplayPlan.asLogged, $0.value, paired: false) }
        return ReportWarnings.macro(
            "accuracy as logged, by \(name)", logged.map { (accuracy: $0.accuracy?.exact, requests: $0.judged) })
    }

    /// What the selection asked for and did not find: a name that is mistyped looks like one without traffic.
    private var emptySelections: [String] {
        let selection = plan.scenario.selection
        guard seen > outside else {
            let cause = selection == TraceSelection() ? "the source is empty" : "nothing fits the selection"
            return ["there are no requests: \(cause), so that nothing below says anything"]
        }
        let tenants = selection.tenants.filter { !met.tenants.contains($0) }
        let policies = selection.policies.filter { !met.policies.contains($0) }
        return tenants.map { "no request that was selected is of the tenant \($0)" }
            + policies.map { "no request that was selected was served under the policy \($0)" } + emptyNames
    }

    /// Tags and sources that no selected request has.
    private var emptyNames: [String] {
        var warnings: [String] = []
        if let tag = plan.scenario.groupTag, !met.hasGroup {
            warnings.append("no request that was selected has the tag \(tag) (group_by): all are in one group, (none)")
        }
        if case .tag(let tag) = plan.scenario.cluster, !met.hasCluster {
            warnings.append(
                "no request that was selected has the tag \(tag) (cluster): intervals take requests as independent")
        }
        if let source = plan.scenario.verdictSource, !met.hasVerdictSource {
            warnings.append(
                "no request that was selected has a verdict of the source \(source) (verdict_source): nothing is judged"
            )
        }
        for score in plan.scores.sorted() where !met.scores.contains(score) {
            warnings.append(
                met.tags.contains(score)
                    ? "no value of the tag \(score) is a number (threshold): no request has a score"
                    : "no request that was selected has the tag \(score) (threshold): no request has a score")
        }
        for model in plan.pricedModels.subtracting(met.pricedModels).sorted() {
            warnings.append("no request that was selected was served by the model \(model): its prices have no effect")
        }
        for tenant in plan.budgetTenants.subtracting(met.budgetTenants).sorted() {
            warnings.append("no request that was selected is of the tenant \(tenant): its budgets have no effect")
        }
        return warnings
    }
}
