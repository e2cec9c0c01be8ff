/// Comma-separated values as RFC 4180 has them: lines end with CR LF, texts stand in quotes, numbers do not.
enum CSVText {
    /// A text in quotes. One that a spreadsheet would run as a formula gets an apostrophe before it, by which
    /// spreadsheets know a text: names and tags come from callers.
    static func text(_ text: String) -> String {
        let isFormula = text.first.map { "=+-@\t\r\n".contains($0) } ?? false
        let quoted = text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        return "\"" + (isFormula ? "'" : "") + quoted + "\""
    }

    static func line(_ cells: [String]) -> String { cells.joined(separator: ",") + "\r\n" }
}
