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
