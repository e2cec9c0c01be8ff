/// Intervals of the policies of a simulation, all from the same draws.
struct PolicyIntervals {
    private let sums: [Int128]
    private let width: Int
    private let bootstrap: Bootstrap
    private let what: String
    private let plan: ReplayPlan
    /// Why there are no intervals; nil when there are, and when none are asked for.
    let absence: String?

    init(_ simulation: TraceSimulation) {
        plan = simulation.plan
        let scenario = plan.scenario
        bootstrap = Bootstrap(seed: scenario.seed, replicates: scenario.replicates)
        width = simulation.clusters.width
        var clusters = ClusterSums(width: width)
        if scenario.replicates > 0 { for row in simulation.clusters.rows { clusters.append(row) } }
        sums = bootstrap.sums(clusters)
        let count = simulation.clusters.count
        let unit =
            switch scenario.cluster {
            case .request: "request"
            case .tenant: "tenant"
            case .tag(let key): key
            }
        absence = bootstrap.absence(clusters: count, name: unit)
        what = simulation.clusters.isFolded ? "\(unit), in \(ClusterTable.limit) random groups" : unit
    }

    func accuracy(_ answer: PolicyAnswer) -> Interval? {
        interval(answer) { PolicyIntervals.accuracy($0, $1, answer.isPaired) }
    }

    /// On the requests whose answers by both models alone are known.
    func pairedAccuracy(leaf: Int) -> Interval? {
        pairedAccuracy([(leaf, .one, plan.leaves[leaf].scale)])
    }

    /// The same of a random router.
    func pairedAccuracy(share: Number) -> Interval? {
        pairedAccuracy([(ReplayPlan.slmOnly, .one - share, 1), (ReplayPlan.llmOnly, share, 1)])
    }

    private func pairedAccuracy(_ part: Part) -> Interval? {
        bootstrap.interval(sums: sums, width: width, of: what) { PolicyIntervals.accuracy($0, part, true) }
    }

    /// What intervals beside random routers leave out.
    func matchedNotes(_ quantity: MatchedQuantity) -> [String] {
        guard bootstrap.replicates > 0, absence == nil else { return [] }
        let isOfTokens = quantity == .llmTokens || quantity == .generatedTokens
        return [
            "Intervals draw requests as those of accuracies do; one of p* or of the reduction is left out where it does "
                + "not exist in more than one draw of a hundred."
                + (isOfTokens ? "" : " Of \(quantity.rawValue) there are none of the gain and the reduction.")
        ]
    }

    /// Of what is said of a policy beside random routers.
    func paired(leaf: Int, _ statistic: (PairedDraw) -> Number?) -> Interval? {
        let scale = plan.leaves[leaf].scale
        return bootstrap.interval(sums: sums, width: width, of: what) { sums in
            PairedDraw(sums, leaf: leaf, scale: scale).flatMap(statistic)
        }
    }

    /// Of the difference from the log, on the same requests.
    func change(_ answer: PolicyAnswer) -> Interval? {
        guard !answer.isAsLogged else { return nil }
        return interval(answer) { sums, part in
            guard let own = PolicyIntervals.accuracy(sums, part, answer.isPaired),
                let logged = PolicyIntervals.accuracy(sums, [(ReplayPlan.asLogged, .one, 1)], answer.isPaired)
            else { return nil }
            return own - logged
        }
    }

    func callRatio(_ answer: PolicyAnswer) -> Interval? {
        interval(answer) { sums, part in
            var llm = Number.zero
            var slm = Number.zero
            for (leaf, share, scale) in part {
                let columns =
                    answer.isPaired
                    ? (ClusterColumn.pairedLLMTokens, ClusterColumn.pairedSLMTokens) : (.llmTokens, .slmTokens)
                llm = llm + share * .real(Double(sums[sums.startIndex + columns.0.column(leaf)]) / Double(scale))
                slm = slm + share * .real(Double(sums[sums.startIndex + columns.1.column(leaf)]) / Double(scale))
            }
            return llm.divided(by: llm + slm)
        }
    }

