import Foundation
import RelayCore
import Testing

/// A server's answer to one generation.
private struct Reply: Sendable {
    var text: [UInt8]
    var event: RelayEvent
}

/// One random answer: what it is bound to, what the servers will say and how the calls are answered.
private struct Scenario {
    var configuration: RelayConfiguration
    var script: Script
    var replies: [Reply]
    var grants: [RelayEvent]

    private static let fragments: [String] = [
        "<", "call>", "</call>", "<call>", "<call>5</call>", "<call>0</call>", "<call>x</call>", "<ca", "ll>", "</ca",
        "5", " ", "  ", "\n", "é", "🙂", "END", "EN", "D", "word ", "\u{FFFD}", "\u{200F}", "\0", "٢", "<call> 12 ",
        String(repeating: "y", count: 70), "99999999999999999999", "\nQuestion:", "\nQue", "stion:",
    ]

    init(using generator: inout SeededGenerator) {
        configuration = RelayConfiguration(
            maxTokens: Bool.random(using: &generator) ? nil : Int.random(in: 0...60, using: &generator),
            stop: Bool.random(using: &generator) ? [] : [utf8("END"), utf8("ND<")],
            maxCalls: Int.random(in: 0...4, using: &generator), maxMalformed: Int.random(in: 0...3, using: &generator),
            onLLMEndOfSequence: Bool.random(using: &generator) ? .finish : .resume,
            onRefusal: Int.random(in: 0..<4, using: &generator) == 0 ? .fail : .degrade,
            slmEndMarkers: Bool.random(using: &generator) ? [] : [utf8("\nQuestion:")])
        let writers: [Script.Writer] = [
            .relay(fixedTokens: nil), .relay(fixedTokens: nil), .relay(fixedTokens: 9), .slm, .llm,
        ]
        script = Script(writer: writers.randomElement(using: &generator) ?? .slm)
        replies = (0..<40).map { _ in Self.reply(&generator) }
        grants = (0..<40).map { _ in
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: .callRefused(RefusalReason.allCases.randomElement(using: &generator) ?? .budget)
            case 1: .callGranted(tokens: 0)
            default: .callGranted(tokens: Int.random(in: 1...600, using: &generator))
            }
        }
    }

    private static func reply(_ generator: inout SeededGenerator) -> Reply {
        var text: [UInt8] = []
        for _ in 0..<Int.random(in: 0...8, using: &generator) {
            text += utf8(fragments.randomElement(using: &generator) ?? "")
        }
        if Int.random(in: 0..<10, using: &generator) == 0 { text += [0xE2, 0x82] }
        let tokens = Int.random(in: 0...20, using: &generator)
        let finishes: [GenerationEnd.Finish] = [.stop, .stop, .stop, .length, .length, .cancelled, .other("filter")]
        let finish = finishes.randomElement(using: &generator) ?? .stop
        let named = finish == .stop && Int.random(in: 0..<4, using: &generator) == 0
        if Int.random(in: 0..<12, using: &generator) == 0 {
            let reasons = GenerationFailure.Reason.allCases
            return Reply(text: text, event: failed(reasons.randomElement(using: &generator) ?? .upstream, tokens))
        }
        return Reply(text: text, event: ended(finish, tokens, reason: named ? "</call>" : nil))
    }
}

/// What must hold at the end, whatever was said.
private struct Played: Equatable {
    var client: [UInt8] = []
    var expert: [UInt8] = []
    var segments: [Segment] = []
    var outcome: RelayOutcome?
    var malformed = 0
    var calls = 0
}

