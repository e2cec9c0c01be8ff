import RelayCore

/// Short notation for the transcripts of events and actions in these tests.
func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

let openTag = utf8("<call>")
let closeTag = utf8("</call>")
let relayScript = Script(writer: .relay(fixedTokens: nil))

func relay(_ configuration: RelayConfiguration = RelayConfiguration(), script: Script = relayScript) -> RelayMachine {
    RelayMachine(script: script, configuration: configuration)
}

func askSLM(_ maxTokens: Int? = nil, forbidden: Bool = false, stop: [String] = ["</call>"]) -> RelayAction {
    .generate(Generation(role: .slm, maxTokens: maxTokens, commandsForbidden: forbidden, stop: stop.map(utf8)))
}

func askLLM(_ maxTokens: Int?, stop: [String] = []) -> RelayAction {
    .generate(Generation(role: .llm, maxTokens: maxTokens, commandsForbidden: false, stop: stop.map(utf8)))
}

func said(_ text: String, _ generated: Int? = nil) -> RelayEvent { .text(utf8(text), generated: generated) }

func ended(_ finish: GenerationEnd.Finish, _ tokens: Int = 10, reason: String? = nil) -> RelayEvent {
    .generationEnded(GenerationEnd(finish, stopReason: reason.map(utf8), generatedTokens: tokens, source: .reported))
}

func failed(_ reason: GenerationFailure.Reason, _ tokens: Int = 0) -> RelayEvent {
    .generationFailed(GenerationFailure(reason, generatedTokens: tokens, source: .counted))
}

func show(_ text: String, by role: Role = .slm) -> RelayAction { .emit(utf8(text), by: role) }

extension RelayMachine {
    /// Plays events and returns the actions of the last one.
    mutating func play(_ events: RelayEvent...) -> [RelayAction] {
        var last: [RelayAction] = []
        for event in events { last = handle(event) }
        return last
    }

    var client: String { string(transcript.client) }
    var expert: String { string(transcript.expert) }
    var controller: String { string(transcript.controller) }
    var finishes: [Segment.Finish] { segments.map(\.finish) }
}

/// A small generator (SplitMix64) so that a printed seed repeats a run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Every way to cut a text in two, and the text byte by byte.
func splits(_ bytes: [UInt8]) -> [[[UInt8]]] {
    (0...bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] } + [bytes.map { [$0] }]
}

func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    guard text.count >= part.count else { return false }
    return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
}
