/// Texts of others where a terminal or a browser would act on them.
package enum PlainText {
    /// A text with spaces for what would move the cursor, end the line or turn the direction of what follows: names and
    /// notes come from callers.
    package static func oneLine(_ text: String) -> String {
        replacing(text) { _ in true }
    }

    /// The same of a text that has lines: its line breaks stay.
    package static func lines(_ text: String) -> String {
        replacing(text) { $0 != "\n" }
    }

    /// In characters, as a terminal with a monospaced font counts them. Most cells are of ASCII, where a byte is one.
    package static func width(_ text: String) -> Int {
        text.utf8.allSatisfy { $0 < 0x80 } ? text.utf8.count : text.count
    }

    private static func replacing(_ text: String, _ isReplaced: (Unicode.Scalar) -> Bool) -> String {
        if text.utf8.allSatisfy({ 0x20..<0x7F ~= $0 }) { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.value {
                    case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
                        isReplaced(scalar) ? " " : scalar
                    default: scalar
                    }
                }))
    }
}
