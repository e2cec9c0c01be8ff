/// Writes comma-separated values as RFC 4180 has them: texts in quotes, all else without.
///
/// Names and tags come from callers, so that no text may become a formula where a spreadsheet opens the file. The rule
/// is OWASP's (*CSV Injection*): what begins with `=`, `+`, `-`, `@`, their full-width forms, a tab or a line break
/// gets an apostrophe before it. The same goes for what follows a separator inside a text, because a spreadsheet that
/// splits at another separator than ours sees a cell begin there.
package enum CSVText {
    /// What a cell holds.
    package enum Cell: Sendable, Equatable {
        /// In quotes, with an apostrophe where it could be read as a formula.
        case text(String)
        /// JSON in quotes, with escapes of JSON where it could be read as a formula: it stays the same JSON.
        case json(String)
        /// A whole or decimal number with a point.
        case number(String)
        /// What is written as it is and needs no quotes: a date, `true`, an id.
        case bare(String)
        /// No value, which is not an empty text.
        case none
    }

    /// What stands between cells, and within numbers.
    package enum Dialect: Sendable {
        /// Commas between cells, points in numbers: RFC 4180, and what programs read.
        case points
        /// Semicolons between cells, commas in numbers: what spreadsheets write and open where numbers have commas.
        case decimalCommas
    }

    /// One record with its line break.
    package static func line(_ cells: [Cell], _ dialect: Dialect = .points) -> String {
        cells.map { written($0, dialect) }.joined(separator: dialect == .points ? "," : ";") + "\r\n"
    }

    private static func written(_ cell: Cell, _ dialect: Dialect) -> String {
        switch cell {
        case .text(let text): quoted(text) { "'" + String($0) }
        case .json(let text): quoted(text, escape)
        case .number(let number):
            dialect == .points ? number : String(number.map { $0 == "." ? "," : $0 })
        case .bare(let text): text
        case .none: ""
        }
    }

    /// A text in quotes, with `harmless` in place of each character that could begin a formula, and spaces for control
    /// characters. It goes by scalars: an accent behind a quote or `=` makes another character of Swift, and is none to
    /// who reads it.
    private static func quoted(_ text: String, _ harmless: (Unicode.Scalar) -> String) -> String {
        var written = "\""
        var begins = true
        for scalar in text.unicodeScalars {
            switch scalar {
            case "=", "+", "-", "@", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}":
                written += begins ? harmless(scalar) : String(scalar)
                begins = false
            case "\t", "\r", "\n":
                // A tab or line break at the beginning is one of OWASP's; behind it a formula could begin as well.
                written += (written == "\"" ? "'" : "") + String(scalar)
                begins = true
            case ",", ";":
                written.unicodeScalars.append(scalar)
                begins = true
            case "\"": written += "\"\""
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                written += " "
                begins = false
            default:
                written.unicodeScalars.append(scalar)
                begins = false
            }
        }
        return written + "\""
    }

    /// As JSON writes a character by its number. These stand inside texts only: no number of ours is negative.
    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}
