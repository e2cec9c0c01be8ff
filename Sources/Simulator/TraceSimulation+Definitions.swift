/// What the words of the report mean: only those that occur in it.
extension TraceSimulation {
    func definitions(_ sections: [Section]) -> [Report.Definition] {
        TraceSimulation.basics + CallRatios.definitions + routerDefinitions(sections)
            + TraceSimulation.estimators(sections)
    }

    private static let basics = [
        Report.Definition(
            "replayable", "everything about the request under the policy follows from the log or was measured"),
        Report.Definition(
            "same draws",
            "a model that is shown the same text writes the same tokens, whatever the limit (prefix property); "
                + "forbidding commands changes nothing where none would be written; failures and departures happen "
                + "at the same places. Bounds rest on this and on the relay's limits"),
        Report.Definition(
            "accuracy", "of the requests with a verdict; of what was never written nothing is assumed (Manski)"),
        Report.Definition(
            "cap per request", "on the calls of one answer together; an answer of the LLM alone is no call"),
        Report.Definition(
            "degraded", "requests in which a call was refused, or was cut or forbidden by the policy"),
        Report.Definition(
            "answers that were not logged", "are priced with the prompt_tokens of the request as their prompt"),
        Report.Definition("verdict of several answers", "their mean, to the millionth"),
    ]

    private func routerDefinitions(_ sections: [Section]) -> [Report.Definition] {
        let isCompared = sections.contains { $0.name == "matched" }
        let policies = plan.scenario.policies.flatMap(\.counterfactual.parts)
        let isMatched = policies.contains { if case .randomRouterAtCost = $0 { true } else { false } }
        let isRandom = policies.contains {
            switch $0 {
            case .randomRouter, .randomRouterAtAccuracy: true
            default: false
            }
        }
        var definitions: [Report.Definition] = []
        if isCompared || isMatched || isRandom { definitions.append(MetricDefinitions.randomRouter) }
        if isCompared || isMatched { definitions.append(MetricDefinitions.matchedCost) }
        if isCompared {
            definitions += [MetricDefinitions.gain, MetricDefinitions.matched, MetricDefinitions.reduction]
        }
        if sections.contains(where: { $0.name == "quality" }) { definitions.append(MetricDefinitions.hull) }
        if sections.contains(where: { $0.name == "router_scores" }) { definitions += MetricDefinitions.routerScores }
        if sections.contains(where: { $0.name == "held_out" }) { definitions += MetricDefinitions.chosenThreshold }
        return definitions
    }

    private static func estimators(_ sections: [Section]) -> [Report.Definition] {
        guard let rows = sections.first(where: { $0.name == "off_policy" })?.table?.rows else { return [] }
        return MetricDefinitions.estimators.filter { word in
            rows.contains { $0.count > 1 && $0[1] == .text(word.term) }
        } + [MetricDefinitions.effectiveSample, MetricDefinitions.largestWeight, MetricDefinitions.meanWeight]
    }
}

extension Counterfactual {
    /// The policy, or those that share the requests.
    fileprivate var parts: [Counterfactual] {
        if case .timeShared(let first, let second, _) = self { return first.parts + second.parts }
        return [self]
    }
}
