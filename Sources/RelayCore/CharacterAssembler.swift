/// Turns the chunks of one segment into whole UTF-8 characters (T7).
///
/// An incomplete sequence at the end waits for its rest; bytes that can never become a character are U+FFFD. U+FFFD at
/// the end waits too, because a server that cuts a segment inside a character sends just that.
package struct CharacterAssembler: Sendable {
    /// A character has four bytes at most, so its cut beginning is at most three bytes, each perhaps shown as U+FFFD.
    private static let replacementLimit = 3
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private var incomplete: [UInt8] = []
    private var replacements = 0

    /// An assembler for one segment.
    package init() {}

    /// Bytes that wait for more text.
    package var heldCount: Int { incomplete.count + replacements * Self.replacement.count }

    /// Takes the next chunk and returns what is whole and known to stay.
    package mutating func append(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        if heldCount == 0, Self.isASCII(bytes) { return bytes }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + heldCount)
        for _ in 0..<replacements { output += Self.replacement }
        decode(incomplete + bytes, into: &output)
        replacements = 0
        while replacements < Self.replacementLimit, Self.endsInReplacement(output) {
            output.removeLast(Self.replacement.count)
            replacements += 1
        }
        return output
    }

    /// Ends the segment.
    ///
    /// - Parameter cut: whether it was cut (limit, cancel, failure), so that U+FFFD at its end is half a character.
    /// - Returns: the text that was held and is ordinary after all, and the number of bytes dropped.
    package mutating func finish(cut: Bool) -> (text: [UInt8], dropped: Int) {
        let text = cut ? [] : Array(repeatElement(Self.replacement, count: replacements).joined())
        let dropped = heldCount - text.count
        incomplete = []
        replacements = 0
        return (text, dropped)
    }

    private static func isASCII(_ bytes: [UInt8]) -> Bool {
        var union: UInt8 = 0
        for byte in bytes { union |= byte }
        return union < 0x80
    }

    private static func endsInReplacement(_ bytes: [UInt8]) -> Bool {
        let end = bytes.count
        return end >= 3 && bytes[end - 1] == 0xBD && bytes[end - 2] == 0xBF && bytes[end - 3] == 0xEF
    }

    private mutating func decode(_ input: [UInt8], into output: inout [UInt8]) {
        incomplete = []
        var copied = 0
        var index = 0
        while index < input.count {
            if input[index] < 0x80 {
                index += 1
                continue
            }
            switch Self.sequence(in: input, at: index) {
            case .whole(let length): index += length
            case .incomplete:
                output += input[copied..<index]
                incomplete = Array(input[index...])
                return
            case .invalid(let length):
                output += input[copied..<index]
                output += Self.replacement
                index += length
                copied = index
            }
        }
        output += input[copied...]
    }

    private enum Sequence {
        case whole(Int)
        case incomplete
        case invalid(Int)
    }

    /// Unicode 15, table 3-7; an ill-formed sequence is replaced by its maximal subpart.
    private static func sequence(in bytes: [UInt8], at start: Int) -> Sequence {
        let lead = bytes[start]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if lead == 0xE0 { second = 0xA0...0xBF }
            if lead == 0xED { second = 0x80...0x9F }
        case 0xF0...0xF4:
            length = 4
            if lead == 0xF0 { second = 0x90...0xBF }
            if lead == 0xF4 { second = 0x80...0x8F }
        default: return .invalid(1)
        }
        for offset in 1..<length {
            guard start + offset < bytes.count else { return .incomplete }
            let allowed = offset == 1 ? second : 0x80...0xBF
            guard allowed.contains(bytes[start + offset]) else { return .invalid(offset) }
        }
        return .whole(length)
    }
}
