/// The relay of one answer: told what happened, it says what to do next. Synchronous, without clock, lock or I/O.
///
/// Events and actions alternate strictly: every `generate` is answered by texts and one `generationEnded` or
/// `generationFailed`, every `reserve` by `callGranted` or `callRefused`; `clientLeft` may come at any time. An event
/// that cannot occur in a phase is an error of the driver and traps; after `finish` every event is ignored.
package struct RelayMachine: Sendable {
    /// Where the answer stands.
    enum Phase: Equatable {
        /// Before `begin`. Next: generating, finished.
        case idle
        /// A generation runs and its text counts. Next: ending, reserving, generating, finished.
        case generating
        /// The text of the running generation is complete; its end is awaited. Next: as from generating.
        case ending(Cause)
        /// A call waits for its grant. Next: generating, finished.
        case reserving(requested: Int, wanted: Int)
        /// The LLM, which is to write alone, waits for its grant. Next: generating, finished.
        case reservingAnswer
        /// Over.
        case finished
    }

    /// What in the text, or which event, ended a generation before its server did.
    enum Cause: Equatable {
        case command(Int)
        case malformed, endMarker, callerStop, clientLeft
    }

    package let script: Script
    private(set) var configuration: RelayConfiguration
    var phase = Phase.idle
    var turn: TurnReader
    var cancelSent = false
    /// What the running LLM generation was granted, and for which n.
    var call: (requested: Int, granted: Int)?
    var emitted = 0
    /// The view at the start of the running generation.
    var viewStart = 0
    var segmentStarts: [Int] = []
    var actions: [RelayAction] = []
    /// Commands that ended a turn, n = 0 included (C3, T3).
    var turns = 0
    /// Commands written although they were forbidden (T4).
    var forbiddenCommands = 0
    var generations = 0
    var scannedMalformed = 0

    /// The answer so far, in its three views. A copy kept over the next event costs a copy of the text.
    package internal(set) var transcript: Transcript
    /// Ended generations and refused calls, in order.
    package internal(set) var segments: [Segment] = []
    /// Calls that were granted and not refused by the LLM's context window.
    package internal(set) var calls = 0
    /// Visible tokens of all ended segments: generated tokens without command tokens (T5).
    package internal(set) var visibleTokens = 0
    /// Why the SLM goes on alone, if it does (F1); the first reason.
    package internal(set) var degraded: RefusalReason?
    /// How the answer ended; `nil` while it has not.
    package internal(set) var outcome: RelayOutcome?
    /// Bytes from the servers that are in no view: text behind a command or an end marker, half characters.
    package internal(set) var droppedBytes = 0

    /// A machine for one answer.
    package init(script: Script, configuration: RelayConfiguration) {
        self.script = script
        self.configuration = configuration
        transcript = Transcript(tags: configuration.tags, stop: configuration.stop)
        turn = TurnReader(role: .slm, configuration: configuration, commandsForbidden: false)
    }

    /// Malformed commands so far (C5).
    package var malformed: Int { scannedMalformed + transcript.joinedTags }

    /// Whether commands are forbidden from here on (T3, C5, F1, and the script of the SLM alone).
    package var commandsForbidden: Bool {
        script.writer == .slm || turns >= configuration.maxCalls || degraded != nil
            || malformed >= max(1, configuration.maxMalformed)
    }

    /// From now on a refused call ends the answer, whatever the configuration says: a budget rejects, and the caller
    /// has not seen anything yet.
    package mutating func failOnRefusal() { configuration.onRefusal = .fail }

    /// Takes an event and returns what to do, in order.
    package mutating func handle(_ event: RelayEvent) -> [RelayAction] {
        step(event)
        precondition(generations <= generationLimit, "the relay does not end")
        defer { actions = [] }
        return actions
    }

    /// Every path through the rules ends: calls, malformed and forbidden commands are limited each.
    private var generationLimit: Int {
        let calls = min(max(0, configuration.maxCalls), 1 << 30)
        return calls * 2 + min(max(1, configuration.maxMalformed), 1 << 30) + 5
    }

    private mutating func step(_ event: RelayEvent) {
        switch (phase, event) {
        case (.finished, _): break
        case (_, .clientLeft): clientLeft()
        case (.idle, .begin): script.writer == .llm ? beginLLM() : resumeSLM()
        case (.generating, .text(let bytes, let generated)): read(bytes, generated: generated)
        case (.ending, .text(let bytes, let generated)): ignore(bytes, generated: generated)
        case (.generating, .generationEnded(let end)), (.ending, .generationEnded(let end)): ended(end)
        case (.generating, .generationFailed(let failure)), (.ending, .generationFailed(let failure)): failed(failure)
        case (.reserving(let requested, let wanted), .callGranted(let tokens)):
            granted(tokens, requested: requested, wanted: wanted)
        case (.reserving(let requested, _), .callRefused(let reason)):
            refused(reason, requested: requested, failure: .refused(reason))
        case (.reservingAnswer, .callGranted): writeByLLM()
        case (.reservingAnswer, .callRefused(let reason)):
            refused(reason, requested: nil, failure: .refused(reason))
        default: Self.trap(event, in: phase)
        }
    }

    private static func trap(_ event: RelayEvent, in phase: Phase) -> Never {
        preconditionFailure("the relay's driver sent an event that cannot occur now: \(event) in \(phase)")
    }

    private mutating func clientLeft() {
        switch phase {
        case .idle, .reserving, .reservingAnswer: finish(.clientLeft)
        case .generating, .ending:
            phase = .ending(.clientLeft)
            cancel()
        case .finished: break
        }
    }

    private mutating func read(_ bytes: [UInt8], generated: Int?) {
        let cause = turn.read(bytes, generated: generated, into: &transcript)
        emitVisible()
        guard let cause else { return }
        phase = .ending(cause)
        // A server that honours the stop string ends by itself and then still tells its count of tokens.
        if turn.textFollowed || (cause == .callerStop && !script.passesCallerStop) { cancel() }
    }

    /// Text behind the end of the turn: the server ignored the stop string.
    private mutating func ignore(_ bytes: [UInt8], generated: Int?) {
        if turn.ignore(bytes, generated: generated) { cancel() }
    }

    private mutating func cancel() {
        guard !cancelSent else { return }
        cancelSent = true
        actions.append(.cancelGeneration)
    }

    /// Hands newly visible text to the client.
    mutating func emitVisible() {
        guard transcript.clientCount > emitted else { return }
        for piece in transcript.pieces(emitted..<transcript.clientCount) {
            actions.append(.emit(piece.text, by: piece.role))
        }
        emitted = transcript.clientCount
    }

    /// Ends the answer.
    mutating func finish(_ outcome: RelayOutcome) {
        if outcome != .clientLeft {
            transcript.complete()
            emitVisible()
        }
        settleVisibleBytes()
        phase = .finished
        self.outcome = outcome
        actions.append(.finish(outcome))
    }
}
