import RelayCore
import Testing

private struct Hostile: Sendable, CustomTestStringConvertible {
    var name: String
    var turn: String
    /// What the client may see of each turn.
    var visible: String

    var testDescription: String { name }
}

private let megabyte = String(repeating: "x", count: 1 << 20)

private let hostileOutputs: [Hostile] = [
    .init(name: "nested", turn: "a<call>5<call>6</call>", visible: "a"),
    .init(name: "unclosed", turn: "a<call>", visible: "a"),
    .init(name: "10^18", turn: "a<call>1\(String(repeating: "0", count: 18))</call>", visible: "a"),
    .init(name: "10^400", turn: "a<call>1\(String(repeating: "0", count: 400))</call>", visible: "a"),
    .init(name: "Arabic digits", turn: "a<call>٢٠</call>", visible: "a"),
    .init(name: "RTL marks", turn: "a<call>\u{202E}20\u{202C}</call>", visible: "a"),
    .init(name: "NUL", turn: "a\0<call>\0</call>", visible: "a\0"),
    .init(name: "tag in tag", turn: "<ca<call>5</call>ll>5</call>", visible: "<ca"),
    .init(name: "closing tag alone", turn: "a</call>b", visible: "a"),
    .init(name: "a megabyte of digits", turn: "a<call>\(String(repeating: "1", count: 1 << 20))</call>", visible: "a"),
]

@Suite("Hostile outputs")
struct HostileOutputTests {
    @Test("an SLM that never writes anything else: the answer ends, and no tag is seen", arguments: hostileOutputs)
    private func always(_ hostile: Hostile) {
        var machine = relay()
        var events: [RelayEvent] = [.begin]
        var turns = 0
        var generations = 0
        while !events.isEmpty {
            for action in machine.handle(events.removeFirst()) {
                switch action {
                case .generate(let generation):
                    generations += 1
                    let slm = generation.role == .slm
                    turns += slm ? 1 : 0
                    events += [said(slm ? hostile.turn : "|"), ended(slm ? .stop : .length, 1)]
                case .reserve(let requested, let wanted):
                    #expect(requested >= wanted && wanted <= 512)
                    events.append(.callGranted(tokens: wanted))
                case .reserveAnswer, .emit, .cancelGeneration, .finish: break
                }
            }
        }
        #expect(machine.outcome == .stop)
        // Four calls with five turns, three malformed before commands are forbidden, three forbidden ones.
        #expect(generations <= 2 * 4 + 3 + 3)
        let seen = machine.client.split(separator: "|", omittingEmptySubsequences: false).joined()
        #expect(seen == String(repeating: hostile.visible, count: turns))
        #expect(!machine.expert.contains("<call>") && !machine.expert.contains("</call>"))
    }

    @Test("a megabyte without a break is shown as it comes")
    func megabyteText() {
        var machine = relay(RelayConfiguration(stop: [utf8("END")], slmEndMarkers: [utf8("\nQuestion:")]))
        _ = machine.play(.begin)
        #expect(machine.play(said(megabyte)) == [show(megabyte)])
    }

    @Test("a tag cut by text that was held back for something else")
    func heldForSomethingElse() {
        // The end marker and the stop string begin like the text before a tag and like a tag.
        var machine = relay(RelayConfiguration(stop: [utf8("x<y")], slmEndMarkers: [utf8("<<")]))
        _ = machine.play(.begin)
        #expect(machine.play(said("ax<")) == [show("a")])
        #expect(machine.play(said("call>5<")) == [])
        #expect(machine.play(said("/call>"), ended(.stop)) == [.reserve(requested: 5, wanted: 5)])
        #expect(machine.client == "a")
        #expect(machine.expert == "ax")
    }

    @Test("F3: a failure behind an end marker takes nothing away, an open command there is malformed")
    func failureBehindMarker() {
        var machine = relay(RelayConfiguration(slmEndMarkers: [utf8("\nQ:")]))
        _ = machine.play(.begin, said("a\nQ:"))
        #expect(machine.play(failed(.upstream)) == [.finish(.stop)])
        var open = relay(RelayConfiguration(slmEndMarkers: [utf8("\nQ:")]))
        _ = open.play(.begin, said("a<call>5\nQ:"))
        #expect(open.play(failed(.upstream)) == [askSLM(stop: ["</call>", "\nQ:"])])
        #expect(open.malformed == 1)
        #expect(open.client == "a")
    }
}
