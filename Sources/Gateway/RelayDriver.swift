internal import Accounting
internal import Configuration
internal import Failpoints
internal import Reactor
internal import RelayCore
internal import Telemetry
internal import Wire

/// Runs one answer: feeds the relay machine with what upstreams write and does what it says. *Loop thread.*
final class RelayDriver {
    let choice: Int
    private(set) var machine: RelayMachine
    var log: AttemptLog
    /// The last failure of an upstream, for the error that the caller gets if it ends the answer.
    private(set) var failure: UpstreamFailure?
    /// Prompt tokens that the server of the first generation read.
    private(set) var promptTokens: Int?
    /// What refused the last call, for the error that the caller gets.
    var refusal: ReservationRefusal?
    /// Calls that a budget granted less than was asked for.
    var clamped = 0
    unowned let session: RequestSession
    let core: LoopCore
    private var events: [RelayEvent] = []
    private var isHandling = false
    var attempt: Attempt?
    /// The tokens held for the attempt under way, or for the one that comes next.
    var reservation: Reservation?
    /// The bound of the prompt that was reserved with it.
    var promptBound = ChargeRule.PromptBound()
    /// A failed attempt that is followed by another as soon as tokens are reserved for that.
    var retry: Retry?
    /// The replica that served each role last: its prefix cache knows this answer.
    private var preferred: [Role: Int] = [:]
    /// What each role's server last said it had in its window, and how long the view was then.
    private var windowUse: [Role: (tokens: Int, viewBytes: Int)] = [:]
    var closed: AttemptLog.Closed?
    private var isPaused = false

    /// A failed attempt, and what the machine is told if no other follows.
    struct Retry {
        let closed: AttemptLog.Closed
        let failure: UpstreamFailure
        let end: UpstreamGeneration.End
    }

    /// One segment's work: the attempt under way and what came before it.
    struct Attempt {
        let generation: Generation
        /// The view at the segment's start.
        let base: [UInt8]
        /// Replicas to try, the current one first.
        var replicas: [Upstream]
        /// Attempts left on the current replica.
        var retries: Int
        var number = 0
        var open: AttemptLog.Open?
        var upstream: UpstreamGeneration?
        /// Text that this segment's attempts have written, and the tokens of those that failed (rule F3).
        var written: [UInt8] = []
        var earlierTokens = 0
        /// The `max_tokens` that the current attempt was sent with.
        var limit = 0
        /// The machine wants no more of this segment.
        var isCancelled = false
    }

    init(choice: Int, script: Script, configuration: RelayConfiguration, session: RequestSession, core: LoopCore) {
        self.choice = choice
        self.session = session
        self.core = core
        machine = RelayMachine(script: script, configuration: configuration)
        log = AttemptLog(choice: choice)
    }

    // MARK: Events from the session

    func begin() { handle(.begin) }

    /// The caller has left, or the gateway stops: nothing more is generated.
    func leave() { handle(.clientLeft) }

    /// A refused call ends this answer instead of degrading it.
    func failOnRefusal() { machine.failOnRefusal() }

    func pause() {
        isPaused = true
        attempt?.upstream?.pause()
    }

    func resume() {
        isPaused = false
        attempt?.upstream?.resume()
    }

    // MARK: The machine

    func handle(_ event: RelayEvent) {
        events.append(event)
        guard !isHandling else { return }
        isHandling = true
        var index = 0
        while index < events.count {
            let known = machine.segments.count
            let actions = machine.handle(events[index])
            index += 1
            // The rows first: the action may be the last one, which reads them.
            record(machine.segments[known...])
            for action in actions { perform(action) }
        }
        events.removeAll(keepingCapacity: true)
        isHandling = false
    }

    private func perform(_ action: RelayAction) {
        switch action {
        case .emit(let text, let role): session.emit(text, by: role, choice: choice)
        case .reserve(_, let wanted): reserve(wanted)
        case .reserveAnswer(let wanted): reserveAnswer(wanted)
        case .generate(let generation): start(generation)
        case .cancelGeneration: cancel()
        case .finish(let outcome): session.finished(self, outcome)
        }
    }

    /// The first new segment is that of the generation which has just ended; the others are refused calls.
    private func record(_ segments: ArraySlice<Segment>) {
        for (sequence, segment) in zip(segments.indices, segments) {
            if let closed {
                log.add(segment, closed, sequence: sequence)
                self.closed = nil
            } else {
                let model = session.model.pair.upstreams(segment.role).first?.model ?? ""
                log.addRefused(segment, model: model, sequence: sequence, at: LoopCore.wallClock())
            }
        }
    }

