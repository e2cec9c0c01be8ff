/// The share of an answer's tokens that the LLM wrote: LLM tokens / (SLM tokens + LLM tokens).
package enum CallRatio {
    /// In millionths, rounded half up; nil when nothing was generated or a count is negative.
    package static func millionths(slmTokens: Int, llmTokens: Int) -> Int? {
        let all = Int128(slmTokens) + Int128(llmTokens)
        guard slmTokens >= 0, llmTokens >= 0, all > 0 else { return nil }
        return Int((Int128(llmTokens) * 2_000_000 + all) / (2 * all))
    }
}
