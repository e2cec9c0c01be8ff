internal import Accounting
internal import Configuration
internal import HTTPServer
internal import Reactor
internal import RelayCore
internal import Telemetry
internal import Wire

/// Who is told when a request is over. *Loop thread.*
protocol SessionOwner: AnyObject {
    func sessionEnded(_ session: RequestSession)
}

/// One admitted request: its answers, its response, its row in the ledger. *Loop thread.*
///
/// The last event of the response leaves when the ledger has the request (`receipt: committed`), so whatever a caller
/// has seen the end of is accounted for.
final class RequestSession {
    let id: UUID7
    let request: InferenceRequest
    let model: PublicModel
    let prompts: PromptBook
    let caller: KeyIdentity
    /// What the request holds of the caller's rates, until its use is known.
    private var rates: Reservation?
    private let exchange: HTTPExchange
    private let core: LoopCore
    private weak var owner: (any SessionOwner)?
    private var drivers: [RelayDriver] = []
    private var outcomes: [Int: RelayOutcome] = [:]
    private var response: ResponseWriter
    private var record: RequestRecord
    private let started: ContinuousClock.Instant
    private var keepAlive: LoopTimer?
    private var hasLeft = false
    private var isCut = false
    private var isOver = false

    init(
        _ request: InferenceRequest, model: PublicModel, caller: KeyIdentity, exchange: HTTPExchange, id: UUID7,
        at time: Accounting.Timestamp, rates: consuming Reservation, core: LoopCore, owner: any SessionOwner
    ) {
        self.rates = consume rates
        self.id = id
        self.request = request
        self.model = model
        self.caller = caller
        self.exchange = exchange
        self.core = core
        self.owner = owner
        started = core.loop.now
        prompts = PromptBook(request, model: model, core: core)
        let draw = Double.random(in: 0..<1, using: &core.random)
        let script = model.policy.script(draw: draw)
        record = RequestRecord(
            id: id, tenant: caller.tenantID, key: caller.keyID, model: model.name, policy: model.policy.name,
            policyVersion: core.policyVersion, propensity: script.propensity, endpoint: request.endpoint.rawValue,
            isStream: request.stream, choices: request.choices, started: time)
        // Text that is kept must be found again when its user is to be forgotten.
        let isUserKept = caller.capture != .none && !caller.tagKeys.contains("user")
        record.tags = (caller.tagKeys + (isUserKept ? ["user"] : [])).compactMap { key in
            let value = key == "user" ? request.user : request.metadata[key]
            return value.map { RequestTag(key: key, value: $0) }
        }
        response = ResponseWriter(
            request, id: id, created: Int(time.microseconds / 1_000_000), policy: model.policy.name,
            limits: Admission.standing(core.budgets.standing(tenant: caller.tenantID, key: caller.keyID)),
            exchange: exchange)
        var relay = model.relay
        relay.maxTokens = request.maxTokens ?? model.pair.slm.first?.configuration.maxTokens
        relay.stop = request.stop
        drivers = (0..<request.choices).map {
            RelayDriver(choice: $0, script: script, configuration: relay, session: self, core: core)
        }
    }

    /// Bytes of what the caller sent that a model server may put into its prompt: no prompt has more tokens, but for
    /// what the template adds.
    var promptBytes: Int {
        request.passthrough.reduce(request.rawMessages.count + request.prompt.count) { $0 + $1.value.count }
    }

    /// Whether the caller has seen anything of the answer, or tokens of the LLM were reserved for it: an answer that
    /// was paid for is not thrown away.
    var isUnderWay: Bool { response.hasBegun || hasReserved }
    /// Whether any call of the LLM was granted.
    var hasReserved = false

    /// Gives bounds of the tokens that the LLM reads when it gets the prompt and `choiceText`; 0 when no budget counts
    /// them. The model's own tokenizer says it where the server has an endpoint for it; else it is the bytes, since a
    /// token is a byte or more, and room for the template.
    func promptBound(choiceText view: [UInt8], _ completion: @escaping (ChargeRule.PromptBound) -> Void) {
        let counts = core.budgets.budgets(tenant: caller.tenantID, key: caller.keyID).contains { $0.counts == .billed }
        guard counts, let upstream = model.pair.llm.first else { return completion(ChargeRule.PromptBound()) }
        let limit = promptBytes + view.count + 64 + 8 * request.messages.count
        let bound = ChargeRule.PromptBound(reserved: limit, limit: limit)
        guard upstream.dialect.tokenizer != .none else { return completion(bound) }
        prompts.prompt(.llm, for: upstream) { [weak self] result in
            guard let self, case .success(.text(let prompt)) = result else { return completion(bound) }
            let link = core.upstreams.link(upstream)
            TokenCounter(prompt + view, link: link, core: core) { count in
                // A server may put a few tokens of its own around what it was given.
                let reserved = count.map { min(limit, $0 + 8) } ?? limit
                completion(ChargeRule.PromptBound(reserved: reserved, limit: limit))
            }
        }
    }

