/// The share of requests that a random router has to send to the LLM to be right as often as a policy was:
/// p* = (accuracy − SLM) / (LLM − SLM), which is also the part of the gap that the policy recovers (PGR).
///
/// Shares outside 0 to 1 are results and are never clamped: no random router is so good, or so bad.
package enum PerformanceMatch: Sendable, Equatable {
    case matched(Number)
    /// No more often right than the SLM alone, the better model; holds p*, the share that a router gives the worse one.
    /// Giving it less of that is no reduction.
    case matchedByLoss(Number)
    /// More often right than the better model alone; holds p*, which is above 1 when that is the LLM.
    case aboveLLM(Number)
    /// Less often right than the worse model alone; holds p*, which is below 0 when that is the SLM.
    case belowSLM(Number)
    /// Both models are right equally often: every share gives the same accuracy.
    case undefined

    package init(accuracy: Number, slm: Number, llm: Number) {
        guard let share = (accuracy - slm).divided(by: llm - slm) else {
            self = .undefined
            return
        }
        let (worse, better) = slm < llm ? (slm, llm) : (llm, slm)
        self =
            accuracy > better
            ? .aboveLLM(share)
            : accuracy < worse ? .belowSLM(share) : slm < llm ? .matched(share) : .matchedByLoss(share)
    }

    /// p*, wherever it lies; nil when it is undefined.
    package var share: Number? {
        switch self {
        case .matched(let share), .matchedByLoss(let share), .aboveLLM(let share), .belowSLM(let share): share
        case .undefined: nil
        }
    }

    /// 1 − share of the LLM / p*: what the policy saves against the matched router. Nil without a matched router, with
    /// one that sends nothing, and where the LLM is the worse model.
    package func reduction(llmShare: Number) -> Number? {
        guard case .matched(let share) = self, let part = llmShare.divided(by: share) else { return nil }
        return .one - part
    }

    /// The case in words, as reports and JSON have it.
    package var status: String {
        switch self {
        case .matched: "ok"
        case .matchedByLoss: "llm_worse"
        case .aboveLLM: "no_solution_above_llm"
        case .belowSLM: "no_solution_below_slm"
        case .undefined: "undefined_equal_models"
        }
    }
}

/// A policy beside random routers between two models: resource-equivalent and performance-matched.
package struct RouterComparison: Sendable, Equatable {
    package let accuracy: Number
    package let slm: Number
    package let llm: Number
    /// The share that the policy gave the LLM, of whatever is matched; nil when it is not known.
    package let llmShare: Number?
    package let match: PerformanceMatch

    package init(accuracy: Number, slm: Number, llm: Number, llmShare: Number?) {
        self.accuracy = accuracy
        self.slm = slm
        self.llm = llm
        self.llmShare = llmShare
        match = PerformanceMatch(accuracy: accuracy, slm: slm, llm: llm)
    }

    /// SLM + share · (LLM − SLM).
    package var resourceEquivalent: Number? { llmShare.map { slm + $0 * (llm - slm) } }
    package var gain: Number? { resourceEquivalent.map { accuracy - $0 } }
    package var reduction: Number? { llmShare.flatMap { match.reduction(llmShare: $0) } }
}

/// What of one policy costs as much as another.
package enum MatchedCost {
    /// The request share p of a random router whose LLM generates the share ρ of all tokens, when answers have the
    /// mean lengths (or totals over the same requests) L_slm and L_llm: p = ρ·L_slm / (ρ·L_slm + (1−ρ)·L_llm).
    ///
    /// Nil when the answers of a model have no tokens: then the share of tokens is the same for every request share
    /// that has one.
    package static func requestShare(tokenShare: Number, slmTokens: Number, llmTokens: Number) -> Number? {
        guard slmTokens > .zero, llmTokens > .zero else { return nil }
        let weighted = tokenShare * slmTokens
        return weighted.divided(by: weighted + (.one - tokenShare) * llmTokens)
    }

    /// The inverse: ρ = p·L_llm / (p·L_llm + (1−p)·L_slm).
    package static func tokenShare(requestShare: Number, slmTokens: Number, llmTokens: Number) -> Number? {
        let weighted = requestShare * llmTokens
        return weighted.divided(by: weighted + (.one - requestShare) * slmTokens)
    }

    /// The request share at which a random router costs this much: (cost − SLM) / (LLM − SLM), unclamped. Nil when
    /// both models cost the same.
    package static func requestShare(cost: Number, slmCost: Number, llmCost: Number) -> Number? {
        (cost - slmCost).divided(by: llmCost - slmCost)
    }

    /// The share of requests served by the dearer of two policies that together have this cost; the rest is served
    /// by the cheaper one: λ = (cost − cheap) / (dear − cheap).
    package static func timeShare(cost: Number, cheap: Number, dear: Number) -> Number? {
        requestShare(cost: cost, slmCost: cheap, llmCost: dear)
    }
}
