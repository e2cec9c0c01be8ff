import RelayCore
import Testing

/// How a server treats the stop string `</call>`.
enum ServerStyle: String, CaseIterable, Sendable { case strippedAndNamed, stripped, included, ignored }

@Suite("Rules of commands: C1 to C6") struct CommandRuleTests {
    /// Plays one SLM turn that ends with a closing tag, as a server of this style sends it.
    private func turn(_ text: String, _ style: ServerStyle, _ machine: inout RelayMachine) -> [RelayAction] {
        switch style {
        case .strippedAndNamed: machine.play(said(text), ended(.stop, reason: "</call>"))
        case .stripped: machine.play(said(text), ended(.stop))
        case .included: machine.play(said(text + "</call>"), ended(.stop))
        case .ignored: machine.play(said(text + "</call>"), said(" and on"), ended(.cancelled))
        }
    }

    @Test("C1: every server gives the same views, segments and actions", arguments: ServerStyle.allCases)
    func sameForEveryServer(_ style: ServerStyle) {
        var machine = relay()
        #expect(machine.play(.begin) == [askSLM()])
        #expect(turn("The sum is <call> 20 ", style, &machine) == [.reserve(requested: 20, wanted: 20)])
        #expect(machine.controller == "The sum is <call> 20 </call>")
        #expect(machine.expert == "The sum is")
        #expect(machine.client == "The sum is ")
        #expect(machine.finishes == [.call(20)])
    }

    @Test("C1: a malformed command gives the same with every server", arguments: ServerStyle.allCases)
    func sameForEveryServerMalformed(_ style: ServerStyle) {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(turn("The sum is <call>ten", style, &machine) == [askSLM()])
        #expect(machine.controller == "The sum is <call>ten</call>")
        #expect(machine.client == "The sum is ")
        #expect(machine.finishes == [.malformed])
    }

