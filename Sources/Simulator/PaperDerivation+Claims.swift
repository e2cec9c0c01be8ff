/// What the text says, and how benchmarks are averaged.
extension PaperDerivation {
    /// The number that a claim is about, in the claim's unit; nil for a claim that has no rule here.
    package func derived(_ claim: PaperData.Claim) throws(SimulationError) -> Number? {
        let hundred = Number.whole(100)
        let comparison = try comparison(relay)
        switch claim.name {
        case "gain_over_resource_equivalent": return comparison.gain
        case "reduction_against_matched": return comparison.reduction.map { $0 * hundred }
        case "gap_recovered": return comparison.match.share.map { $0 * hundred }
        case "minerva_improvement":
            let minerva = try self.comparison(data.system("0.6B RelayLLM-Difficulty"), benchmark: 0)
            return minerva.accuracy.divided(by: minerva.slm).map { ($0 - .one) * hundred }
        case "token_overhead": return relay.callRatio.map { $0 * hundred }
        case "filtering_multiple":
            return data.ablations.first { $0.name == "w/o data filtering" }.flatMap(callRatioMultiple)
        case "fixed_500_multiple": return callRatioMultiple(try data.system("1.7B Fixed-500"))
        default: return nil
        }
    }

    /// A call ratio over RelayLLM's.
    package func callRatioMultiple(_ system: PaperData.System) -> Number? {
        guard let own = system.callRatio, let ratio = relay.callRatio else { return nil }
        return own.divided(by: ratio)
    }

    package struct Aggregation: Sendable, Equatable {
        package let name: String
        package let match: PerformanceMatch
        package let reduction: Number?
    }

    /// p* of RelayLLM by different ways to average the benchmarks.
    package func aggregations() throws(SimulationError) -> [Aggregation] {
        let (questions, answers) = (data.benchmarks.map(\.questions), data.benchmarks.map(\.answers))
        var shares: [Number] = []
        for index in data.benchmarks.indices {
            if let share = try comparison(relay, benchmark: index).match.share { shares.append(share) }
        }
        let matches: [(String, PerformanceMatch)] = [
            ("published averages", try comparison(relay).match),
            ("means of the rows, not rounded", try match(relay, weights: data.benchmarks.map { _ in 1 })),
            ("mean of the six p*", .matched(mean(shares))),
            ("weighted by questions", try match(relay, weights: questions)),
            ("weighted by answers", try match(relay, weights: answers)),
        ]
        return matches.map { name, match in
            Aggregation(
                name: name, match: match, reduction: relay.callRatio.flatMap { match.reduction(llmShare: $0) })
        }
    }
}
