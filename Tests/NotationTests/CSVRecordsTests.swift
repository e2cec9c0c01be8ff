import Notation
import Testing

@Suite struct CSVRecordsTests {
    private func records(_ text: String, by size: Int) throws(CSVRecords.Fault) -> [CSVRecords.Record] {
        let bytes = Array(text.utf8)
        var reader = CSVRecords()
        var records: [CSVRecords.Record] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            records += try reader.read(bytes[start..<min(bytes.count, start + size)])
        }
        if let last = try reader.finish() { records.append(last) }
        return records
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let expected: [CSVRecords.Record]
        var testDescription: String { text.debugDescription }
    }

    @Test(arguments: [
        Case(text: "", expected: []), Case(text: "\n\r\n", expected: []),
        Case(text: "a,b", expected: [.init(line: 1, fields: ["a", "b"])]),
        Case(text: "a,b\r\nc,\n", expected: [.init(line: 1, fields: ["a", "b"]), .init(line: 2, fields: ["c", ""])]),
        Case(text: ",\n", expected: [.init(line: 1, fields: ["", ""])]),
        Case(text: #""""#, expected: [.init(line: 1, fields: [""])]),
        Case(
            text: "\n\"a \"\"b\"\", c\nd\r\n\",é\nx",
            expected: [.init(line: 2, fields: ["a \"b\", c\nd\r\n", "é"]), .init(line: 5, fields: ["x"])]),
    ])
    func `text is split the same, whole and byte by byte`(_ item: Case) throws {
        for size in [1, 2, 3, 1000] { #expect(try records(item.text, by: size) == item.expected, "\(size)") }
    }

    @Test(arguments: [
        ("a\n\"b", 2, "a quote is not closed"), ("\"a\"b", 1, "text follows a closing quote"),
        ("x\na\"b\"", 2, "a quote stands inside a field without quotes"),
        ("a\rb", 1, "a carriage return stands inside a line"), ("a\r,b", 1, "a carriage return stands inside a line"),
    ])
    func `a fault is told with its line`(text: String, line: Int, what: String) {
        for size in [1, 1000] {
            #expect(throws: CSVRecords.Fault(line: line, what: what)) { try records(text, by: size) }
        }
    }
}
