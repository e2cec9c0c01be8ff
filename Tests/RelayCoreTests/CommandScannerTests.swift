import RelayCore
import Testing

/// A turn and what the rules say of it. `text` is what is left, `end` what ended the turn.
struct ScannerCase: Sendable, CustomTestStringConvertible {
    enum End: Equatable {
        case none
        case command(Int)
        case malformed
    }

    var name: String
    var turn: String
    var text: String
    var unclosed = 0
    var end = End.none
    /// Whether the server stopped at the closing tag and left it out.
    var closed = false

    var testDescription: String { name }
}

private let longText = String(repeating: "y", count: 64)

private let scannerCases: [ScannerCase] = [
    .init(name: "plain", turn: "two < three <b> <cal> </cal>", text: "two < three <b> <cal> </cal>"),
    .init(name: "C1 command", turn: "a <call>20</call>", text: "a ", end: .command(20)),
    .init(name: "C1 white space inside", turn: "<call> \n\t20\r </call>", text: "", end: .command(20)),
    .init(name: "C1 stripped", turn: "a <call>20", text: "a ", end: .command(20), closed: true),
    .init(name: "C1 stripped after space", turn: "a <call>20 ", text: "a ", end: .command(20), closed: true),
    .init(name: "C2 after two-byte", turn: "é<call>7</call>", text: "é", end: .command(7)),
    .init(name: "C2 tag begun twice", turn: "<<<call>7</call>", text: "<<", end: .command(7)),
    .init(name: "C2 tag begun and broken", turn: "<cal<call>7</call>", text: "<cal", end: .command(7)),
    .init(name: "C3 zero", turn: "<call>0</call>", text: "", end: .command(0)),
    .init(name: "C4 leading zeros", turn: "<call>00012</call>", text: "", end: .command(12)),
    .init(
        name: "C4 10^18", turn: "<call>1000000000000000000</call>", text: "", end: .command(9_000_000_000_000_000)),
    .init(name: "C4 10^19", turn: "<call>10000000000000000000</call>", text: "", end: .command(9_000_000_000_000_000)),
    .init(
        name: "C4 10^400", turn: "<call>1" + String(repeating: "0", count: 400) + "</call>", text: "",
        end: .command(9_000_000_000_000_000)),
    .init(name: "C5 no digits", turn: "a<call></call>", text: "a", end: .malformed),
    .init(name: "C5 only space", turn: "a<call>  </call>", text: "a", end: .malformed),
    .init(name: "C5 letters", turn: "a<call>ten</call>", text: "a", end: .malformed),
    .init(name: "C5 letters, stripped", turn: "a<call>ten", text: "a", end: .malformed, closed: true),
    .init(name: "C5 sign", turn: "a<call>-5</call>", text: "a", end: .malformed),
    .init(name: "C5 two numbers", turn: "a<call>5 6</call>", text: "a", end: .malformed),
    .init(name: "C5 Arabic digits", turn: "a<call>٢٠</call>", text: "a", end: .malformed),
    .init(name: "C5 full-width digits", turn: "a<call>２０</call>", text: "a", end: .malformed),
    .init(name: "C5 RTL mark", turn: "a<call>\u{200F}20</call>", text: "a", end: .malformed),
    .init(name: "C5 NUL", turn: "a<call>20\0</call>", text: "a", end: .malformed),
    .init(name: "C5 no-break space", turn: "a<call>20\u{A0}</call>", text: "a", end: .malformed),
    .init(name: "C5 nested", turn: "a<call>5<call>6</call>", text: "a", end: .malformed),
    .init(name: "C5 nested at once", turn: "a<call><call>6</call>", text: "a", end: .malformed),
    .init(name: "C5 lone close", turn: "a</call>", text: "a", end: .malformed),
    .init(name: "C5 lone close, stripped", turn: "a", text: "a", end: .malformed, closed: true),
    .init(name: "C5 half a close before it", turn: "a</ca</call>", text: "a</ca", end: .malformed),
    .init(name: "C5 broken close", turn: "a<call>5</cal</call>", text: "a", end: .malformed),
    .init(name: "C5 unclosed at the end", turn: "a<call>20", text: "a", unclosed: 1),
    .init(name: "C5 unclosed in its close", turn: "a<call>20</ca", text: "a</ca", unclosed: 1),
    .init(name: "C5 unclosed, letters", turn: "a<call>20 apples", text: "aapples", unclosed: 1),
    .init(
        name: "C5 unclosed, 64 bytes on", turn: "a<call>5" + longText + "</call>", text: "a" + longText, unclosed: 1,
        end: .malformed),
    .init(
        name: "C5 closed within 64 bytes", turn: "a<call>" + String(repeating: "y", count: 57) + "</call>", text: "a",
        end: .malformed),
    .init(
        name: "C5 closed in 65 bytes", turn: "a<call>" + String(repeating: "y", count: 58) + "</call>",
        text: "a" + String(repeating: "y", count: 58), unclosed: 1, end: .malformed),
    .init(
        name: "C5 unclosed, then a command", turn: "a<call>x<call>\(String(repeating: " ", count: 70))8</call>",
        text: "ax", unclosed: 1, end: .command(8)),
    .init(name: "C5 three unclosed", turn: "<call>a<call>b<call>c", text: "abc", unclosed: 3),
    .init(name: "tag in tag", turn: "<ca<call>5</call>ll>5</call>", text: "<ca", end: .command(5)),
    .init(name: "a tag begun at the end", turn: "a<call", text: "a<call"),
    .init(name: "case matters", turn: "<CALL>5</CALL>", text: "<CALL>5</CALL>"),
]