    /// Tokens that still fit the window of a server, where its size is configured.
    ///
    /// What the server counted last is exact; text that came after it is taken as one token for three bytes, because a
    /// bound of one token a byte would end answers long before the window is full. The server has the last word (T6).
    func contextRoom(_ upstream: Upstream, _ role: Role) -> Int? {
        guard let window = upstream.configuration.contextWindow else { return nil }
        let view = machine.transcript.text(for: role).count
        let known = windowUse[role] ?? (tokens: session.promptBytes / 3, viewBytes: 0)
        return window - known.tokens - max(0, view - known.viewBytes) / 3
    }

    // MARK: Generations

    private func start(_ generation: Generation) {
        let replicas = core.upstreams.order(
            session.model.pair.upstreams(generation.role), preferring: preferred[generation.role])
        guard let first = replicas.first else { preconditionFailure("a role without a server") }
        attempt = Attempt(
            generation: generation, base: machine.transcript.text(for: generation.role), replicas: replicas,
            retries: first.configuration.retries)
        tryNext()
    }

    func tryNext() {
        guard var current = attempt, let upstream = current.replicas.first else { return }
        let role = current.generation.role
        current.number += 1
        current.open = AttemptLog.Open(
            upstream: upstream, role: role, attempt: current.number, began: LoopCore.wallClock(),
            beganAt: core.loop.now)
        attempt = current
        let number = current.number
        session.prompts.prompt(role, for: upstream) { [weak self] result in
            guard let self, attempt?.number == number, attempt?.upstream == nil else { return }
            switch result {
            case .success(let prompt): send(prompt, to: upstream)
            case .failure(let failure): attemptFailed(.failedBeforeSending(failure), failure)
            }
        }
    }

    private func send(_ prompt: PromptBook.Prompt, to upstream: Upstream) {
        guard let attempt, !attempt.isCancelled else { return attemptOver(.cancelledBeforeSending) }
        let generation = attempt.generation
        var limit = generation.maxTokens.map { max(1, $0 - attempt.earlierTokens) } ?? upstream.configuration.maxTokens
        if let room = contextRoom(upstream, generation.role) { limit = max(1, min(limit, room)) }
        if generation.role == .llm, let held = reservation?.tokens { limit = min(limit, held) }
        self.attempt?.limit = limit
        Failpoint.reach(.beforeCall)
        let body = GenerationBody(request: session.request, upstream: upstream, tags: session.model.relay.tags)
            .write(
                generation, prompt: prompt, view: attempt.base + attempt.written,
                maxTokens: limit, choice: choice)
        let started = UpstreamGeneration(
            link: core.upstreams.link(upstream), core: core,
            isBatched: generation.role == .llm || !machine.script.isRelay,
            reader: self)
        self.attempt?.upstream = started
        if case .chat = prompt {
            started.start(body, isChat: true, limit: limit)
        } else {
            started.start(body, isChat: false, limit: limit)
        }
        if isPaused { started.pause() }
    }

    private func cancel() {
        attempt?.isCancelled = true
        if retry != nil { return giveUpRetry() }
        if let upstream = attempt?.upstream {
            upstream.cancel()
        } else {
            attemptOver(.cancelledBeforeSending)
        }
    }

    // MARK: The end of an attempt

    private func attemptOver(_ end: UpstreamGeneration.End) {
        if case .failed(let failure) = end.kind { return attemptFailed(end, failure) }
        guard let role = attempt?.generation.role else { return }
        if let upstream = attempt?.replicas.first, case .finished = end.kind {
            end.overran ? core.upstreams.noteOverrun(upstream) : core.upstreams.noteSuccess(upstream)
            preferred[role] = upstream.index
        }
        let tokens = end.generatedTokens + (attempt?.earlierTokens ?? 0)
        close(end)
        switch end.kind {
        case .finished(let finish, let stopReason):
            handle(
                .generationEnded(
                    GenerationEnd(finish, stopReason: stopReason, generatedTokens: tokens, source: end.source)))
        case .cancelled, .failed:
            handle(.generationEnded(GenerationEnd(.cancelled, generatedTokens: tokens, source: end.source)))
        }
    }

