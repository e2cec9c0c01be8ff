/// Answers of one model alone: logged as such, measured beside the log, or unknown.
extension RequestReplay {
    /// The SLM alone, commands forbidden.
    func slmOnly() -> ReplayedRequest {
        if request.writer == .slm { return asLogged() }
        // A relay in which the SLM wrote no command is what the SLM alone writes.
        if request.writer == .relay || request.writer == .fixed, isFreeOfCommands { return asLogged() }
        if let alone = request.slmOnly { return measured(alone, .slm) }
        return unknown(slm: true, llm: nil, answers: request.choices)
    }

    /// The LLM alone.
    func llmOnly() -> ReplayedRequest {
        if request.writer == .llm, !request.segments.contains(where: { $0.role == .slm }) { return asLogged() }
        if let alone = request.llmOnly { return measured(alone, .llm) }
        return unknownLLM()
    }

    private var isFreeOfCommands: Bool {
        !request.segments.isEmpty
            && request.segments.allSatisfy {
                $0.role == .slm && ($0.finish == .stop || $0.finish == .length) && $0.commandTokens == 0
            }
    }

    /// An answer that was made beside the log.
    private func measured(_ alone: LoggedAlone, _ role: LoggedSegment.Role) -> ReplayedRequest {
        var result = ReplayedRequest(costModels: tables.count)
        result[role == .slm ? .slmTokens : .llmTokens] = Extent(alone.tokens)
        if role == .llm { result[.reached] = Extent(1) }
        if verdict != nil { result[.correct] = alone.verdict.map { Extent($0) } ?? Extent(0, 1_000_000) }
        result.isReplayable = alone.verdict != nil || verdict == nil
        let name = request.segments.last { $0.role == role }?.model
        for (model, table) in tables.enumerated() {
            if table.isRecorded {
                result.addCost(Extent(0, Extent.open), model)
                continue
            }
            let cost = table.rates(role, model: name, at: request.arrived).map { rates in
                let prompt = request.promptTokens
                // Whether an earlier request left the prompt in the cache, no rule but "as reported" asks.
                let read = table.cache == .reported ? Extent(0, Int128(prompt)) : .zero
                let written: Int =
                    if case .rule(let rule) = table.cache { rule.cacheable(prompt) } else { 0 }
                return rates.cost(input: prompt, cached: read, written: written, output: Extent(alone.tokens))
            }
            result.addCost(cost, model)
        }
        result.close()
        return result
    }

    private func unknownLLM() -> ReplayedRequest {
        var result = ReplayedRequest(costModels: tables.count)
        result.isReplayable = false
        if verdict != nil { result[.correct] = Extent(0, 1_000_000) }
        result[.reached] = Extent(1)
        let answers = Int128(max(1, request.choices))
        let most = limits.answerTokens.map { Int128($0) } ?? Extent.open
        result[.llmTokens] = Extent(0, most) * answers
        let name = request.segments.last { $0.role == .llm }?.model
        for (model, table) in tables.enumerated() {
            if table.isRecorded {
                result.addCost(Extent(0, Extent.open), model)
                continue
            }
            let cost = table.rates(.llm, model: name, at: request.arrived).map { rates in
                // Failed before any work, it costs nothing.
                let prompt = Int128(request.promptTokens) * rates.highestInput + rates.request
                return (Extent(0, most) * rates.output + Extent(0, prompt)) * answers
            }
            result.addCost(cost, model)
        }
        result.close()
        return result
    }
}
