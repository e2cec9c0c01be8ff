/// The rules of turns: who writes next, and when the answer is over.
extension RelayMachine {
    /// T4: after so many commands in forbidden turns the answer ends with what there is.
    private static let forbiddenCommandLimit = 3

    /// The visible tokens that are left of the caller's limit; `nil` without limit (T5).
    private var tokensLeft: Int? { configuration.maxTokens.map { max(0, $0 - visibleTokens) } }

    /// Lets the SLM go on, if it may still write a token.
    mutating func resumeSLM() {
        if tokensLeft == 0 { return finish(.length) }
        let forbidden = commandsForbidden
        var stop = [configuration.tags.close] + configuration.slmEndMarkers
        if script.passesCallerStop { stop += configuration.stop }
        start(Generation(role: .slm, maxTokens: tokensLeft, commandsForbidden: forbidden, stop: stop))
    }

    /// The LLM is to write the whole answer.
    mutating func beginLLM() {
        if tokensLeft == 0 { return finish(.length) }
        phase = .reservingAnswer
        actions.append(.reserveAnswer(wanted: configuration.maxTokens))
    }

    mutating func writeByLLM() {
        start(
            Generation(
                role: .llm, maxTokens: configuration.maxTokens, commandsForbidden: false, stop: configuration.stop))
    }

    private mutating func start(_ generation: Generation) {
        generations += 1
        var generation = generation
        generation.stop.removeAll(where: \.isEmpty)
        turn = TurnReader(
            role: generation.role, configuration: configuration, commandsForbidden: generation.commandsForbidden)
        cancelSent = false
        viewStart = transcript.view.count
        phase = .generating
        actions.append(.generate(generation))
    }

    // MARK: The end of a generation

    /// The server ended the generation, or the driver did at our request.
    mutating func ended(_ end: GenerationEnd) {
        let cause = completeText(end.finish, stopReason: end.stopReason)
        record(end.generatedTokens, end.source, segmentFinish(cause, end.finish))
        guard let cause else { return serverEnded(end.finish) }
        proceed(after: cause)
    }

    /// The generation failed for good; its text is kept and charged (F2).
    mutating func failed(_ failure: GenerationFailure) {
        var complete = if case .ending = phase { true } else { false }
        let cause = completeText(nil, stopReason: nil)
        let refusedByWindow = call != nil && failure.reason == .contextExceeded
        let finish: Segment.Finish = refusedByWindow ? .refused(.contextWindow) : .failed
        // Only what arrived before the failure ends the turn; a command it left open was not ended by anything.
        if cause != .malformed || turn.endedByTag { complete = cause != nil }
        record(failure.generatedTokens, failure.source, complete ? segmentFinish(cause, .stop) : finish)
        if let cause, complete { return proceed(after: cause) }
        if failure.reason == .contextExceeded, call == nil { return self.finish(.length) }
        guard turn.role == .llm else { return self.finish(.failed(.slm(failure.reason))) }
        guard call != nil else { return self.finish(.failed(.llm(failure.reason))) }
        call = nil
        if refusedByWindow { calls -= 1 }
        degrade(refusedByWindow ? .contextWindow : .upstream, failure: .llm(failure.reason))
    }

    /// Reads what was held back in the running generation; returns what in its text ended it.
    private mutating func completeText(_ end: GenerationEnd.Finish?, stopReason: [UInt8]?) -> Cause? {
        if case .ending(let cause) = phase { return cause }
        let cause = turn.finish(end, stopReason: stopReason, into: &transcript)
        emitVisible()
        return cause
    }

    private func segmentFinish(_ cause: Cause?, _ end: GenerationEnd.Finish) -> Segment.Finish {
        switch cause {
        case .command(let number): return commandsForbidden ? .forbidden(number) : .call(number)
        case .malformed: return .malformed
        case .endMarker, .callerStop: return .stop
        case .clientLeft: return .cancelled
        case nil: break
        }
        switch end {
        case .stop: return .stop
        case .length: return .length
        case .cancelled: return .cancelled
        case .other(let reason): return .other(reason)
        }
    }

