internal import Accounting

/// One logged request, made ready to be replayed under several policies: what its segments cost is counted once.
struct RequestReplay {
    let request: LoggedRequest
    let limits: RelayLimits
    let tables: [CostTable]
    /// The segments of each answer.
    let answers: [Range<Int>]
    /// By cost model, then segment; nil where a price or a count is missing.
    let costs: [[Extent?]]
    /// Millionths; nil when nobody judged all of its answers.
    let verdict: Int?

    init(_ request: LoggedRequest, verdict: Int?, limits: RelayLimits, tables: [CostTable]) {
        self.request = request
        self.limits = limits
        self.tables = tables
        self.verdict = verdict
        var answers: [Range<Int>] = []
        var start = 0
        for index in request.segments.indices where index > 0 {
            guard request.segments[index].choice != request.segments[start].choice else { continue }
            answers.append(start..<index)
            start = index
        }
        if !request.segments.isEmpty { answers.append(start..<request.segments.count) }
        self.answers = answers
        costs = tables.map { RequestReplay.costs(request, $0) }
    }

    private static func costs(_ request: LoggedRequest, _ table: CostTable) -> [Extent?] {
        if table.isRecorded {
            return request.segments.map { segment in
                segment.finish.isRefused ? .zero : segment.costPico.map { Extent($0) }
            }
        }
        var caches = (slm: PromptCache(), llm: PromptCache())
        var choice = -1
        return request.segments.map { segment in
            if segment.choice != choice {
                choice = segment.choice
                caches = (PromptCache(), PromptCache())
            }
            // What gave neither text nor a count was not served, and costs nothing, as in the ledger.
            if segment.finish.isRefused || segment.inputTokens == nil && segment.tokens == 0 { return .zero }
            guard let rates = table.rates(segment.role, model: segment.model, at: request.arrived) else { return nil }
            guard let input = segment.inputTokens else {
                return rates.highestInput == 0
                    ? Extent(segment.tokens) * rates.output + Extent(rates.request) : nil
            }
            let cache = segment.role == .slm ? caches.slm : caches.llm
            let (read, written) = table.cached(segment, input: input, cache)
            let left = PromptCache(
                tokens: input + segment.tokens, end: segment.startedMicroseconds + segment.durationMicroseconds)
            if segment.role == .slm { caches.slm = left } else { caches.llm = left }
            if table.cache == .reported, segment.cachedTokens == nil, segment.cacheWriteTokens == nil {
                return rates.cost(input: input, output: Extent(segment.tokens))
            }
            return rates.cost(input: input, cached: read, written: written, output: Extent(segment.tokens))
        }
    }

    // MARK: What was done

    /// The request as it was served.
    func asLogged() -> ReplayedRequest {
        var result = ReplayedRequest(costModels: tables.count)
        for range in answers { add(range, to: &result) }
        result[.degraded] = Extent(request.segments.contains { $0.finish.isRefused } ? 1 : 0)
        result[.correct] = Extent(verdict ?? 0)
        result.close()
        return result
    }

    /// Adds segments as they were.
    private func add(_ range: Range<Int>, to result: inout ReplayedRequest) {
        for index in range {
            let segment = request.segments[index]
            switch segment.role {
            case .slm: result[.slmTokens] += Extent(segment.tokens)
            case .llm:
                result[.llmTokens] += Extent(segment.tokens)
                guard !segment.finish.isRefused else { continue }
                result[.reached] = Extent(1)
                if request.isServedCall(index) { result[.calls] += Extent(1) }
            }
            for model in tables.indices { result.addCost(costs[model][index], model) }
        }
    }

    // MARK: What would have been done

    /// The request under a changed rule.
    func changed(_ change: AnswerChange) throws(SimulationError) -> ReplayedRequest {
        if case .fixed = change, !request.writer.isRelay { return unknownRelay(change) }
        if case .fixed = change, request.writer == .prompted || request.writer == .relay || request.writer == .fixed {
            return try replay { (range, _) throws(SimulationError) in
                try request.cut(change, range, limits: limits)
            }
        }
        guard request.writer.isRelay else { return asLogged() }
        return try replay { (range, _) throws(SimulationError) in try request.cut(change, range, limits: limits) }
    }

