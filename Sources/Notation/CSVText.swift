/// Comma-separated values as RFC 4180 has them: lines end with CR LF, texts stand in quotes, numbers do not.
package enum CSVText {
    /// A text in quotes. One that a spreadsheet would run as a formula gets an apostrophe before it, by which
    /// spreadsheets know a text: names and tags come from callers.
    package static func text(_ text: String) -> String {
        let isFormula = text.unicodeScalars.first.map { "=+-@\t\r\n".unicodeScalars.contains($0) } ?? false
        let quoted = text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        return "\"" + (isFormula ? "'" : "") + quoted + "\""
    }

    /// A line of cells, each of them a text in quotes, a number or nothing.
    package static func line(_ cells: [String]) -> String { cells.joined(separator: ",") + "\r\n" }
}
