import Testing

@testable import FakeModel

@Suite struct TextGenerationTests {
    /// One text, cut into tokens in some way.
    private func run(_ tokens: [String], _ change: (inout TextGeneration.Settings) -> Void) -> (
        text: String, TextGeneration
    ) {
        var settings = TextGeneration.Settings()
        change(&settings)
        let source = TextGeneration.Source.script(tokens: tokens.map { Array($0.utf8) }, isEndless: false)
        var generation = TextGeneration(source: source, settings: settings)
        var text: [UInt8] = []
        while let piece = generation.step() { text += piece }
        return (String(decoding: text, as: UTF8.self), generation)
    }

    @Test(
        arguments: [
            ("abc</call>def", "abc", "</call>"), ("abc</cal", "abc</cal", nil), ("</call></call>", "", "</call>"),
            ("a<</call>", "a<", "</call>"), ("a</ca</call>", "a</ca", "</call>"), ("aSTOP</call>", "a", "STOP"),
            ("", "", nil), ("é</call>", "é", "</call>"),
        ] as [(String, String, String?)])
    func `a stop string is found in any split`(input: String, shown: String, stop: String?) {
        let characters = input.map(String.init)
        for window in [false, true] {
            for cut in 0...characters.count {
                let pieces = [characters[..<cut].joined(), characters[cut...].joined()].filter { !$0.isEmpty }
                for tokens in [pieces, characters] {
                    let (text, generation) = run(tokens) {
                        $0.stops = [Array("</call>".utf8), Array("STOP".utf8)]
                        $0.holdsWindow = window
                    }
                    #expect(text == shown)
                    let finish = stop.map { TextGeneration.Finish.stopString(Array($0.utf8)) } ?? .endOfSequence
                    #expect(generation.finish == finish)
                }
            }
        }
    }

    @Test func `the end of the sequence is a token`() {
        let (_, generation) = run(["a", "b"]) { _ in }
        #expect(generation.tokens == 3)
    }

    @Test func `a limit ends before the end of the sequence`() {
        let (text, generation) = run(["a", "b"]) { $0.maxTokens = 2 }
        #expect(text == "ab")
        #expect(generation.tokens == 2)
        #expect(generation.finish == .length)
    }

    @Test func `nothing that may be a stop string is shown before it is decided`() {
        var settings = TextGeneration.Settings()
        settings.stops = [Array("</call>".utf8)]
        let tokens = ["a", "<", "b", "</", "call", ">"].map { Array($0.utf8) }
        var generation = TextGeneration(source: .script(tokens: tokens, isEndless: false), settings: settings)
        var pieces: [String] = []
        while let piece = generation.step() { pieces.append(String(decoding: piece, as: UTF8.self)) }
        #expect(pieces == ["a", "", "<b", "", "", ""])
    }
}

@Suite struct TokenizerTests {
    @Test(
        arguments: [
            ("<call>20</call>", ["<", "call", ">", "2", "0", "</", "call", ">"]),
            (" two words\n", [" two", " words", "\n"]), ("é漢", ["é", "漢"]), ("a  b", ["a", " ", " b"]), ("", []),
        ] as [(String, [String])])
    func `text is cut into the pieces of the vocabulary`(text: String, pieces: [String]) {
        #expect(Tokenizer.tokens(Array(text.utf8)) == pieces.map { Array($0.utf8) })
        #expect(Tokenizer.count(Array(text.utf8)) == pieces.count)
    }

    @Test func `a character of four bytes is four tokens`() {
        #expect(Tokenizer.tokens(Array("🙂".utf8)) == [[0xF0], [0x9F], [0x99], [0x82]])
    }

    @Test func `ids give the text back`() throws {
        var tokenizer = Tokenizer()
        let text = Array("<call>20</call> two words é🙂".utf8)
        let ids = tokenizer.encode(text)
        #expect(tokenizer.decode(ids) == text)
        #expect(tokenizer.encode(text) == ids)
        #expect(tokenizer.decode([-1]) == nil)
        #expect(tokenizer.decode([Int.max]) == nil)
    }
}