    /// The answers one after the other, each as far as `cut` leaves it as it was.
    ///
    /// - Parameter cut: told the answer and the LLM tokens of those before it.
    func replay(
        _ cut: (Range<Int>, Extent) throws(SimulationError) -> AnswerCut?
    ) throws(SimulationError) -> ReplayedRequest {
        var result = ReplayedRequest(costModels: tables.count)
        var isCut = false
        var degraded = Extent.zero
        for range in answers {
            let cut = try cut(range, result[.llmTokens])
            let kept = request.segments[range.lowerBound..<(cut?.end ?? range.upperBound)]
            if cut?.isDegraded ?? false || kept.contains(where: \.finish.isRefused) { degraded.low = 1 }
            guard let cut else {
                add(range, to: &result)
                continue
            }
            isCut = true
            add(range.lowerBound..<cut.end, to: &result)
            goOn(cut, range, &result)
        }
        result[.correct] = Extent(verdict ?? 0)
        if isCut {
            result.isReplayable = false
            // The breaker may refuse what follows.
            degraded.high = 1
            if verdict != nil { result[.correct] = Extent(0, 1_000_000) }
        }
        result[.degraded] = Extent(degraded.low, max(degraded.low, degraded.high))
        result.close()
        return result
    }

    /// The changed call and what may follow it.
    private func goOn(_ cut: AnswerCut, _ range: Range<Int>, _ result: inout ReplayedRequest) {
        if let (index, tokens) = cut.call {
            let logged = request.segments[index]
            result[.llmTokens] += tokens
            result[.calls] += Extent(1)
            result[.reached] = Extent(1)
            for model in tables.indices {
                guard !tables[model].isRecorded else {
                    result[cost: model].high = Extent.open
                    continue
                }
                let rates = tables[model].rates(.llm, model: logged.model, at: request.arrived)
                let cost = costs[model][index].flatMap { cost in
                    rates.map { $0.output }.map { output in
                        let rest = Extent(
                            cost.low - Int128(logged.tokens) * output, cost.high - Int128(logged.tokens) * output)
                        return rest + tokens * output
                    }
                }
                result.addCost(cost, model)
            }
        }
        let rest = Continuation(cut, range, self)
        result[.llmTokens] += Extent(0, rest.llmTokens)
        result[.calls] += Extent(0, Int128(rest.calls))
        if rest.calls > 0 { result[.reached].high = 1 }
        result[.slmTokens] += Extent(0, rest.slmTokens)
        for model in tables.indices { result.addCost(rest.cost(tables[model], self, range), model) }
    }

    /// Another policy from the first token on: nothing of the answers is known.
    func unknown(slm: Bool, llm: AnswerChange?, answers count: Int) -> ReplayedRequest {
        var result = ReplayedRequest(costModels: tables.count)
        result.isReplayable = false
        if verdict != nil { result[.correct] = Extent(0, 1_000_000) }
        for answer in 0..<max(1, count) {
            let range = answers.indices.contains(answer) ? answers[answer] : 0..<0
            var cut = AnswerCut(end: range.lowerBound)
            cut.isForbidden = llm == nil
            if case .fixed(let tokens) = llm {
                cut.calls = limits.calls
                cut.callTokens = min(tokens, limits.callTokens)
            }
            let rest = Continuation(cut, range, self)
            result[.llmTokens] += Extent(0, rest.llmTokens)
            result[.calls] += Extent(0, Int128(rest.calls))
            if rest.calls > 0 {
                result[.reached].high = 1
                result[.degraded].high = 1
            }
            result[.slmTokens] += Extent(0, rest.slmTokens)
            for model in tables.indices { result.addCost(rest.cost(tables[model], self, range), model) }
        }
        result.close()
        return result
    }

    private func unknownRelay(_ change: AnswerChange) -> ReplayedRequest {
        unknown(slm: true, llm: change, answers: request.choices)
    }
}
