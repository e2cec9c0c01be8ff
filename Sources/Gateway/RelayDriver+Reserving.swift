internal import Accounting
internal import Configuration
internal import Reactor
internal import RelayCore

/// Tokens of the LLM: reserved before each attempt, settled after it.
extension RelayDriver {
    /// Reserves for a call (rule T1): at most what the context window still holds.
    func reserve(_ wanted: Int) {
        let room = session.model.pair.llm.first.flatMap { contextRoom($0, .llm) } ?? wanted
        guard room > 0 else { return handle(.callRefused(.contextWindow)) }
        let tokens = min(wanted, room)
        ask(tokens: tokens, smallest: 1, attempt: 1) { driver in
            guard let granted = driver.reservation?.tokens else { return driver.refused() }
            if granted < tokens { driver.clamped += 1 }
            driver.handle(.callGranted(tokens: granted))
        }
    }

    /// Reserves for an answer that the LLM writes alone: all that it may write, or nothing.
    func reserveAnswer(_ wanted: Int?) {
        let upstream = session.model.pair.llm.first
        var tokens = wanted ?? upstream?.configuration.maxTokens ?? 1
        if let upstream, let room = contextRoom(upstream, .llm) { tokens = max(1, min(tokens, room)) }
        ask(tokens: tokens, smallest: tokens, attempt: 1) { driver in
            guard let granted = driver.reservation?.tokens else { return driver.refused() }
            driver.handle(.callGranted(tokens: granted))
        }
    }

    /// Reserves for another attempt at what failed: the same again. Refused, the failure stands.
    func reserveRetry(_ tokens: Int) {
        ask(tokens: tokens, smallest: tokens, attempt: (attempt?.number ?? 0) + 1) { driver in
            guard let retry = driver.retry else {
                // The attempt was cancelled in the meantime.
                driver.reservation.take()?.cancel()
                return
            }
            guard driver.reservation != nil else { return driver.giveUpRetry() }
            driver.retry = nil
            driver.log.addFailed(retry.closed, retry.failure, sequence: driver.machine.segments.count)
            driver.tryNext()
        }
    }

    /// No other attempt follows the one that failed: it closes the segment.
    func giveUpRetry() {
        guard let retry, let current = attempt else { return }
        self.retry = nil
        closed = retry.closed
        attempt = nil
        var before = current
        before.earlierTokens -= retry.end.generatedTokens
        tellFailed(before, retry.end, retry.failure)
    }

    private func refused() {
        let isRejected = refusal?.budget?.onExhausted == .reject && !session.isUnderWay
        if isRejected { failOnRefusal() }
        handle(.callRefused(refusal?.reason == .unavailable ? .unavailable : .budget))
    }

    /// Asks for tokens and calls `next` with what came in `reservation` or `refusal`, unless the answer is over by
    /// then.
    private func ask(tokens: Int, smallest: Int, attempt: Int, _ next: @escaping (RelayDriver) -> Void) {
        session.promptBound(choiceText: machine.transcript.text(for: .llm)) { [self] prompt in
            guard machine.outcome == nil else { return }
            promptBound = prompt
            let key = SegmentKey(
                request: session.id, choice: choice, sequence: machine.segments.count, attempt: attempt)
            let ask = ReservationAsk(
                tenant: session.caller.tenantID, key: session.caller.keyID,
                purpose: .call(tokens: tokens, smallest: smallest, prompt: prompt.reserved), segment: key)
            let bound = LoopBound((self, next), on: core.loop)
            let now = core.budgets.reserve(ask, on: core.loop) { answer in
                let (driver, next) = bound.value
                driver.take(answer, next)
            }
            if let now { take(now, next) }
        }
    }

    private func take(_ answer: consuming ReservationAnswer, _ next: (RelayDriver) -> Void) {
        switch consume answer {
        case .granted(let reservation):
            // The caller left while the database was asked: nothing will be used.
            if machine.outcome != nil || attempt?.isCancelled == true { return reservation.cancel() }
            self.reservation = consume reservation
            session.hasReserved = true
        case .refused(let refusal):
            if machine.outcome != nil { return }
            self.refusal = refusal
        }
        next(self)
    }

    /// Ends the attempt's reservation with what it used; returns the rows for the ledger.
    func settleReservation(_ end: UpstreamGeneration.End) -> [ChargeRecord] {
        guard let reservation = self.reservation.take() else { return [] }
        let rule = ChargeRule(
            ending: end.chargeEnding, reserved: attempt?.limit ?? reservation.tokens, reported: end.reported,
            running: end.running, pieces: end.pieces, bytes: end.bytes, reportedPrompt: end.promptTokens,
            promptBound: promptBound)
        if rule.ending == .unused {
            reservation.cancel()
            return []
        }
        return reservation.settle(generated: rule.generated.tokens, prompt: rule.prompt)
    }
}

extension UpstreamGeneration.End {
    /// What the charge needs to know of the end.
    var chargeEnding: ChargeRule.Ending {
        switch kind {
        case .finished: return .finished
        case .cancelled: return wasStarted ? .cut : .unused
        case .failed(let failure):
            guard wasStarted, failure.wasSent else { return .unused }
            // A refusal before any work; a 5xx may have done all of it.
            if let status = failure.status, (400..<500).contains(status), pieces == 0, reported == nil {
                return .unused
            }
            return .cut
        }
    }
}