    private func attemptFailed(_ end: UpstreamGeneration.End, _ failure: UpstreamFailure) {
        guard let current = attempt, let open = current.open else { return }
        self.failure = failure
        core.logger.warning(
            "upstream attempt failed",
            [
                "request": .string(session.id.description), "upstream": .string(open.upstream.name),
                "attempt": .integer(open.attempt), "failure": .string(failure.label),
                "status": .integer(failure.status ?? 0),
            ])
        if failure.mayRetry { core.upstreams.noteFailure(open.upstream) }
        if !current.isCancelled, let next = nextAttempt(current, failure) {
            let closed = closing(end, open)
            attempt = next
            attempt?.earlierTokens += end.generatedTokens
            if current.generation.role == .llm {
                retry = Retry(closed: closed, failure: failure, end: end)
                return reserveRetry(current.limit)
            }
            log.addFailed(closed, failure, sequence: machine.segments.count)
            return tryNext()
        }
        close(end)
        tellFailed(current, end, failure)
    }

    func tellFailed(_ current: Attempt, _ end: UpstreamGeneration.End, _ failure: UpstreamFailure) {
        let tokens = end.generatedTokens + current.earlierTokens
        if current.isCancelled {
            handle(.generationEnded(GenerationEnd(.cancelled, generatedTokens: tokens, source: end.source)))
        } else {
            handle(.generationFailed(GenerationFailure(failure.reason, generatedTokens: tokens, source: end.source)))
        }
    }

    /// The attempt to make after a failure; nil when none is left.
    ///
    /// Before the first byte the same replica gets its retries and then the others theirs (F5). An SLM that fails in
    /// mid-answer is followed by another replica, which goes on where it stopped (F3); what an LLM wrote before it
    /// failed is kept, and the SLM takes over (F2).
    private func nextAttempt(_ current: Attempt, _ failure: UpstreamFailure) -> Attempt? {
        guard failure.mayRetry else { return nil }
        var next = current
        next.upstream = nil
        if current.written.isEmpty, current.retries > 0 {
            next.retries -= 1
            return next
        }
        guard current.written.isEmpty || current.generation.role == .slm else { return nil }
        next.replicas.removeFirst()
        guard let replica = next.replicas.first else { return nil }
        next.retries = replica.configuration.retries
        return next
    }

    /// Keeps what the ledger says of the segment's last attempt until the machine has closed the segment.
    private func close(_ end: UpstreamGeneration.End) {
        guard let attempt, let open = attempt.open else { return }
        closed = closing(end, open)
        if let prompt = end.promptTokens {
            if promptTokens == nil { promptTokens = prompt }
            let view = machine.transcript.text(for: attempt.generation.role).count
            windowUse[attempt.generation.role] = (prompt + end.generatedTokens, view)
        }
        self.attempt = nil
    }

    private func closing(_ end: UpstreamGeneration.End, _ open: AttemptLog.Open) -> AttemptLog.Closed {
        Failpoint.reach(.afterCall)
        return AttemptLog.Closed(
            open: open, end: end,
            firstText: attempt?.upstream?.firstText.map { ($0 - open.beganAt).microseconds },
            duration: (core.loop.now - open.beganAt).microseconds,
            charges: open.role == .llm ? settleReservation(end) : [])
    }
}

extension RelayDriver: GenerationReader {
    func generation(
        _ generation: UpstreamGeneration, wrote text: [UInt8], running: Int?, extras: ChunkExtras?
    ) {
        guard attempt?.upstream === generation else { return }
        attempt?.written += text
        if attempt?.generation.role == .llm { Failpoint.reach(.duringCall) }
        if let extras { session.attach(extras, choice: choice) }
        let earlier = attempt?.earlierTokens ?? 0
        handle(.text(text, generated: running.map { $0 + earlier }))
        if extras != nil { session.writeAttached(choice: choice) }
    }

    func generationEnded(_ generation: UpstreamGeneration, _ end: UpstreamGeneration.End) {
        guard attempt?.upstream === generation else { return }
        attemptOver(end)
    }
}

extension UpstreamGeneration.End {
    /// Cancelled before anything was sent.
    static var cancelledBeforeSending: Self {
        Self(
            kind: .cancelled, promptTokens: nil, cachedTokens: nil, generatedTokens: 0, source: .reported,
            wasStarted: false)
    }

    /// Failed before anything was generated.
    static func failedBeforeSending(_ failure: UpstreamFailure) -> Self {
        Self(
            kind: .failed(failure), promptTokens: nil, cachedTokens: nil, generatedTokens: 0, source: .reported,
            wasStarted: false)
    }
}