    @Test("C1: a server that goes on behind the command is cancelled, one that stops by itself is not")
    func ignoredStop() {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("a <call>5</call>", 9)) == [show("a ")])
        #expect(machine.play(said("", 9)) == [])
        #expect(machine.play(said("", 10)) == [.cancelGeneration])
        #expect(machine.play(said("more", 11)) == [])
        #expect(machine.play(ended(.cancelled, 11)) == [.reserve(requested: 5, wanted: 5)])
        #expect(machine.controller == "a <call>5</call>")

        var other = relay()
        _ = other.play(.begin)
        #expect(other.play(said("a <call>5</call> b")) == [show("a "), .cancelGeneration])
    }

    @Test("C2: what may become a command is held back, and shown when it does not") func heldBack() {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("x <ca")) == [show("x ")])
        #expect(machine.play(said("t> é")) == [show("<cat> é")])
        #expect(machine.play(.text([0xC3], generated: nil)) == [])
        #expect(machine.play(.text([0xA9], generated: nil)) == [show("é")])
        #expect(machine.play(said("<call")) == [])
        #expect(machine.play(ended(.stop)) == [show("<call"), .finish(.stop)])
    }

    @Test("C3: n = 0 calls nobody, the SLM resumes, a turn is counted") func zero() {
        var machine = relay(RelayConfiguration(maxCalls: 1))
        _ = machine.play(.begin)
        #expect(machine.play(said("a <call>0"), ended(.stop)) == [askSLM(forbidden: true)])
        #expect(machine.calls == 0)
        #expect(machine.finishes == [.call(0)])
        #expect(machine.malformed == 0)
    }

    @Test(
        "C4: n above the cap, or with more digits than fit, is the cap",
        arguments: [
            ("512", 512, 512), ("513", 513, 512),
            ("1" + String(repeating: "0", count: 400), 9_000_000_000_000_000, 512),
        ])
    func cap(_ digits: String, _ requested: Int, _ wanted: Int) {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("<call>\(digits)"), ended(.stop)) == [.reserve(requested: requested, wanted: wanted)])
        _ = machine.play(.callGranted(tokens: wanted), said("x"), ended(.length, 3))
        #expect(machine.segments.last?.requested == requested)
        #expect(machine.segments.last?.granted == wanted)
    }

    @Test(
        "C5: a malformed command is shown to nobody, calls nobody, is counted, and the SLM resumes",
        arguments: [
            "<call></call>", "<call>ten</call>", "</call>", "<call>5<call>6</call>", "<call>-1</call>",
            "<call>٢</call>", "<call>\u{200F}5</call>", "<call>5\0</call>",
        ]) func malformed(_ command: String)
    {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("a \(command)"), ended(.stop)) == [askSLM()])
        #expect(machine.malformed == 1)
        #expect(machine.calls == 0)
        #expect(machine.finishes == [.malformed])
        #expect(machine.play(said(" b"), ended(.stop)).last == .finish(.stop))
        #expect(machine.client == "a b")
        #expect(machine.expert == "a b")
        #expect(machine.controller == "a \(command) b")
    }

    @Test("C5: an open tag never closed does not interrupt the stream") func unclosedGoesOn() {
        var machine = relay()
        let words = String(repeating: "word ", count: 20)
        _ = machine.play(.begin)
        // Held until 64 bytes behind the tag have brought no closing tag.
        #expect(machine.play(said("a <call>20 ")) == [show("a ")])
        #expect(machine.play(said(words)) == [show(words)])
        #expect(machine.malformed == 0)
        #expect(machine.play(ended(.stop)) == [.finish(.stop)])
        #expect(machine.malformed == 1)
        #expect(machine.client == "a " + words)
        #expect(machine.finishes == [.stop])
    }

    @Test("C5: an open tag at the end of a cut turn is malformed, and the SLM resumes with what is left")
    func unclosedAtTheEnd() {
        var machine = relay(RelayConfiguration(maxTokens: 10))
        #expect(machine.play(.begin) == [askSLM(10)])
        // Ten tokens, four of them from the tag on: 10 - 6 = 4 are left.
        #expect(machine.play(said("a b c", 6), said(" <call>2", 10), ended(.length, 10)) == [askSLM(4)])
        #expect(machine.segments[0].commandTokens == 4)
        #expect(machine.finishes == [.malformed])
    }

    @Test("C5: after max_malformed the SLM goes on with commands forbidden") func maxMalformed() {
        var machine = relay(RelayConfiguration(maxMalformed: 2))
        _ = machine.play(.begin)
        #expect(machine.play(said("<call>x"), ended(.stop)) == [askSLM()])
        #expect(machine.play(said("</call>"), ended(.stop)) == [askSLM(forbidden: true)])
        #expect(machine.malformed == 2)
    }

    @Test("C6: a command written by the LLM is ordinary text") func commandByLLM() {
        var machine = relay()
        _ = machine.play(.begin, said("a <call>9"), ended(.stop))
        #expect(machine.play(.callGranted(tokens: 9)) == [askLLM(9)])
        #expect(machine.play(said("<call>5</call>")) == [show("<call>5</call>", by: .llm)])
        #expect(machine.play(ended(.length)) == [askSLM()])
        #expect(machine.expert == "a <call>5</call>")
        #expect(machine.calls == 1)
    }

    @Test("a tag that removals bring together is removed as well") func joinedTag() {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("x<ca<call>0</call>")) == [show("x")])
        #expect(machine.play(ended(.stop), said("ll>5</call>"), ended(.stop)) == [askSLM()])
        #expect(machine.client == "x5")
        #expect(machine.controller == "x<ca<call>0</call>ll>5</call>")
        #expect(machine.malformed == 2)  // the joined opening tag, and the closing tag alone
    }

    @Test("tokens of a command: from the count before its tag, chunks without text left out") func commandTokens() {
        var machine = relay()
        _ = machine.play(
            .begin, said("The", 1), said(" sum", 2), said("", 3), said(" <", 4), said("", 5), said("", 6),
            said("call>2", 7), said("0", 8), said("", 9), ended(.stop, 10))
        // The tag begins inside the chunk of token 3 and 4; 2 tokens lie before that chunk: 10 - 2 = 8.
        #expect(machine.segments[0].commandTokens == 8)
        #expect(machine.segments[0].commandSource == .counted)
        #expect(machine.visibleTokens == 2)
    }

    @Test("tokens of two commands in one chunk are counted once")
    func commandTokensOnce() {
        var machine = relay()
        let text = "<call>x<call>y" + String(repeating: "z", count: 70)
        _ = machine.play(.begin, said("a", 1), said(text, 10), ended(.stop, 10))
        #expect(machine.malformed == 2)
        // All the nine tokens of the second chunk, which no count tells apart.
        #expect(machine.segments[0].commandTokens == 9)
    }

    @Test("tokens of a command without running counts: two bytes to a token, never more than were generated")
    func estimatedCommandTokens() {
        var machine = relay()
        _ = machine.play(.begin, said("The sum <call>20"), ended(.stop, 12))
        // 15 bytes of command with its closing tag: 8 tokens.
        #expect(machine.segments[0].commandTokens == 8)
        #expect(machine.segments[0].commandSource == .estimated)
        #expect(machine.visibleTokens == 4)

        var short = relay()
        _ = short.play(.begin, said("<call>20"), ended(.stop, 5))
        #expect(short.segments[0].commandTokens == 5)
    }
}
