/// Reads the text of one generation: characters, end markers, commands; and attributes its tokens to commands.
struct TurnReader: Sendable {
    let role: Role
    /// Whether the generation was started with commands forbidden.
    let commandsForbidden: Bool

    private var characters = CharacterAssembler()
    private var markers: PatternMatcher
    private var markerHeld: [UInt8] = []
    private var scanner: CommandScanner
    private let tags: CommandTags
    private(set) var commandTokens: CommandTokenCounter

    /// Bytes that are in no view.
    private(set) var droppedBytes = 0
    /// Whether the server sent text behind the end of the turn.
    private(set) var textFollowed = false
    /// Malformed commands of this turn.
    private(set) var malformed = 0

    /// A reader for one generation; commands are looked for in SLM text only (C6).
    init(role: Role, configuration: RelayConfiguration, commandsForbidden: Bool) {
        self.role = role
        self.commandsForbidden = commandsForbidden
        tags = configuration.tags
        markers = PatternMatcher(role == .slm ? configuration.slmEndMarkers : [])
        scanner = CommandScanner(tags: configuration.tags)
        commandTokens = CommandTokenCounter(reach: scanner.holdLimit + markers.longest)
    }

    /// Reads the next chunk; returns what ended the turn, if something did.
    mutating func read(_ bytes: [UInt8], generated: Int?, into transcript: inout Transcript) -> RelayMachine.Cause? {
        commandTokens.chunk(bytes: bytes.count, generated: generated)
        return take(characters.append(bytes), into: &transcript)
    }

    /// Whether a closing tag ended the turn.
    private(set) var endedByTag = false

    /// Reads past the end of the turn; returns whether the server really goes on.
    mutating func ignore(_ bytes: [UInt8], generated: Int?) -> Bool {
        droppedBytes += bytes.count
        if endedByTag { commandTokens.dropped(bytes: bytes.count) }
        let goesOn = !bytes.isEmpty || (generated.map { commandTokens.isAhead($0) } ?? false)
        textFollowed = textFollowed || goesOn
        return goesOn
    }

    /// Ends the generation after its last text; returns what ended the turn, if its text did.
    ///
    /// - Parameters:
    ///   - finish: the server's finish reason; `nil` if the generation failed.
    ///   - stopReason: the stop string that matched, where the server names it.
    mutating func finish(_ finish: GenerationEnd.Finish?, stopReason: [UInt8]?, into transcript: inout Transcript)
        -> RelayMachine.Cause?
    {
        let cut: Bool
        switch finish {
        case .length, .cancelled, nil: cut = true
        case .stop, .other: cut = false
        }
        let rest = characters.finish(cut: cut)
        droppedBytes += rest.dropped
        if let cause = take(rest.text, into: &transcript) { return cause }
        guard role == .slm else { return nil }
        let held = markerHeld
        markerHeld = []
        if let cause = apply(scanner.append(held), to: &transcript) { return cause }
        return apply(scanner.finish(closed: isClosed(finish, stopReason)), to: &transcript)
            ?? (scanner.endedInsideCommand ? .malformed : nil)
    }

    /// Whether the closing tag ended the turn and the server left it out (C1).
    ///
    /// A server that does not name the stop string is believed to have stopped at the tag if a command was open.
    private func isClosed(_ finish: GenerationEnd.Finish?, _ stopReason: [UInt8]?) -> Bool {
        guard finish == .stop else { return false }
        return stopReason.map { $0 == tags.close } ?? scanner.isInsideCommand
    }

    private mutating func take(_ text: [UInt8], into transcript: inout Transcript) -> RelayMachine.Cause? {
        guard !text.isEmpty else { return nil }
        guard role == .slm else {
            transcript.append(text, by: .llm)
            guard transcript.stopped else { return nil }
            textFollowed = transcript.textFollowsStop
            return .callerStop
        }
        let (passed, marked) = passMarkers(text)
        if let cause = apply(scanner.append(passed), to: &transcript) {
            noteEnd(cause, marked: marked, in: transcript)
            return cause
        }
        guard marked else { return nil }
        // The marker is known to have ended the turn, so a command that is still open stays unclosed.
        let cause = apply(scanner.finish(closed: false), to: &transcript)
        return cause ?? (scanner.endedInsideCommand ? .malformed : .endMarker)
    }

    private mutating func noteEnd(_ cause: RelayMachine.Cause, marked: Bool, in transcript: Transcript) {
        if cause == .callerStop {
            textFollowed = transcript.textFollowsStop || marked
        } else {
            // A marker behind the end of the turn is dropped text like any other; its bytes are counted already.
            let held = markerHeld.count + characters.heldCount
            commandTokens.dropped(bytes: scanner.droppedBytes + held + droppedBytes)
            droppedBytes += scanner.droppedBytes + held
            textFollowed = textFollowed || marked || droppedBytes > 0
        }
        markerHeld = []
    }

    /// Passes text on up to an end marker; what may become one waits.
    private mutating func passMarkers(_ text: [UInt8]) -> (text: [UInt8], marked: Bool) {
        guard let match = markers.scan(text[...]) else {
            if markerHeld.isEmpty, markers.heldCount == 0 { return (text, false) }
            let all = markerHeld + text
            markerHeld = Array(all.suffix(markers.heldCount))
            return (all.dropLast(markers.heldCount), false)
        }
        let all = markerHeld + text[..<match.end]
        markerHeld = []
        textFollowed = match.end < text.count
        droppedBytes += match.length + text.count - match.end
        return (all.dropLast(match.length), true)
    }

    private mutating func apply(_ items: [CommandScanner.Item], to transcript: inout Transcript) -> RelayMachine.Cause?
    {
        for item in items {
            switch item {
            case .text(let text):
                transcript.append(text, by: .slm)
                if transcript.stopped { return .callerStop }
            case .removed(let bytes):
                transcript.appendRemoved(bytes)
                commandTokens.removed(bytes: bytes.count)
            case .opened(let start): commandTokens.opened(at: start)
            case .unclosed(let end):
                malformed += 1
                commandTokens.unclosed(end: end)
            case .malformed:
                malformed += 1
                endedByTag = true
                return .malformed
            case .command(let number):
                endedByTag = true
                return .command(number)
            }
        }
        return nil
    }
}