    func begin() {
        exchange.onClose = { [weak self] isComplete in
            if !isComplete { self?.callerLeft() }
        }
        if case .relay = model.policyClass, let llm = model.pair.llm.first { prompts.prepare(.llm, for: llm) }
        if request.stream { scheduleKeepAlive() }
        for driver in drivers { driver.begin() }
    }

    /// A model that thinks, or waits for its turn, is silent for longer than proxies allow.
    private func scheduleKeepAlive() {
        keepAlive = core.loop.schedule(after: .seconds(15)) { [weak self] in
            guard let self, !isOver, !hasLeft else { return }
            response.keepAlive()
            scheduleKeepAlive()
        }
    }

    /// Ends what is left of the request because the gateway stops.
    func cut() {
        guard !isOver, !hasLeft else { return }
        isCut = true
        for driver in drivers { driver.leave() }
    }

    private func callerLeft() {
        guard !isOver, !hasLeft else { return }
        hasLeft = true
        prompts.cancel()
        for driver in drivers { driver.leave() }
    }

    // MARK: What the drivers say

    func emit(_ text: [UInt8], by role: Role, choice: Int) {
        guard !hasLeft else { return }
        response.write(text, by: role, choice: choice)
        holdBack()
    }

    /// Parts of a chunk that go on as the model server wrote them, with the text of the same chunk.
    func attach(_ parts: ChunkExtras, choice: Int) { response.attach(parts, choice: choice) }

    func writeAttached(choice: Int) {
        if !hasLeft { response.writeAttached(choice: choice) }
    }

    /// A caller who reads slowly holds the model servers back.
    private func holdBack() {
        guard exchange.onDrain == nil, exchange.isOver(highWater: core.configuration.listen.streamBuffer) else {
            return
        }
        for driver in drivers { driver.pause() }
        exchange.onDrain = { [weak self] in
            guard let self else { return }
            exchange.onDrain = nil
            for driver in drivers { driver.resume() }
        }
    }

    func finished(_ driver: RelayDriver, _ outcome: RelayOutcome) {
        outcomes[driver.choice] = outcome
        if outcomes.count == drivers.count { close() }
    }

    // MARK: The end

    private func close() {
        prompts.cancel()
        complete()
        if let rates = self.rates.take() {
            rates.settle(requestTokens: record.promptTokens + record.slmTokens + record.llmTokens)
        }
        core.counters.count(record)
        let bound = LoopBound(self, on: core.loop)
        let isQueued = core.configuration.ledger.receipt == .queued
        core.ledger.append(
            record, on: core.loop,
            durable: { isDurable, cost in
                if !isQueued { bound.value.acknowledge(isDurable, cost) }
            })
        if isQueued { acknowledge(true, .unknown) }
    }

    private func acknowledge(_ isDurable: Bool, _ cost: RequestCost) {
        guard !isOver else { return }
        isOver = true
        keepAlive?.cancel()
        if !hasLeft { answer(isDurable, cost) }
        logEnd(isDurable)
        owner?.sessionEnded(self)
    }

    private func answer(_ isDurable: Bool, _ cost: RequestCost) {
        if !isDurable { return response.fail(.unavailable("The request was answered but could not be recorded.")) }
        if isCut { return response.fail(.unavailable("The gateway is being stopped.")) }
        if let error = endingError {
            return response.fail(error, drivers.lazy.compactMap(\.refusal).first.map(Admission.headers) ?? [])
        }
        let choices = drivers.map { finishReason(outcomes[$0.choice] ?? .stop) }
        response.finish(choices, usage: usage, report: report(cost))
    }

