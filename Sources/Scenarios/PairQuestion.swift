package import Simulator

extension Scenario {
    /// What of a scenario can be asked of a pair table.
    ///
    /// - Parameter source: names the table in the report.
    /// - Throws: `SimulationError` that names what needs a trace.
    package func pairOptions(source: String) throws(SimulationError) -> PairOptions {
        var options = PairOptions(source: source)
        var shares: [Number] = []
        var judges: [PairOptions.Judge] = []
        for (index, entry) in policies.enumerated() {
            switch entry.counterfactual {
            // A pair table always has these.
            case .slmOnly, .llmOnly, .oracleRouter: continue
            case .randomRouter(let share): shares.append(Scenario.number(share))
            case .cascade(let accept, let reject):
                judges.append(.init(falseAccept: Scenario.number(accept), falseReject: Scenario.number(reject)))
            case .chosenThreshold(let column, let aim):
                options.chosen.append(.init(name: entry.name, column: column, aim: aim))
            case .thresholdRouter(let column, let threshold):
                if let place = options.scores.firstIndex(where: { $0.column == column }) {
                    options.scores[place].thresholds.append(threshold)
                } else {
                    options.scores.append(.init(column: column, thresholds: [threshold]))
                }
            default:
                throw SimulationError(
                    .scenario, "policies[\(index)]",
                    "\(entry.name) needs a trace: a pair table holds no calls. It answers slm, llm, oracle, random:SHARE, "
                        + "threshold:COLUMN>=NUMBER, threshold:COLUMN@AIM=NUMBER and cascade:ACCEPT/REJECT")
            }
        }
        if let train {
            guard !options.chosen.isEmpty else { throw Scenario.trainWithoutChoice }
            options.train = train
        }
        if !shares.isEmpty { options.shares = shares }
        if !judges.isEmpty {
            options.judges = judges
            options.hasUsualJudges = false
        }
        try refuseWhatNeedsATrace()
        options.prices = try pairPrices()
        options.groupBy = groupBy
        options.cluster = cluster
        options.bootstrap = Bootstrap(seed: seed, replicates: replicates)
        return options
    }

    /// What a pair table cannot answer is no question to it, rather than one without an effect.
    private func refuseWhatNeedsATrace() throws(SimulationError) {
        func refuse(_ field: String, _ reason: String) throws(SimulationError) {
            throw SimulationError(.scenario, field, "needs a trace: a pair table \(reason)")
        }
        if selection != TraceSelection() {
            try refuse("select", "cannot be filtered by times, tenants, tags or policies")
        }
        if matched != .llmTokens { try refuse("matched", "has no relay that a router could be matched with") }
        if verdictSource != nil { try refuse("verdict_source", "has one verdict of each model") }
        if relay != RelayLimits() { try refuse("relay", "holds no calls that these limits could bound") }
    }

    private func pairPrices() throws(SimulationError) -> PairPrices? {
        var found: PairPrices?
        for (index, model) in costModels.enumerated() {
            guard case .prices(let prices, let cache) = model.basis else {
                throw SimulationError(
                    .scenario, "cost_models[\(index)].basis", "must be prices: a pair table has no other costs")
            }
            guard prices.allSatisfy({ $0.cachedInput == nil && $0.cacheWrite == nil }),
                cache == .reported || cache == .none
            else {
                throw SimulationError(
                    .scenario, "cost_models[\(index)]",
                    "must have no cache and no price of one: a pair table counts no "
                        + "cached tokens")
            }
            guard found == nil else {
                throw SimulationError(.scenario, "cost_models[\(index)]", "is the second; a pair table takes one")
            }
            let slm = prices.filter { $0.model == "slm" }
            let llm = prices.filter { $0.model == "llm" }
            guard let small = slm.first, let large = llm.first, prices.count == 2 else {
                throw SimulationError(
                    .scenario, "cost_models[\(index)].prices", "must be one of the model slm and one of the model llm")
            }
            guard small.request == 0, large.request == 0 else {
                throw SimulationError(
                    .scenario, "cost_models[\(index)].prices", "must have no price of a request: a pair table has none")
            }
            found = PairPrices(
                slmInput: small.input, slmOutput: small.output, llmInput: large.input, llmOutput: large.output)
        }
        return found
    }

    /// A share as it was written: 0.1 is a tenth.
    private static func number(_ share: Double) -> Number { Decimals.number("\(share)") ?? .real(share) }
}
