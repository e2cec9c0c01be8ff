/// What is counted of the log alone.
struct LogSums: Equatable {
    /// Where in the answers the calls fall: tenths of the visible tokens.
    static let positions = 10
    /// The most tokens of one call that RelayLLM's reward counts.
    private static let requestedLimit = 4096

    var promptTokens: Int128 = 0
    var commandTokens: Int128 = 0
    var visibleTokens: Int128 = 0
    /// Requested LLM tokens by all generated ones, at most 1, in units of `Quantity.shareScale`.
    var requestedShare: Int128 = 0
    /// Requests without a token, which have no share.
    var empty: Int128 = 0
    /// Requests with at least one token of the LLM.
    var shared: Int128 = 0
    /// Segments of which more prompt tokens came from a cache, or were written to it, than were read.
    var overcached: Int128 = 0
    /// Segments that ended with a word of their server's own.
    var otherEnds: Int128 = 0
    var calls = [Int128](repeating: 0, count: LogSums.positions)
    var callTokens = [Int128](repeating: 0, count: LogSums.positions)

    mutating func add(_ request: LoggedRequest) {
        promptTokens += Int128(request.promptTokens)
        var asked = 0
        var generated = 0
        var written = 0
        var visible: [Int: Int] = [:]
        for (index, segment) in request.segments.enumerated() {
            commandTokens += Int128(segment.commandTokens)
            if segment.finish == .other { otherEnds += 1 }
            if let input = segment.inputTokens, max(segment.cachedTokens ?? 0, segment.cacheWriteTokens ?? 0) > input {
                overcached += 1
            }
            generated += segment.tokens
            if segment.role == .llm { written += segment.tokens }
            visible[segment.choice, default: 0] += segment.visibleTokens
            // What one command asked for counts once, however often the call was tried.
            if segment.role == .llm, !segment.finish.isRefused,
                segment.requested == nil || !request.isTriedAgain(index)
            {
                asked += min(segment.requested ?? segment.tokens, LogSums.requestedLimit)
            }
        }
        if written > 0 { shared += 1 }
        visibleTokens += visible.values.reduce(0) { $0 + Int128($1) }
        if generated == 0 {
            empty += 1
        } else {
            let share = (Int128(asked) * Quantity.shareScale + Int128(generated) / 2) / Int128(generated)
            requestedShare += min(Quantity.shareScale, share)
        }
        var before: [Int: Int] = [:]
        for (index, segment) in request.segments.enumerated() {
            let start = before[segment.choice] ?? 0
            before[segment.choice] = start + segment.visibleTokens
            guard segment.role == .llm, segment.requested != nil, !segment.finish.isRefused else { continue }
            let whole = max(1, visible[segment.choice] ?? 1)
            let place = min(LogSums.positions - 1, start * LogSums.positions / whole)
            if !request.isTriedAgain(index) { calls[place] += 1 }
            callTokens[place] += Int128(segment.tokens)
        }
    }

    private var values: [Int128] {
        [promptTokens, commandTokens, visibleTokens, requestedShare, empty, shared, overcached, otherEnds] + calls
            + callTokens
    }

    mutating func merge(_ other: LogSums) { take(zip(values, other.values).map(+)) }

    private mutating func take(_ values: [Int128]) {
        (promptTokens, commandTokens, visibleTokens) = (values[0], values[1], values[2])
        (requestedShare, empty, shared) = (values[3], values[4], values[5])
        (overcached, otherEnds) = (values[6], values[7])
        calls = Array(values[8..<8 + LogSums.positions])
        callTokens = Array(values[(8 + LogSums.positions)...])
    }

    func encode(_ writer: inout PartialWriter) { writer.put(values) }

    init() {}

    init(_ reader: inout PartialReader) throws(SimulationError) {
        take(try reader.numbers(values.count))
    }
}

/// The columns of a cluster: what intervals are drawn for.
enum ClusterColumn: Int, CaseIterable {
    case judged, correct, llmTokens, slmTokens
    case pairs, pairedCorrect, pairedLLMTokens, pairedSLMTokens

    static func width(_ plan: ReplayPlan) -> Int { plan.leaves.count * allCases.count }

    func column(_ leaf: Int) -> Int { leaf * ClusterColumn.allCases.count + rawValue }

    /// Lower ends; where a total is not exact, no interval is drawn.
    static func add(
        _ result: ReplayedRequest, leaf: Int, _ isJudged: Bool, _ isPaired: Bool, _ plan: ReplayPlan,
        _ table: inout ClusterTable, _ place: Int?
    ) {
        guard let place else { return }
        let (correct, llm, slm) = (result[.correct].low, result[.llmTokens].low, result[.slmTokens].low)
        table.add(isJudged ? 1 : 0, at: ClusterColumn.judged.column(leaf), place: place)
        table.add(correct, at: ClusterColumn.correct.column(leaf), place: place)
        table.add(llm, at: ClusterColumn.llmTokens.column(leaf), place: place)
        table.add(slm, at: ClusterColumn.slmTokens.column(leaf), place: place)
        guard isPaired else { return }
        table.add(1, at: ClusterColumn.pairs.column(leaf), place: place)
        table.add(correct, at: ClusterColumn.pairedCorrect.column(leaf), place: place)
        table.add(llm, at: ClusterColumn.pairedLLMTokens.column(leaf), place: place)
        table.add(slm, at: ClusterColumn.pairedSLMTokens.column(leaf), place: place)
    }
}