private func play(_ scenario: Scenario, cut: (_ text: [UInt8]) -> [[UInt8]]) -> Played {
    var machine = RelayMachine(script: scenario.script, configuration: scenario.configuration)
    var events: [RelayEvent] = [.begin]
    var shown: [UInt8] = []
    var experts: [[UInt8]] = []
    var replies = scenario.replies.makeIterator()
    var grants = scenario.grants.makeIterator()
    var finished = false
    while !events.isEmpty {
        for action in machine.handle(events.removeFirst()) {
            #expect(!finished, "an action behind the end")
            switch action {
            case .emit(let text, let role):
                #expect(String(validating: text, as: UTF8.self) != nil, "half a character")
                #expect(machine.transcript.runs.contains { $0.role == role })
                shown += text
            case .generate(let generation):
                #expect(generation.maxTokens.map { $0 >= 1 } ?? true)
                if generation.role == .llm { experts.append(machine.transcript.expert) }
                guard let reply = replies.next() else { break }
                events += cut(reply.text).map { .text($0, generated: nil) } + [reply.event]
            case .reserve(let requested, let wanted):
                #expect(requested >= 0 && wanted >= 1 && wanted <= 512)
                if let grant = grants.next() { events.append(grant) }
            case .reserveAnswer: if let grant = grants.next() { events.append(grant) }
            case .cancelGeneration: break
            case .finish: finished = true
            }
        }
    }
    #expect(finished)
    check(machine, scenario, shown: shown, experts: experts)
    return Played(
        client: machine.transcript.client, expert: machine.transcript.expert, segments: machine.segments,
        outcome: machine.outcome, malformed: machine.malformed, calls: machine.calls)
}

private func check(_ machine: RelayMachine, _ scenario: Scenario, shown: [UInt8], experts: [[UInt8]]) {
    let transcript = machine.transcript
    #expect(shown == transcript.client)
    // No tag that the SLM wrote is visible; bytes of the LLM are masked by one that is in no tag.
    var masked = transcript.view
    var start = 0
    for run in transcript.runs {
        if run.role == .llm { for index in start..<run.end { masked[index] = 0x01 } }
        start = run.end
    }
    #expect(start == transcript.view.count)
    #expect(!contains(masked, openTag) && !contains(masked, closeTag), "a tag is visible: \(string(masked))")
    for stop in scenario.configuration.stop { #expect(!contains(transcript.client, stop)) }
    // The expert text of each call begins with that of the call before.
    for (earlier, later) in zip(experts, experts.dropFirst()) { #expect(later.starts(with: earlier)) }
    // Lengths add up: every byte of the controller view is visible, hidden, or counted as left out.
    #expect(
        transcript.controller.count == transcript.view.count + transcript.removedBytes + transcript.droppedWhiteSpace
            + transcript.heldBytes)
    #expect(transcript.view.count == transcript.client.count + transcript.hiddenBytes)
    #expect(machine.segments.map(\.visibleBytes).reduce(0, +) == transcript.client.count)
    #expect(machine.segments.map(\.visibleTokens).reduce(0, +) == machine.visibleTokens)
    for segment in machine.segments { #expect(segment.commandTokens <= segment.generatedTokens) }
    let limit = scenario.configuration.maxCalls
    #expect(machine.calls <= limit)
    #expect(machine.segments.count { $0.granted == nil } <= limit + max(1, scenario.configuration.maxMalformed) + 5)
}

@Suite("Properties of random answers") struct PropertyTests {
    /// The seed of this run, or that of `RELAY_SEED` to repeat one.
    static let seed: UInt64 = {
        if let text = ProcessInfo.processInfo.environment["RELAY_SEED"], let seed = UInt64(text) { return seed }
        return UInt64.random(in: 0..<1_000_000_000)
    }()

    @Test("views, limits and lengths hold, and any chunking gives the same (C2, C5, T1, T3, T5, T7)")
    func randomAnswers() {
        print("RELAY_SEED=\(Self.seed)")
        for run in 0..<1500 {
            var generator = SeededGenerator(state: Self.seed &+ UInt64(run))
            let scenario = Scenario(using: &generator)
            let whole = play(scenario) { [$0] }
            let single = play(scenario) { $0.map { [$0] } }
            #expect(single == whole, "RELAY_SEED=\(Self.seed &+ UInt64(run))")
            for _ in 0..<2 {
                let cut = play(scenario) { text in
                    var chunks: [[UInt8]] = []
                    var rest = text[...]
                    while !rest.isEmpty {
                        let part = rest.prefix(Int.random(in: 0...12, using: &generator))
                        chunks.append(Array(part))
                        rest = rest.dropFirst(part.count)
                    }
                    return chunks
                }
                #expect(cut == whole, "RELAY_SEED=\(Self.seed &+ UInt64(run))")
            }
        }
    }
}