    private typealias Part = [(leaf: Int, share: Number, scale: Int128)]

    private static func accuracy(_ sums: ArraySlice<Int128>, _ part: Part, _ isPaired: Bool) -> Number? {
        var correct = 0.0
        var judged = 0.0
        for (leaf, share, scale) in part {
            let column = isPaired ? ClusterColumn.pairedCorrect : .correct
            correct += share.double * Double(sums[sums.startIndex + column.column(leaf)]) / Double(scale)
            judged = Double(sums[sums.startIndex + (isPaired ? ClusterColumn.pairs : .judged).column(leaf)])
        }
        return judged == 0 ? nil : .real(correct / judged / Double(ReplayPlan.million))
    }

    /// Policies that are leaves, or random routers between two.
    private func interval(
        _ answer: PolicyAnswer, _ statistic: (ArraySlice<Int128>, Part) -> Number?
    ) -> Interval? {
        guard answer.totals != nil else { return nil }
        let part: Part
        if let leaf = answer.leaf {
            part = [(leaf, .one, plan.leaves[leaf].scale)]
        } else if case .randomRouter = answer.counterfactual, let share = answer.share {
            part = [(ReplayPlan.slmOnly, .one - share, 1), (ReplayPlan.llmOnly, share, 1)]
        } else {
            return nil
        }
        return bootstrap.interval(sums: sums, width: width, of: what) { statistic($0, part) }
    }
}

/// A policy and both models alone, over drawn requests whose answers by both models alone are known.
struct PairedDraw {
    let accuracy: Number
    let slm: Number
    let llm: Number
    /// Of the policy, then of either model alone.
    let llmTokens: Number
    let slmTokens: Number
    let slmAlone: Number
    let llmAlone: Number

    /// Nil when no such request was drawn.
    init?(_ sums: ArraySlice<Int128>, leaf: Int, scale: Int128) {
        func value(_ column: ClusterColumn, _ leaf: Int) -> Double {
            Double(sums[sums.startIndex + column.column(leaf)])
        }
        let pairs = value(.pairs, leaf)
        guard pairs > 0 else { return nil }
        func accuracy(_ leaf: Int, _ scale: Int128) -> Number {
            .real(value(.pairedCorrect, leaf) / Double(scale) / pairs / Double(ReplayPlan.million))
        }
        self.accuracy = accuracy(leaf, scale)
        slm = accuracy(ReplayPlan.slmOnly, 1)
        llm = accuracy(ReplayPlan.llmOnly, 1)
        llmTokens = .real(value(.pairedLLMTokens, leaf) / Double(scale))
        slmTokens = .real(value(.pairedSLMTokens, leaf) / Double(scale))
        slmAlone = .real(value(.pairedSLMTokens, ReplayPlan.slmOnly))
        llmAlone = .real(value(.pairedLLMTokens, ReplayPlan.llmOnly))
    }

    var match: PerformanceMatch { PerformanceMatch(accuracy: accuracy, slm: slm, llm: llm) }

    private var callRatio: Number? { llmTokens.divided(by: llmTokens + slmTokens) }

    /// The share of requests to the LLM at which a random router spends as much. Clusters keep tokens and no costs: nil
    /// of other quantities.
    private func share(_ quantity: MatchedQuantity) -> Number? {
        switch quantity {
        case .llmTokens:
            callRatio.flatMap {
                MatchedCost.requestShare(tokenShare: $0, slmTokens: slmAlone, llmTokens: llmAlone)
            }
        case .generatedTokens:
            MatchedCost.requestShare(cost: llmTokens + slmTokens, slmCost: slmAlone, llmCost: llmAlone)
        case .billedTokens, .money, .activatedParameters, .requests: nil
        }
    }

    func gain(_ quantity: MatchedQuantity) -> Number? {
        share(quantity).map { accuracy - (slm + $0 * (llm - slm)) }
    }

    func reduction(_ quantity: MatchedQuantity) -> Number? {
        (quantity == .llmTokens ? callRatio : share(quantity)).flatMap { match.reduction(llmShare: $0) }
    }
}
