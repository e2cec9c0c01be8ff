import Notation
import Testing

@Suite struct CSVTextTests {
    private func text(_ text: String) -> String { CSVText.line([.text(text)]) }

    @Test func `texts stand in quotes, numbers and what is missing do not`() {
        let cells: [CSVText.Cell] = [
            .text("a"), .number("-0.50"), .bare("2026-11-26"), .none, .text(""), .text("say \"x\""),
        ]
        #expect(CSVText.line(cells) == #""a",-0.50,2026-11-26,,"","say ""x""""# + "\r\n")
        #expect(CSVText.line(cells, .decimalCommas) == #""a";-0,50;2026-11-26;;"";"say ""x""""# + "\r\n")
    }

    @Test(arguments: [
        // At the beginning, with the full-width forms, an accent behind the sign, and a quote before it.
        ("=1+1", "'=1+1"), ("+49", "'+49"), ("-7", "'-7"), ("@SUM(1)", "'@SUM(1)"), ("\u{FF1D}1", "'\u{FF1D}1"),
        ("\u{FF20}a", "'\u{FF20}a"), ("=\u{301}a", "'=\u{301}a"), ("\"=1", "\"\"'=1"),
        // Tab and line breaks, whose pair is one character to Swift.
        ("\ta", "'\ta"), ("\r\n=1", "'\r\n'=1"), ("\n", "'\n"),
        // Behind what another spreadsheet takes for a separator.
        ("x;=1", "x;'=1"), ("x,-1", "x,'-1"), ("x\n+1", "x\n'+1"), ("x;\"=1", "x;\"\"'=1"),
        // Elsewhere they are harmless.
        ("a=b", "a=b"), ("2026-10-01", "2026-10-01"), ("a@b.de", "a@b.de"), ("x; -1", "x; -1"), ("1+1", "1+1"),
    ])
    func `no text is a formula`(given: String, written: String) {
        #expect(text(given) == "\"\(written)\"\r\n")
    }

    @Test func `a quote with an accent behind it does not end a cell`() {
        #expect(text("\"\u{301},=1") == "\"\"\"\u{301},'=1\"\r\n")
    }

    @Test func `control characters do not reach a terminal`() {
        #expect(text("\u{1B}[31m\u{9B}0m\u{7F}\u{0}x") == "\" [31m 0m  x\"\r\n")
    }

    @Test func `JSON stays the same JSON`() {
        // U+003D is =, U+002D -, U+FF0B the full-width +.
        #expect(
            CSVText.line([.json(#"{"-a":"x;=1","b":"=2,＋3"}"#)])
                == #""{""-a"":""x;\u003d1"",""b"":""=2,\uff0b3""}""# + "\r\n")
        #expect(CSVText.line([.json(#"{"a":"1","-b":"2"}"#)]) == #""{""a"":""1"",""\u002db"":""2""}""# + "\r\n")
    }

    @Test func `what is written is read as the same`() throws {
        let fields = ["plain", "a,b", "say \"x\"", "line\nbreak\r\n", "ünï😀", "\"\u{301}", ""]
        var reader = CSVRecords()
        let records = try reader.read(CSVText.line(fields.map { .text($0) }).utf8)
        #expect(records == [.init(line: 1, fields: fields)])
    }
}
