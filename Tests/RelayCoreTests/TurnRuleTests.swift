import RelayCore
import Testing

@Suite("Rules of turns: T1 to T7") struct TurnRuleTests {
    private func called(_ configuration: RelayConfiguration = RelayConfiguration(), n: Int = 50) -> RelayMachine {
        var machine = relay(configuration)
        _ = machine.play(.begin, said("a <call>\(n)", 6), ended(.stop, 6))
        return machine
    }

    @Test("T1: wanted is the least of n, the cap and what is left of max_tokens") func wanted() {
        var machine = relay(RelayConfiguration(maxTokens: 40))
        _ = machine.play(.begin, said("a ", 2), said("<call>50", 8))
        // 8 tokens, 6 of the command: 40 - 2 = 38 are left.
        #expect(machine.play(ended(.stop, 8)) == [.reserve(requested: 50, wanted: 38)])
        #expect(machine.play(.callGranted(tokens: 30)) == [askLLM(30)])
        #expect(machine.play(said("b"), ended(.length, 30)).last == askSLM(8))
    }

    @Test("T1: more is never used than was wanted; a grant of 0 is a refusal") func grants() {
        var machine = called()
        #expect(machine.play(.callGranted(tokens: 99)) == [askLLM(50)])
        var refused = called()
        #expect(refused.play(.callGranted(tokens: 0)) == [askSLM(forbidden: true)])
        #expect(refused.finishes == [.call(50), .refused(.limit)])
        #expect(refused.degraded == .limit)
        var negative = called()
        #expect(negative.play(.callGranted(tokens: -1)) == [askSLM(forbidden: true)])
    }

    @Test("T1: with nothing left of max_tokens the call is refused with that reason and the answer ends")
    func nothingLeft() {
        var machine = relay(RelayConfiguration(maxTokens: 2))
        _ = machine.play(.begin, said("a b ", 2), said("<call>5", 7))
        #expect(machine.play(ended(.stop, 7)) == [.finish(.length)])
        #expect(machine.finishes == [.call(5), .refused(.maxTokens)])
        #expect(machine.degraded == nil)
    }