    /// The error that ends the request, if one of its answers failed.
    private var endingError: WireError? {
        for driver in drivers {
            guard case .failed(let failure) = outcomes[driver.choice] else { continue }
            if case .refused(let reason) = failure {
                if reason == .budget || reason == .unavailable, let refusal = driver.refusal {
                    return Admission.error(refusal, 1)
                }
                return RequestSession.error(refused: reason)
            }
            return driver.failure?.wireError ?? .upstreamFailed("The model server failed.")
        }
        // An answer without a single token because the prompt did not fit is a refusal, not an answer.
        if drivers.allSatisfy({ $0.machine.visibleTokens == 0 && $0.failure?.reason == .contextExceeded }) {
            return drivers.first?.failure?.wireError
        }
        return nil
    }

    private static func error(refused reason: RefusalReason) -> WireError {
        switch reason {
        case .budget, .limit: .insufficientQuota("A call of the large model was refused: \(reason.rawValue).")
        case .unavailable: .unavailable("The gateway cannot reach the database that keeps its budgets.")
        case .contextWindow: .contextLengthExceeded("The answer no longer fits the large model's context window.")
        case .breaker, .upstream, .maxTokens:
            .upstreamFailed("A call of the large model was refused: \(reason.rawValue).")
        }
    }

    private func finishReason(_ outcome: RelayOutcome) -> String {
        switch outcome {
        case .stop: "stop"
        case .length: "length"
        case .other(let reason): reason
        case .failed, .clientLeft: "error"
        }
    }

    private func complete() {
        record.finished = LoopCore.wallClock()
        record.segments = drivers.flatMap { $0.log.records }
        for driver in drivers {
            record.calls += driver.machine.calls
            record.malformed += driver.machine.malformed
            record.visibleTokens += driver.machine.visibleTokens
            record.degraded = record.degraded ?? driver.machine.degraded?.rawValue
        }
        for segment in record.segments {
            if segment.role == Role.slm.rawValue {
                record.slmTokens += segment.generatedTokens
            } else {
                record.llmTokens += segment.generatedTokens
            }
            record.commandTokens += segment.commandTokens
        }
        record.promptTokens = drivers.lazy.compactMap(\.promptTokens).first ?? 0
        record.finish = drivers.map { finishReason(outcomes[$0.choice] ?? .stop) }.joined(separator: ",")
        if hasLeft {
            record.outcome = .clientGone
        } else if isCut {
            record.outcome = .cut
        } else if let error = endingError {
            record.outcome = .failed
            record.errorCode = error.code.rawValue
        }
        record.payloads = Payloads.make(caller.capture, request: request, drivers: drivers)
    }

    private var usage: TokenUsage {
        TokenUsage(
            prompt: record.promptTokens, completion: record.visibleTokens,
            cachedPrompt: record.segments.first?.cachedTokens)
    }

    private func report(_ cost: RequestCost) -> RelayReport {
        RelayReport(
            policy: record.policy, calls: record.calls, slmTokens: record.slmTokens, llmTokens: record.llmTokens,
            commandTokens: record.commandTokens, cost: RelayReport.Cost(cost), degraded: record.degraded,
            clamped: drivers.reduce(0) { $0 + $1.clamped }, malformed: record.malformed,
            segments: record.segments.map(RelayReport.Segment.init))
    }

    private func logEnd(_ isDurable: Bool) {
        core.logger.info(
            "request",
            [
                "id": .string(id.description), "tenant": .string(caller.tenantName), "key": .string(caller.publicID),
                "model": .string(model.name), "outcome": .string(record.outcome.rawValue),
                "error": .string(record.errorCode ?? ""), "calls": .integer(record.calls),
                "slm_tokens": .integer(record.slmTokens), "llm_tokens": .integer(record.llmTokens),
                "degraded": .string(record.degraded ?? ""), "recorded": .boolean(isDurable),
                "duration": .duration(core.loop.now - started),
            ])
    }
}

extension RelayReport.Cost {
    init(_ cost: RequestCost) {
        self =
            switch cost {
            case .pico(let pico): .dollars(Money.dollars(pico: pico))
            case .unpriced: .unpriced
            case .unknown: .unknown
            }
    }
}

extension RelayReport.Segment {
    init(_ record: SegmentRecord) {
        self.init(
            choice: record.choice, role: record.role, model: record.model, requested: record.requested,
            granted: record.granted, generatedTokens: record.generatedTokens, commandTokens: record.commandTokens,
            promptTokens: record.promptTokens, cachedTokens: record.cachedTokens, source: record.source,
            finish: record.finish, firstTokenMilliseconds: record.firstTokenMicroseconds.map { Int($0 / 1000) },
            durationMilliseconds: Int(record.durationMicroseconds / 1000))
    }
}
