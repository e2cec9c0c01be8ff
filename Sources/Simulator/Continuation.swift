/// The most that can follow behind the place where an answer leaves what was logged.
struct Continuation {
    /// Commands in turns in which they are forbidden, after which an answer ends (rule T4).
    private static let forbiddenTurns = 3

    let calls: Int
    let llmTokens: Int128
    /// SLM generations.
    let turns: Int
    /// Those that break off again where the log has it, and are gone on with by another server.
    let retries: Int
    let slmTokens: Int128
    /// The longest prompt of each generation, by role.
    let slmInput: Int128
    let llmInput: Int128

    /// - Parameters:
    ///   - range: the segments of the answer; empty where nobody wrote it.
    init(_ cut: AnswerCut, _ range: Range<Int>, _ replay: RequestReplay) {
        let segments = replay.request.segments
        let limits = replay.limits
        let before = segments[range.lowerBound..<max(range.lowerBound, cut.end)]
        let called = cut.call?.tokens ?? .zero
        let visible = before.reduce(0) { $0 + $1.visibleTokens }
        let left = limits.answerTokens.map { max(0, Int128($0) - Int128(visible) - called.low) }
        // Without a limit of tokens the SLM may go on for ever; with it every generation has at most what is left.
        calls = left == 0 ? 0 : max(0, cut.calls)
        llmTokens = min(Int128(calls) * Int128(cut.callTokens), Int128(cut.restTokens), left ?? Extent.open)
        // Each call, each malformed command but the last and each forbidden one is followed by another generation.
        turns = left == 0 ? 0 : calls + (cut.isForbidden ? 0 : limits.malformed + 1) + Continuation.forbiddenTurns
        retries = (max(range.lowerBound, cut.end)..<range.upperBound).count { index in
            segments[index].role == .slm && replay.request.isTriedAgain(index)
        }
        let generations = Int128(turns)
        let written = left.map { $0 * generations } ?? Extent.open
        slmTokens = written
        // A prompt holds what was there at the cut and what came after it.
        func longest(_ role: LoggedSegment.Role, _ extra: Int128) -> Int128 {
            guard written < Extent.open else { return Extent.open }
            let last = before.last { $0.role == role && $0.inputTokens != nil }
            let known = last?.inputTokens ?? replay.request.promptTokens
            let since = last.map { last in before.drop { $0 != last } } ?? before
            let grown = since.reduce(0) { $0 + $1.tokens }
            return Int128(known) + Int128(grown) + called.high + extra
        }
        slmInput = longest(.slm, written + llmTokens)
        llmInput = longest(.llm, left ?? 0)
    }

    /// The most that it costs, from 0; nil without a price.
    func cost(_ table: CostTable, _ replay: RequestReplay, _ range: Range<Int>) -> Extent? {
        guard !table.isRecorded else { return Extent(0, turns == 0 && calls == 0 ? 0 : Extent.open) }
        var total = Extent.zero
        for (role, count, input, tokens) in [
            (LoggedSegment.Role.slm, turns == 0 ? 0 : turns + retries, slmInput, slmTokens),
            (.llm, calls, llmInput, llmTokens),
        ] where count > 0 {
            let name = replay.request.segments.last { $0.role == role }?.model
            guard let rates = table.rates(role, model: name, at: replay.request.arrived) else { return nil }
            let prompts = Extent(0, input) * (rates.highestInput * Int128(count))
            total += Extent(0, tokens) * rates.output + prompts + Extent(0, rates.request * Int128(count))
        }
        return total
    }
}
