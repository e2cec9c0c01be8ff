/// A router that uses one model only (arXiv:2602.03478).
enum RoutingCollapse {
    /// - Parameters:
    ///   - isLLM: which model has them all.
    ///   - request: what is counted, such as "held-out request".
    static func text(_ policy: String, isLLM: Bool, _ request: String = "request") -> String {
        "\(policy) sends \(isLLM ? "every" : "no") \(request) to the LLM: it is the \(isLLM ? "LLM" : "SLM") alone, under "
            + "another name (routing collapse)"
    }
}

extension Counterfactual {
    /// Whether each request is answered by one model or the other, or by one after the other: what changes a relay's
    /// calls is no router, even where no call is left.
    var choosesModel: Bool {
        switch self {
        case .slmOnly, .llmOnly, .randomRouter, .randomRouterAtCost, .randomRouterAtAccuracy, .oracleRouter,
            .thresholdRouter, .chosenThreshold, .cascade:
            true
        case .timeShared(let first, let second, _): first.choosesModel && second.choosesModel
        case .asLogged, .fixedLength, .capTokensPerCall, .capCalls, .capTokensPerRequest, .budgets: false
        }
    }
}
