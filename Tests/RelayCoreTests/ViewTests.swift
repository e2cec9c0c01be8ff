import RelayCore
import Testing

@Suite("The three views") struct ViewTests {
    @Test(
        "white space: one run is kept where a removal leaves it on both sides",
        arguments: [
            ("a ", " b", "a b"), ("a", " b", "a b"), ("a ", "b", "a b"), ("a", "b", "ab"), ("a\n\n", "  \tb", "a\n\nb"),
            ("", "  b", "  b"), ("a ", "  ", "a "), ("a ", "\u{A0}b", "a \u{A0}b"),
        ]) func whiteSpace(_ left: String, _ right: String, _ joined: String)
    {
        for zero in [true, false] {
            var machine = relay()
            _ = machine.play(.begin, said("\(left)<call>\(zero ? 0 : 5)"), ended(.stop))
            if !zero { _ = machine.play(.callGranted(tokens: 5)) }
            for character in right { _ = machine.play(said(String(character))) }
            _ = machine.play(ended(.stop))
            #expect(machine.client == joined)
            #expect(machine.controller == "\(left)<call>\(zero ? 0 : 5)</call>\(right)")
        }
    }

    @Test("white space at the end of the expert view is not sent and not lost") func expertEnd() {
        var machine = relay()
        _ = machine.play(.begin, said("is \n<call>5"), ended(.stop))
        #expect(machine.expert == "is")
        _ = machine.play(.callGranted(tokens: 5), said("4 "), ended(.length))
        #expect(machine.expert == "is \n4")
        #expect(machine.controller == "is \n<call>5</call>4 ")
        _ = machine.play(said(" b"), ended(.stop))
        #expect(machine.client == "is \n4  b")  // no removal there, so nothing is dropped
    }

    @Test("the views tell who wrote what") func runs() {
        var machine = relay()
        _ = machine.play(.begin, said("ab <call>5"), ended(.stop), .callGranted(tokens: 5), said("cd"), ended(.length))
        #expect(machine.play(said("e"), ended(.stop)).last == .finish(.stop))
        #expect(
            machine.transcript.runs == [
                .init(role: .slm, end: 3), .init(role: .llm, end: 5), .init(role: .slm, end: 6),
            ])
        #expect(machine.segments.map(\.visibleBytes) == [3, 2, 1])
        #expect(machine.transcript.text(for: .slm) == machine.transcript.controller)
        #expect(machine.transcript.text(for: .llm) == machine.transcript.expert)
    }

    @Test("a tag brought together again and again is removed each time")
    func joinedAgain() {
        var machine = relay()
        _ = machine.play(.begin, said("<ca<ca<call>0"), ended(.stop))
        _ = machine.play(said("ll><call>0"), ended(.stop))
        #expect(machine.client == "<ca")
        _ = machine.play(said("ll> b"), ended(.stop))
        #expect(machine.client == "<ca b")
        #expect(machine.malformed == 2)
    }

    @Test("C6: text of the LLM between them keeps two halves of a tag apart")
    func apart() {
        var machine = relay()
        _ = machine.play(.begin, said("x<ca<call>5"))
        #expect(machine.client == "x")
        #expect(machine.play(ended(.stop)) == [show("<ca"), .reserve(requested: 5, wanted: 5)])
        #expect(machine.expert == "x<ca")
        _ = machine.play(.callGranted(tokens: 5), said("t"), ended(.length))
        #expect(machine.play(said("ll>")) == [show("ll>")])
    }
}