    @Test("T2: the SLM resumes after length; stop ends the answer or returns control") func endOfLLM() {
        var length = called()
        #expect(length.play(.callGranted(tokens: 50), said("b"), ended(.length)) == [askSLM()])
        var stop = called()
        #expect(stop.play(.callGranted(tokens: 50), said("b"), ended(.stop)) == [.finish(.stop)])
        var resume = called(RelayConfiguration(onLLMEndOfSequence: .resume))
        #expect(resume.play(.callGranted(tokens: 50), said("b"), ended(.stop)) == [askSLM()])
        var other = called()
        #expect(
            other.play(.callGranted(tokens: 50), said("b"), ended(.other("content_filter"))) == [
                .finish(.other("content_filter"))
            ])
    }

    @Test("T3: in the turn after max_calls commands are forbidden") func maxCalls() {
        var machine = relay()
        _ = machine.play(.begin)
        for call in 1...4 {
            _ = machine.play(said("a <call>5"), ended(.stop), .callGranted(tokens: 5), said("b"))
            #expect(machine.play(ended(.length)) == [askSLM(forbidden: call == 4)])
        }
        #expect(machine.calls == 4)
        #expect(machine.play(said("done"), ended(.stop)) == [.finish(.stop)])
    }

    @Test("T4: a command written although forbidden is removed; after the third the answer ends") func forbidden() {
        var machine = relay(RelayConfiguration(maxCalls: 0))
        #expect(machine.play(.begin) == [askSLM(forbidden: true)])
        #expect(machine.play(said("a <call>5"), ended(.stop)) == [askSLM(forbidden: true)])
        #expect(machine.play(said(" b <call>x"), ended(.stop)) == [askSLM(forbidden: true)])
        #expect(machine.play(said(" c <call>5"), ended(.stop)) == [.finish(.stop)])
        #expect(machine.client == "a b c ")
        #expect(machine.finishes == [.forbidden(5), .malformed, .forbidden(5)])
        #expect(machine.calls == 0)
    }

    @Test("T5: max_tokens counts visible tokens over all segments") func maxTokens() {
        var machine = relay(RelayConfiguration(maxTokens: 12))
        #expect(machine.play(.begin) == [askSLM(12)])
        #expect(machine.play(said("a ", 2), said("<call>5", 8), ended(.stop, 8)) == [.reserve(requested: 5, wanted: 5)])
        #expect(machine.play(.callGranted(tokens: 5), said("b"), ended(.length, 5)) == [askSLM(5)])
        #expect(machine.play(said("c"), ended(.length, 5)) == [.finish(.length)])
        #expect(machine.visibleTokens == 12)
        var none = relay(RelayConfiguration(maxTokens: 0))
        #expect(none.play(.begin) == [.finish(.length)])
    }

    @Test("T5: a stop string acts across segments, is held back, and is not shown") func stopAcrossSegments() {
        var machine = relay(RelayConfiguration(stop: [utf8("THE END")]))
        _ = machine.play(.begin)
        #expect(machine.play(said("It is TH")) == [show("It is ")])
        #expect(machine.play(said("<call>5"), ended(.stop)) == [.reserve(requested: 5, wanted: 5)])
        #expect(machine.play(.callGranted(tokens: 5), said("E EN")) == [])
        #expect(machine.play(said("D and on")) == [.cancelGeneration])
        #expect(machine.play(ended(.cancelled, 3)) == [.finish(.stop)])
        #expect(machine.client == "It is ")
        #expect(machine.segments.map(\.visibleBytes) == [6, 0])
    }

    @Test("T5: what turns out not to be a stop string is shown with its writers") func noStop() {
        var machine = relay(RelayConfiguration(stop: [utf8("END"), utf8("NDX")]))
        _ = machine.play(.begin, said("aE<call>5"), ended(.stop), .callGranted(tokens: 5))
        #expect(machine.play(said("N")) == [])
        #expect(machine.play(said("o")) == [show("E"), show("No", by: .llm)])
        #expect(machine.play(said("EN")) == [])
        #expect(machine.play(ended(.stop)) == [show("EN", by: .llm), .finish(.stop)])
    }

    @Test("T5: the stop string that is complete first wins") func earliestStop() {
        var machine = relay(RelayConfiguration(stop: [utf8("bcd"), utf8("cd"), utf8("de")]))
        _ = machine.play(.begin)
        #expect(machine.play(said("abcde")) == [show("a"), .cancelGeneration])
    }

    @Test("T5: with one writer the servers get the stop strings too, and may include them", arguments: [true, false])
    func passedStop(_ included: Bool) {
        let configuration = RelayConfiguration(stop: [utf8("END")])
        for (writer, ask) in [
            (Script.Writer.slm, askSLM(forbidden: true, stop: ["</call>", "END"])), (.llm, askLLM(nil, stop: ["END"])),
        ] {
            var machine = relay(configuration, script: Script(writer: writer))
            let first = machine.play(.begin)
            #expect(writer == .slm ? first == [ask] : machine.play(.callGranted(tokens: 1)) == [ask])
            #expect(machine.play(said(included ? "a END" : "a ")) == [show("a ", by: writer == .slm ? .slm : .llm)])
            #expect(machine.play(ended(.stop, reason: "END")) == [.finish(.stop)])
            #expect(machine.client == "a ")
            #expect(machine.finishes == [.stop])
        }
    }

    @Test("T6: a model's window that is full ends the answer with length") func window() {
        var slm = relay()
        #expect(slm.play(.begin, failed(.contextExceeded)) == [.finish(.length)])
        var llm = relay(script: Script(writer: .llm))
        #expect(llm.play(.begin, .callGranted(tokens: 9), failed(.contextExceeded)) == [.finish(.length)])
        var full = relay()
        #expect(full.play(.begin, said("a"), ended(.length)) == [.finish(.length)])
    }

    @Test("T7: half a character at the end of a segment is in no view", arguments: [Role.slm, .llm]) func halfCharacter(
        _ role: Role
    ) {
        for half in [[0xF0, 0x9F], utf8("\u{FFFD}"), utf8("\u{FFFD}") + [0xE2]] as [[UInt8]] {
            var machine = role == .slm ? relay() : called()
            _ = role == .slm ? machine.play(.begin) : machine.play(.callGranted(tokens: 50))
            #expect(machine.play(.text(utf8("b") + half, generated: nil)) == [show("b", by: role)])
            let last = machine.play(ended(.length))
            #expect(last == [role == .slm ? .finish(.length) : askSLM()])
            #expect(machine.controller.hasSuffix("b"))
            #expect(machine.expert.hasSuffix("b"))
            #expect(machine.segments.last?.generatedTokens == 10)
        }
    }

    @Test("T7: U+FFFD that is followed by text, or ends a complete segment, is ordinary") func ordinaryReplacement() {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("a\u{FFFD}")) == [show("a")])
        #expect(machine.play(said("b\u{FFFD}")) == [show("\u{FFFD}b")])
        #expect(machine.play(ended(.stop)) == [show("\u{FFFD}"), .finish(.stop)])
    }

    @Test("an end marker and what follows is dropped, and the answer is complete", arguments: ["", " next", "\n"])
    func endMarker(_ rest: String) {
        let turn = utf8("42.\nQuestion:" + rest)
        for chunks in splits(turn) {
            var machine = relay(RelayConfiguration(slmEndMarkers: [utf8("\nQuestion:")]))
            #expect(machine.play(.begin) == [askSLM(stop: ["</call>", "\nQuestion:"])])
            var actions: [RelayAction] = []
            for chunk in chunks { actions += machine.handle(.text(chunk, generated: nil)) }
            #expect(actions.contains(.cancelGeneration) == !rest.isEmpty)
            #expect(machine.play(ended(.stop)) == [.finish(.stop)])
            #expect(machine.client == "42.")
            #expect(machine.controller == "42.")
            #expect(machine.finishes == [.stop])
        }
    }

    @Test("what only began as an end marker is text") func noEndMarker() {
        var machine = relay(RelayConfiguration(slmEndMarkers: [utf8("\nQuestion:")]))
        _ = machine.play(.begin)
        #expect(machine.play(said("42\nQuest")) == [show("42")])
        #expect(machine.play(said("ions\nQ")) == [show("\nQuestions")])
        #expect(machine.play(ended(.stop)) == [show("\nQ"), .finish(.stop)])
    }

    @Test("fixed(k): every n is replaced by k, and what the SLM asked for is recorded", arguments: [0, 7, 999])
    func fixed(_ number: Int) {
        var machine = relay(script: Script(writer: .relay(fixedTokens: 100)))
        _ = machine.play(.begin)
        #expect(machine.play(said("<call>\(number)"), ended(.stop)) == [.reserve(requested: number, wanted: 100)])
    }

    @Test("slm: commands are forbidden from the start and removed all the same") func slmAlone() {
        var machine = relay(script: Script(writer: .slm))
        #expect(machine.play(.begin) == [askSLM(forbidden: true)])
        #expect(machine.play(said("a <call>5"), ended(.stop)) == [askSLM(forbidden: true)])
        #expect(machine.play(said(" b"), ended(.stop)) == [.finish(.stop)])
        #expect(machine.client == "a b")
    }

    @Test("llm: one generation, nothing is scanned") func llmAlone() {
        var machine = relay(RelayConfiguration(maxTokens: 9), script: Script(writer: .llm))
        #expect(machine.play(.begin) == [.reserveAnswer(wanted: 9)])
        #expect(machine.play(.callGranted(tokens: 9)) == [askLLM(9)])
        #expect(machine.play(said("a <call>5</call>")) == [show("a <call>5</call>", by: .llm)])
        #expect(machine.play(ended(.stop, 8)) == [.finish(.stop)])
        #expect(machine.segments.map(\.requested) == [nil])
        #expect(machine.segments.map(\.granted) == [nil])
        #expect(machine.calls == 0)
    }
}
