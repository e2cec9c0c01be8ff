/// Choices between the answers of the two models alone.
extension ReplayedRequest {
    /// One of the two, and nobody knows which.
    static func either(_ slm: ReplayedRequest, _ llm: ReplayedRequest) -> ReplayedRequest {
        var result = slm
        result.isReplayable = false
        result.unpriced |= llm.unpriced
        for index in result.values.indices {
            let (first, second) = (slm.values[index], llm.values[index])
            result.values[index] = Extent(min(first.low, second.low), max(first.high, second.high))
        }
        return result
    }

    /// The LLM where it alone is right, or more nearly right.
    static func oracle(_ slm: ReplayedRequest, _ llm: ReplayedRequest, isJudged: Bool) -> ReplayedRequest {
        let (weak, strong) = (slm[.correct], llm[.correct])
        if isJudged, strong.low > weak.high { return llm }
        // Nothing is more right than what is right.
        if isJudged, strong.high <= weak.low { return slm }
        var result = either(slm, llm)
        result[.correct] = Extent(max(weak.low, strong.low), max(weak.high, strong.high))
        return result
    }

    /// The SLM, and where a judge says wrong the LLM too; in expectation over the judge, in millionths of everything.
    ///
    /// A verdict between right and wrong is taken as the probability of right.
    static func cascade(
        _ slm: ReplayedRequest, _ llm: ReplayedRequest, falseAccept: Int, falseReject: Int, isJudged: Bool
    ) -> ReplayedRequest {
        let million = Int128(ReplayPlan.million)
        let (accept, reject) = (Int128(falseAccept), Int128(falseReject))
        func escalated(_ right: Int128) -> Int128 {
            (right * reject + (million - right) * (million - accept) + million / 2) / million
        }
        let weak = isJudged ? slm[.correct] : Extent(0, million)
        let ends = [escalated(weak.low), escalated(weak.high)]
        let share = Extent(min(ends[0], ends[1]), max(ends[0], ends[1]))
        // What is never asked for needs no upper end, and no price.
        let isAsked = share.high > 0
        func part(_ value: Extent) -> Extent {
            isAsked
                ? Extent(value.low * share.low, value.isOpen ? Extent.open : value.high * share.high) : .zero
        }
        var result = slm
        result.isReplayable = slm.isReplayable && share.isExact && (llm.isReplayable || !isAsked)
        if isAsked { result.unpriced |= llm.unpriced }
        for index in result.values.indices {
            result.values[index] = slm.values[index] * million + part(llm.values[index])
        }
        result[.reached] = share
        let generated = ReplayedRequest.escalation(slm, llm)
        result[.callShare] = part(generated)
        let (own, other) = (slm[.answered], part(llm[.answered]))
        result[.answered] = Extent(own.low > 0 ? million : other.low, own.high > 0 ? million : other.high)
        if !isJudged {
            result[.correct] = .zero
        } else if weak.isExact {
            result[.correct] = Extent(weak.low * (million - reject)) + part(llm[.correct])
        } else {
            result[.correct] = Extent(0, million * million)
        }
        return result
    }

    /// The share of the LLM's tokens where both models wrote.
    private static func escalation(_ slm: ReplayedRequest, _ llm: ReplayedRequest) -> Extent {
        var both = slm
        both[.llmTokens] = llm[.llmTokens]
        both.close()
        return both[.callShare]
    }
}
