import RelayCore
import Testing

@Suite("Character assembler: T7") struct CharacterAssemblerTests {
    private func assemble(_ chunks: [[UInt8]], cut: Bool) -> [UInt8] {
        var assembler = CharacterAssembler()
        var output: [UInt8] = []
        for chunk in chunks {
            let part = assembler.append(chunk)
            #expect(String(validating: part, as: UTF8.self) != nil, "half a character came out")
            output += part
        }
        return output + assembler.finish(cut: cut).text
    }

    /// Input, and the text if the segment is complete or cut. Expected values after Unicode 15, section 3.9.
    private static let cases: [(input: [UInt8], complete: String, cut: String)] = [
        (utf8("plain"), "plain", "plain"), (utf8("é€🙂"), "é€🙂", "é€🙂"), (utf8("a") + [0xF0, 0x9F, 0x99], "a", "a"),
        (utf8("a\u{FFFD}"), "a\u{FFFD}", "a"), (utf8("a\u{FFFD}\u{FFFD}\u{FFFD}"), "a\u{FFFD}\u{FFFD}\u{FFFD}", "a"),
        (utf8("a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), "a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}", "a\u{FFFD}"),
        (utf8("a\u{FFFD}b"), "a\u{FFFD}b", "a\u{FFFD}b"), ([0x61, 0xFF, 0x62], "a\u{FFFD}b", "a\u{FFFD}b"),
        ([0x61, 0xE2, 0x82, 0x62], "a\u{FFFD}b", "a\u{FFFD}b"),
        ([0xC0, 0xAF, 0x62], "\u{FFFD}\u{FFFD}b", "\u{FFFD}\u{FFFD}b"),
        ([0xED, 0xA0, 0x80, 0x62], "\u{FFFD}\u{FFFD}\u{FFFD}b", "\u{FFFD}\u{FFFD}\u{FFFD}b"),
        ([0xF4, 0x90, 0x62], "\u{FFFD}\u{FFFD}b", "\u{FFFD}\u{FFFD}b"),
    ]

    @Test("half characters are never let out, in any split", arguments: cases.indices) func table(_ index: Int) {
        let given = Self.cases[index]
        for chunks in splits(given.input) {
            #expect(string(assemble(chunks, cut: false)) == given.complete, "chunks: \(chunks)")
            #expect(string(assemble(chunks, cut: true)) == given.cut, "chunks: \(chunks)")
        }
    }

    @Test("an empty chunk is not more text") func emptyChunk() {
        var assembler = CharacterAssembler()
        #expect(assembler.append(utf8("a\u{FFFD}")) == utf8("a"))
        #expect(assembler.append([]) == [])
        #expect(assembler.finish(cut: true).text == [])
    }
}

@Suite("Pattern matcher") struct PatternMatcherTests {
    @Test("the earliest end wins, and of several the longest, in any split") func earliestEnd() {
        let text = utf8("xabababcy")
        for chunks in splits(text) {
            var matcher = PatternMatcher([utf8("ababc"), utf8("babc"), utf8("abcy"), []])
            var offset = 0
            var found: (start: Int, end: Int)?
            for chunk in chunks where found == nil {
                if let match = matcher.scan(chunk[...]) {
                    found = (offset + match.end - match.length, offset + match.end)
                }
                offset += chunk.count
            }
            // "ababc" begins at 3 and ends behind 8, where "babc" ends too.
            #expect(found?.start == 3)
            #expect(found?.end == 8)
        }
    }

    @Test("it holds the longest beginning of a pattern and no more") func holds() {
        var matcher = PatternMatcher([utf8("aab"), utf8("abc")])
        for (byte, held) in zip(utf8("aaabxab"), [1, 2, 2, 0, 0, 1, 2]) {
            if matcher.scan([byte]) != nil { matcher.reset() }
            #expect(matcher.heldCount == held)
        }
    }
}