@Suite("Command scanner: C1, C2, C4, C5") struct CommandScannerTests {
    struct Result: Equatable {
        var text: [UInt8] = []
        var removed: [UInt8] = []
        var unclosed = 0
        var end = ScannerCase.End.none
    }

    private func scan(_ chunks: [[UInt8]], closed: Bool) -> Result {
        var scanner = CommandScanner()
        var result = Result()
        var items: [CommandScanner.Item] = []
        for chunk in chunks {
            items += scanner.append(chunk)
            #expect(scanner.heldCount <= scanner.holdLimit)
        }
        items += scanner.finish(closed: closed)
        for item in items {
            switch item {
            case .text(let text): result.text += text
            case .removed(let bytes): result.removed += bytes
            case .opened: break
            case .unclosed: result.unclosed += 1
            case .command(let number): result.end = .command(number)
            case .malformed: result.end = .malformed
            }
        }
        return result
    }

    @Test("a turn gives what the rule says, whole, cut in two anywhere, and byte by byte", arguments: scannerCases)
    func table(_ given: ScannerCase) {
        let turn = utf8(given.turn)
        let whole = scan([turn], closed: given.closed)
        #expect(string(whole.text) == given.text)
        #expect(whole.unclosed == given.unclosed)
        #expect(whole.end == given.end)
        // Nothing is lost: what is not text was removed, and a closing tag that the server left out is put back.
        #expect(
            whole.text.count + whole.removed.count == turn.count + (given.closed ? closeTag.count : 0) - dropped(given))
        for chunks in splits(turn) {
            #expect(scan(chunks, closed: given.closed) == whole, "chunks: \(chunks.map(string))")
        }
    }

    /// Bytes behind the first closing tag.
    private func dropped(_ given: ScannerCase) -> Int { given.name == "tag in tag" ? utf8("ll>5</call>").count : 0 }

    @Test("C1: the closing tag included gives the same as left out", arguments: scannerCases.filter(\.closed))
    func includedIsStripped(_ given: ScannerCase) {
        #expect(scan([utf8(given.turn)], closed: true) == scan([utf8(given.turn) + closeTag], closed: false))
    }

    @Test("tags are found where they are, also behind a command that was given up")
    func offsets() {
        let turn = utf8("a<call>x<call>" + String(repeating: " ", count: 70) + "8</call>")
        for chunks in splits(turn) {
            var scanner = CommandScanner()
            let starts = chunks.flatMap { scanner.append($0) }.compactMap { item -> Int? in
                if case .opened(let start) = item { start } else { nil }
            }
            #expect(starts == [1, 8])
            #expect(scanner.seenBytes == turn.count)
        }
    }

    @Test("C2: what cannot become a tag is not held") func holdsNothingElse() {
        var scanner = CommandScanner()
        #expect(scanner.append(utf8("a <")) == [.text(utf8("a "))])
        #expect(scanner.append(utf8("b> </c")) == [.text(utf8("<b> "))])
        #expect(scanner.heldCount == 3)
        #expect(scanner.append(utf8("<cal")) == [.text(utf8("</c"))])
        #expect(scanner.append(utf8("m")) == [.text(utf8("<calm"))])
        #expect(scanner.heldCount == 0)
    }

    @Test("C2: a megabyte of digits is not held") func digitsAreNotHeld() {
        var scanner = CommandScanner()
        _ = scanner.append(utf8("<call>"))
        let digits = Array(repeating: UInt8(ascii: "9"), count: 1024)
        for _ in 0..<1024 {
            _ = scanner.append(digits)
            #expect(scanner.heldCount == 0)
        }
        #expect(scanner.append(closeTag).last == .command(9_000_000_000_000_000))
    }

    @Test("C2: a megabyte of text without a break goes through at once") func textIsNotHeld() {
        var scanner = CommandScanner()
        let text = Array(repeating: UInt8(ascii: "x"), count: 1 << 20)
        #expect(scanner.append(text) == [.text(text)])
    }

    @Test("C1: other tags") func otherTags() throws {
        let tags = try #require(CommandTags(open: "[[ask:", close: "]]"))
        var scanner = CommandScanner(tags: tags)
        #expect(
            scanner.append(utf8("[[[ask: 12 ]]")) == [
                .text(utf8("[")), .opened(at: 1), .removed(utf8("[[ask:")), .removed(utf8(" 12 ")),
                .removed(utf8("]]")), .command(12),
            ])
    }

    @Test(
        "tags that cannot be told from text or from each other are refused",
        arguments: [
            ("", "</call>"), ("<", "</call>"), ("<call>", "9</call>"), ("<call >", "</call>"), ("<call>", "<call>"),
            ("<call>", "a<call>b"), ("<call>", "all"), ("<ca\nll>", "</call>"), ("<call\u{FFFD}>", "</call>"),
            (String(repeating: "<", count: 33), "</call>"),
        ]) func unusableTags(_ open: String, _ close: String)
    { #expect(CommandTags(open: open, close: close) == nil) }
}
