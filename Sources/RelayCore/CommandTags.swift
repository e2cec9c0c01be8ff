/// The two tags that delimit a command (C1), as UTF-8.
package struct CommandTags: Sendable, Equatable {
    /// The opening tag, by default `<call>`.
    package let open: [UInt8]
    /// The closing tag, by default `</call>`; it is also the stop string of every SLM turn.
    package let close: [UInt8]

    /// The longest tag accepted, in bytes; it bounds what the scanner may hold back.
    package static let lengthLimit = 32

    /// The tags of the paper.
    package init() {
        open = Array("<call>".utf8)
        close = Array("</call>".utf8)
    }

    /// Other tags, or `nil` if commands between them could not be told from text.
    ///
    /// A tag has 2 to ``lengthLimit`` bytes, no white space, no control characters and no U+FFFD; the closing tag does
    /// not start with a digit (it would be taken for part of the number); neither tag contains the other.
    package init?(open: String, close: String) {
        let openBytes = Array(open.utf8)
        let closeBytes = Array(close.utf8)
        guard Self.isUsable(openBytes), Self.isUsable(closeBytes) else { return nil }
        guard !open.unicodeScalars.contains("\u{FFFD}"), !close.unicodeScalars.contains("\u{FFFD}") else { return nil }
        guard let first = closeBytes.first, !first.isASCIIDigit else { return nil }
        guard !Self.contains(openBytes, closeBytes), !Self.contains(closeBytes, openBytes) else { return nil }
        self.open = openBytes
        self.close = closeBytes
    }

    private static func isUsable(_ tag: [UInt8]) -> Bool {
        tag.count >= 2 && tag.count <= lengthLimit && tag.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    private static func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
        guard text.count >= part.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }
}
