/// What is counted of a request under each policy.
enum Quantity: Int, CaseIterable {
    /// Millionths of a right answer; only of requests that were judged.
    case correct
    /// Calls of the LLM that were made; an answer that it writes alone is none.
    case calls
    /// 1 if the LLM wrote anything, or was to.
    case reached
    case llmTokens, slmTokens
    /// LLM tokens by all generated tokens of the request, in 10^-12.
    case callShare
    /// 1 if the request was refused whole.
    case refused
    /// 1 if a call was refused, or one was cut or forbidden by the policy.
    case degraded
    /// 1 if any token was generated; a request without has no call ratio.
    case answered

    static let shareScale: Int128 = 1_000_000_000_000
}

/// One request under one policy.
struct ReplayedRequest {
    /// By `Quantity`, then the cost models in their order.
    var values: [Extent]
    /// Cost models for which a price or a count is missing, by their bits.
    var unpriced: UInt64 = 0
    /// Whether everything follows from the log.
    var isReplayable = true

    init(costModels: Int) {
        values = Array(repeating: .zero, count: Quantity.allCases.count + costModels)
    }

    subscript(quantity: Quantity) -> Extent {
        get { values[quantity.rawValue] }
        set { values[quantity.rawValue] = newValue }
    }

    subscript(cost index: Int) -> Extent {
        get { values[Quantity.allCases.count + index] }
        set { values[Quantity.allCases.count + index] = newValue }
    }

    mutating func addCost(_ cost: Extent?, _ index: Int) {
        guard let cost else {
            unpriced |= 1 << UInt64(index)
            return
        }
        self[cost: index] += cost
    }

    /// Counts that follow from the others.
    mutating func close() {
        let llm = self[.llmTokens]
        let slm = self[.slmTokens]
        func share(_ part: Int128, _ rest: Int128) -> Int128 {
            part == 0 ? 0 : (part * Quantity.shareScale + (part + rest) / 2) / (part + rest)
        }
        let low = slm.isOpen ? 0 : share(llm.low, slm.high)
        let high = llm.isOpen ? Quantity.shareScale : share(llm.high, slm.low)
        self[.callShare] = Extent(low, high)
        self[.answered] = Extent(llm.low + slm.low > 0 ? 1 : 0, llm.high + slm.high > 0 ? 1 : 0)
    }
}
