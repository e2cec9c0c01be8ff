/// A change of the rules of the relay, whose effect on an answer can be followed to the first call that it changes.
enum AnswerChange: Equatable {
    /// Every call gets at most so many tokens.
    case callTokens(Int)
    /// Commands are forbidden after so many turns.
    case calls(Int)
    /// The calls of one answer get at most so many tokens together.
    case answerTokens(Int)
    /// Every command's n is replaced by this.
    case fixed(Int)

    /// What becomes of a call.
    enum Effect: Equatable {
        case same
        /// It is made, and so many tokens come of it; whether it is cut for certain.
        case changed(Extent, isCut: Bool)
        /// It is not made.
        case refused
        /// It was refused, or nobody was called; now it may be made, with at most so many tokens.
        case perhaps(Int)
    }

    /// What becomes of a logged call.
    ///
    /// - Parameters:
    ///   - used: LLM tokens of the answer before it.
    ///   - writer: who wrote under the logged policy.
    func effect(
        on call: LoggedSegment, used: Int, writer: LoggedWriter, limits: RelayLimits, policyTokens: Int?
    ) -> Effect {
        let asked = min(policyTokens ?? call.requested ?? Int.max, limits.callTokens)
        switch self {
        case .calls: return .same
        case .callTokens(let most): return AnswerChange.capped(call, at: most, asked)
        case .answerTokens(let most): return AnswerChange.capped(call, at: max(0, most - used), asked)
        case .fixed(let tokens):
            let wanted = min(tokens, limits.callTokens)
            if call.finish == .refusedOtherwise { return .same }
            if call.finish == .refusedForTokens { return wanted == asked ? .same : .perhaps(wanted) }
            let granted = call.granted ?? asked
            if wanted <= granted { return AnswerChange.capped(call, at: wanted, asked) }
            // A budget that does not clamp grants all that is asked or nothing.
            if limits.budgetsRefuse, wanted > asked { return .perhaps(wanted) }
            // An end of its own, a failure or a full window comes at the same place under a larger limit.
            guard call.finish == .length, call.tokens >= granted else { return .same }
            return .changed(Extent(Int128(call.tokens), Int128(wanted)), isCut: false)
        }
    }

    /// A call under a smaller limit. Its first tokens are the same; whether an end of its own that falls on the limit
    /// is seen as such depends on the server, so it counts as changed.
    private static func capped(_ call: LoggedSegment, at most: Int, _ asked: Int) -> Effect {
        if call.finish == .refusedOtherwise { return .same }
        if call.finish == .refusedForTokens { return most == 0 || most >= asked ? .same : .perhaps(most) }
        if (call.granted ?? asked) <= most { return .same }
        if most == 0 { return .refused }
        if call.tokens < most || (call.tokens == most && call.finish == .length) { return .same }
        return .changed(Extent(most), isCut: call.tokens > most)
    }
}

/// Where an answer leaves what was logged, and what may follow.
struct AnswerCut: Equatable {
    /// Segments of the answer before this index are as logged.
    var end: Int
    /// The logged call that is made with another number of tokens; its prompt is as logged.
    var call: (index: Int, tokens: Extent)?
    /// Calls that may follow, each with at most `callTokens`, together at most `restTokens`.
    var calls = 0
    var callTokens = 0
    var restTokens = Int.max
    /// Whether commands are forbidden from here on.
    var isForbidden = false
    /// Whether a call is cut, refused or forbidden for certain.
    var isDegraded = false

    static func == (left: AnswerCut, right: AnswerCut) -> Bool {
        left.end == right.end && left.call?.index == right.call?.index && left.call?.tokens == right.call?.tokens
            && left.calls == right.calls && left.callTokens == right.callTokens
            && left.restTokens == right.restTokens && left.isForbidden == right.isForbidden
            && left.isDegraded == right.isDegraded
    }
}

extension LoggedRequest {
    /// The first segment of an answer that a change alters; nil when it alters none.
    ///
    /// - Parameters:
    ///   - range: the segments of the answer.
    ///   - used: LLM tokens that count before the answer begins.
    /// - Throws: `SimulationError` when the log contradicts the limits, which would make bounds wrong.
    func cut(
        _ change: AnswerChange, _ range: Range<Int>, limits: RelayLimits
    ) throws(SimulationError) -> AnswerCut? {
        let writer = writer
        let policyTokens = writer == .fixed ? fixedTokens : nil
        if case .fixed(let tokens) = change, writer == .fixed, policyTokens == tokens { return nil }
        try checkLength(range, limits)
        var walk = AnswerWalk(change: change, limits: limits)
        var index = range.lowerBound
        while index < range.upperBound {
            let segment = segments[index]
            if segment.role == .slm {
                if let cut = try walk.turn(self, index, range, writer) { return cut }
            } else if isTriedAgain(index) {
                walk.used += segment.tokens
            } else if walk.turns > 0 {
                let effect = change.effect(
                    on: segment, used: walk.used, writer: writer, limits: limits, policyTokens: policyTokens)
                try walk.check(self, segment)
                if let cut = walk.cut(effect, at: index, from: firstAttempt(index, range)) { return cut }
                walk.used += segment.tokens
            }
            index += 1
        }
        return nil
    }

