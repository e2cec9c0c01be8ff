/// Answers of one model alone: logged as such, measured beside the log, or unknown.
extension RequestReplay {
    /// What the log says of an answer that was also measured beside it.
    enum Agreement {
        case same
        /// With the same verdict, where both have one.
        case otherTokens
        case otherVerdict
    }

    /// The SLM alone, commands forbidden.
    func slmOnly() -> ReplayedRequest { alone(.slm).answer }

    /// One model alone: what was measured beside the log, or else what the log has of it, or else bounds.
    ///
    /// Where both say the same, the answer is the log's, which knows its costs. Where nobody judged the measured answer
    /// and somebody judged the log's, it is the log's, too.
    ///
    /// - Returns: the answer and, where the log has one and another was taken or could have been, how they compare.
    func alone(_ role: LoggedSegment.Role) -> (answer: ReplayedRequest, agreement: Agreement?) {
        let logged = loggedAlone(role)
        guard let alone = role == .slm ? request.slmOnly : request.llmOnly else {
            if let logged { return (logged, nil) }
            return (role == .slm ? unknown(slm: true, llm: nil, answers: request.choices) : unknownLLM(), nil)
        }
        guard let logged else { return (measured(alone, role), nil) }
        let tokens = logged[role == .slm ? .slmTokens : .llmTokens]
        let verdicts = [verdict, alone.verdict].compactMap { $0 }
        if verdicts.count == 2, verdicts[0] != verdicts[1] { return (measured(alone, role), .otherVerdict) }
        if tokens == Extent(alone.tokens) { return (logged, .same) }
        return alone.verdict == nil && verdict != nil ? (logged, nil) : (measured(alone, role), .otherTokens)
    }

    /// What the log has of one model alone; nil when it does not say what that would have written.
    private func loggedAlone(_ role: LoggedSegment.Role) -> ReplayedRequest? {
        guard role == .slm else {
            // An answer that was refused is not what the LLM writes.
            let isOther = request.segments.contains { $0.role == .slm || $0.finish.isRefused }
            return request.writer == .llm && !isOther ? asLogged() : nil
        }
        if request.writer == .slm { return asLogged() }
        // A relay in which the SLM wrote no command is what the SLM alone writes.
        if request.writer == .relay || request.writer == .fixed, isFreeOfCommands { return asLogged() }
        guard isLeftToSLM else { return nil }
        var result = asLogged()
        result[.degraded] = .zero
        return result
    }

    private var isFreeOfCommands: Bool {
        let segments = request.segments
        return !segments.isEmpty
            && segments.indices.allSatisfy { index in
                let segment = segments[index]
                let isEnd = segment.finish == .stop || segment.finish == .length
                return segment.role == .slm && segment.commandTokens == 0 && (isEnd || request.isTriedAgain(index))
            }
    }

    /// Whether a budget refused the answer of the LLM whole, so that the SLM wrote it alone.
    private var isLeftToSLM: Bool {
        request.writer == .llm && request.segments.contains { $0.role == .slm }
            && request.segments.allSatisfy { $0.role == .slm || $0.finish.isRefused }
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
                // Each answer is a generation of its own, which reads the prompt again.
                let answers = Int128(max(1, request.choices))
                return rates.first(input: request.promptTokens, table.cache) * answers
                    + Extent(alone.tokens) * rates.output
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