    private mutating func record(_ generated: Int, _ source: CountSource, _ finish: Segment.Finish) {
        let generated = max(0, generated)
        let command = turn.commandTokens.total(generated: generated)
        scannedMalformed += turn.malformed
        droppedBytes += turn.droppedBytes
        let segment = Segment(
            role: turn.role, requested: call?.requested, granted: call?.granted, generatedTokens: generated,
            source: source, commandTokens: command.tokens, commandSource: command.source, finish: finish,
            visibleBytes: 0)
        let (sum, overflow) = visibleTokens.addingReportingOverflow(segment.visibleTokens)
        visibleTokens = overflow ? Int.max : sum
        append(segment, from: viewStart)
    }

    private mutating func append(_ segment: Segment, from start: Int) {
        segments.append(segment)
        segmentStarts.append(start)
        settleVisibleBytes()
    }

    /// Counts the bytes of each segment that the client sees; a stop string may span segments.
    mutating func settleVisibleBytes() {
        // Only the last segments can change: those that reach behind what the client had seen.
        var end = transcript.stopped ? transcript.clientCount : transcript.view.count
        for index in segments.indices.reversed() {
            let start = min(segmentStarts[index], end)
            segments[index].visibleBytes = end - start
            end = start
        }
    }

    // MARK: What comes next

    /// The server ended the generation and nothing in its text did.
    private mutating func serverEnded(_ end: GenerationEnd.Finish) {
        let isCall = call != nil
        call = nil
        switch end {
        case .stop: isCall && configuration.onLLMEndOfSequence == .resume ? resumeSLM() : finish(.stop)
        case .length, .cancelled: isCall ? resumeSLM() : finish(.length)
        case .other(let reason): finish(.other(reason))
        }
    }

    private mutating func proceed(after cause: Cause) {
        call = nil
        switch cause {
        case .callerStop, .endMarker: finish(.stop)
        case .clientLeft: finish(.clientLeft)
        case .malformed: turn.commandsForbidden ? resumeAfterForbiddenCommand() : resumeSLM()
        case .command(let number): commandsForbidden ? resumeAfterForbiddenCommand() : serve(number)
        }
    }

    private mutating func resumeAfterForbiddenCommand() {
        forbiddenCommands += 1
        forbiddenCommands >= Self.forbiddenCommandLimit ? finish(.stop) : resumeSLM()
    }

    /// A valid command: it ends a turn, and calls the LLM unless n is 0 (C3, T3).
    private mutating func serve(_ number: Int) {
        turns += 1
        var tokens = number
        if case .relay(let fixedTokens?) = script.writer { tokens = fixedTokens }
        guard tokens > 0 else { return resumeSLM() }
        let wanted = min(tokens, configuration.maxCallTokens, tokensLeft ?? Int.max)
        // What is held back may become a tag with later SLM text; the LLM reads it now, so it is decided now.
        transcript.releaseHeld()
        emitVisible()
        if transcript.stopped { return finish(.stop) }
        if tokensLeft == 0 {
            refuse(.maxTokens, requested: number)
            return finish(.length)
        }
        guard wanted > 0 else { return refused(.limit, requested: number, failure: .refused(.limit)) }
        phase = .reserving(requested: number, wanted: wanted)
        actions.append(.reserve(requested: number, wanted: wanted))
    }

    /// The call was granted; 0 tokens refuse it (T1).
    mutating func granted(_ tokens: Int, requested: Int, wanted: Int) {
        let granted = min(tokens, wanted)
        guard granted > 0 else { return refused(.limit, requested: requested, failure: .refused(.limit)) }
        calls += 1
        call = (requested, granted)
        start(Generation(role: .llm, maxTokens: granted, commandsForbidden: false, stop: []))
    }

    /// The call is not made (F1).
    mutating func refused(_ reason: RefusalReason, requested: Int?, failure: RelayFailure) {
        refuse(reason, requested: requested)
        degrade(reason, failure: failure)
    }

    private mutating func refuse(_ reason: RefusalReason, requested: Int?) {
        let segment = Segment(
            role: .llm, requested: requested, granted: 0, generatedTokens: 0, source: .counted,
            finish: .refused(reason), visibleBytes: 0)
        append(segment, from: transcript.view.count)
    }

    private mutating func degrade(_ reason: RefusalReason, failure: RelayFailure) {
        switch configuration.onRefusal {
        case .degrade:
            degraded = degraded ?? reason
            resumeSLM()
        case .fail: finish(.failed(failure))
        }
    }
}