    /// Where a call begins that ends in this segment: the attempts before it that came to nothing are part of it, and
    /// are not made when the call is not.
    private func firstAttempt(_ index: Int, _ range: Range<Int>) -> Int {
        var first = index
        while first > range.lowerBound, segments[first - 1].sequence == segments[index].sequence,
            segments[first - 1].tokens == 0
        { first -= 1 }
        return first
    }

    private func checkLength(_ range: Range<Int>, _ limits: RelayLimits) throws(SimulationError) {
        guard let most = limits.answerTokens else { return }
        let visible = segments[range].reduce(0) { $0 + $1.visibleTokens }
        guard visible > most else { return }
        throw SimulationError(
            .data, "relay.max_tokens",
            "request \(id) has an answer of \(visible) tokens, the limit is said to be \(most): "
                + "give the largest max_tokens under which the trace was made")
    }

    /// The k of `fixed(k)`.
    var fixedTokens: Int? {
        guard policy.hasPrefix("fixed("), policy.hasSuffix(")") else { return nil }
        return Int(policy.dropFirst(6).dropLast())
    }
}

/// Follows an answer, turn by turn.
private struct AnswerWalk {
    let change: AnswerChange
    let limits: RelayLimits
    var turns = 0
    /// LLM tokens so far.
    var used = 0
    /// The first SLM segment after the last turn that a limit on calls allows.
    private var behindLimit: Int?

    init(change: AnswerChange, limits: RelayLimits) {
        self.change = change
        self.limits = limits
    }

    /// An SLM segment ended.
    mutating func turn(
        _ request: LoggedRequest, _ index: Int, _ range: Range<Int>, _ writer: LoggedWriter
    ) throws(SimulationError) -> AnswerCut? {
        let segment = request.segments[index]
        let isCommand = segment.finish == .call || segment.finish == .malformed || segment.finish == .forbidden
        let next = index + 1 < range.upperBound ? request.segments[index + 1].role : nil
        if case .calls(let most) = change, most < limits.calls, turns >= most {
            if behindLimit == nil { behindLimit = index }
            if isCommand, let behindLimit {
                // A malformed command and n = 0 called nobody.
                let isCall = segment.finish == .call && next == .llm
                return AnswerCut(end: behindLimit, isForbidden: true, isDegraded: isCall)
            }
        }
        guard segment.finish == .call else { return nil }
        turns += 1
        guard turns <= limits.calls else {
            throw SimulationError(
                .data, "relay.max_calls",
                "must be the largest under which the trace was made: it is \(limits.calls), and request \(request.id) has "
                    + "\(turns) commands in one answer")
        }
        guard next != .llm, case .fixed(let tokens) = change, writer != .fixed else { return nil }
        // n was 0: nobody was called, and under another n somebody would be.
        return perhaps(min(tokens, limits.callTokens), from: index + 1)
    }

    func check(_ request: LoggedRequest, _ call: LoggedSegment) throws(SimulationError) {
        guard limits.budgetsRefuse || call.finish != .refusedForTokens else {
            throw SimulationError(
                .data, "relay.budgets_refuse",
                "must be true: a budget refused a call of request \(request.id), so that a call that asks for more might "
                    + "be refused where one was made, which widens the bounds")
        }
        guard max(call.granted ?? 0, call.tokens) <= limits.callTokens else {
            throw SimulationError(
                .data, "relay.max_call_tokens",
                "must be the largest under which the trace was made: it is \(limits.callTokens), and request "
                    + "\(request.id) has a call of \(max(call.granted ?? 0, call.tokens)) tokens")
        }
    }

    /// - Parameters:
    ///   - index: the last attempt at the call.
    ///   - first: the first one.
    func cut(_ effect: AnswerChange.Effect, at index: Int, from first: Int) -> AnswerCut? {
        switch effect {
        case .same: return nil
        case .refused: return AnswerCut(end: first, isForbidden: true, isDegraded: true)
        case .perhaps(let tokens): return perhaps(tokens, from: first)
        case .changed(let tokens, let isCut):
            var cut = AnswerCut(end: index, call: (index, tokens), isDegraded: isCut)
            cut.calls = limits.calls - turns
            cut.callTokens = callTokens
            // The cap of the answer is used up to the last token.
            if case .answerTokens = change { cut.calls = 0 }
            return cut
        }
    }

    private func perhaps(_ tokens: Int, from index: Int) -> AnswerCut {
        var cut = AnswerCut(end: index, calls: 1 + limits.calls - turns, callTokens: callTokens)
        if case .answerTokens(let most) = change {
            cut.restTokens = max(0, most - used)
            cut.callTokens = limits.callTokens
        }
        return cut
    }

    private var callTokens: Int {
        switch change {
        case .callTokens(let most), .fixed(let most): min(most, limits.callTokens)
        case .calls, .answerTokens: limits.callTokens
        }
    }
}
