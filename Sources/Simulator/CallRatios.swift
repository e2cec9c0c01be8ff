/// The four quotients that are called "call ratio", from the same responses. Values of parts can be merged.
package struct CallRatios: Sendable, Equatable {
    /// The most tokens of one call that RelayLLM's reward counts.
    package static let requestedLimit = 4096
    /// Ratios of single responses are summed in units of 10^-18, so that the order of responses is not seen.
    static let scale: Int128 = 1_000_000_000_000_000_000

    package private(set) var responses = 0
    /// Responses without a token; they have no ratio and are left out of the two means.
    package private(set) var empty = 0
    package private(set) var called = 0
    package private(set) var llmTokens: Int128 = 0
    package private(set) var slmTokens: Int128 = 0
    private var ratios: Int128 = 0
    private var requestedRatios: Int128 = 0

    package init() {}

    /// Adds a response.
    ///
    /// - Parameters:
    ///   - slmTokens: those of commands included.
    ///   - requested: the sum over its calls of min(n, `requestedLimit`).
    package mutating func add(llmTokens: Int, slmTokens: Int, requested: Int) {
        let (llm, slm, asked) = (max(0, llmTokens), max(0, slmTokens), max(0, requested))
        responses += 1
        self.llmTokens += Int128(llm)
        self.slmTokens += Int128(slm)
        if llm > 0 { called += 1 }
        let length = Int128(llm) + Int128(slm)
        guard length > 0 else {
            empty += 1
            return
        }
        ratios += CallRatios.scaled(Int128(llm), length)
        requestedRatios += min(CallRatios.scale, CallRatios.scaled(Int128(asked), length))
    }

    package mutating func merge(_ other: CallRatios) {
        responses += other.responses
        empty += other.empty
        called += other.called
        llmTokens += other.llmTokens
        slmTokens += other.slmTokens
        ratios += other.ratios
        requestedRatios += other.requestedRatios
    }

    /// Σ LLM tokens / Σ tokens: the paper's call ratio as its evaluation computes it.
    package var pooled: Number? { Number.quotient(llmTokens, llmTokens + slmTokens) }
    /// The mean over responses of LLM tokens / tokens: Co-LLM, CITER.
    package var meanOfRatios: Number? { mean(ratios) }
    /// The mean over responses of min(1, requested / tokens): RelayLLM's reward in training.
    package var requestedOverLength: Number? { mean(requestedRatios) }
    /// The part of the responses to which the LLM wrote a token: RouteLLM.
    package var requestShare: Number? { Number.quotient(called, responses) }

    private func mean(_ sum: Int128) -> Number? {
        let count = Int128(responses - empty)
        return count == 0 ? nil : Number.quotient(sum, count)?.divided(by: .whole(CallRatios.scale))
    }

    /// The ratio in units of 10^-18, half rounded up; 64 bits times 60 fit.
    private static func scaled(_ numerator: Int128, _ denominator: Int128) -> Int128 {
        let (quotient, rest) = (numerator * scale).quotientAndRemainder(dividingBy: denominator)
        return quotient + (rest >= denominator - rest ? 1 : 0)
    }

    package static let definitions = [
        Report.Definition(
            "call ratio, pooled", "Σ LLM tokens / Σ tokens of all responses (paper, 3.2.3; its evaluation)"),
        Report.Definition(
            "call ratio, mean of ratios", "mean over responses of LLM tokens / tokens (Co-LLM, CITER)"),
        Report.Definition(
            "call ratio, requested",
            "mean over responses of min(1, Σ min(n, 4096) over its calls / tokens) (RelayLLM's reward)"),
        Report.Definition(
            "call ratio, request share", "responses with at least one LLM token / responses (RouteLLM)"),
    ]
}
