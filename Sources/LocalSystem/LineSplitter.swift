/// Cuts a byte stream into lines, however the bytes arrive.
///
/// A line longer than the limit is cut there: the output of a child process must not be able to fill the memory.
package struct LineSplitter: Sendable {
    private var pending: [UInt8] = []
    private let limit: Int

    /// - Parameter limit: longest line in bytes.
    package init(limit: Int = 65_536) {
        self.limit = max(1, limit)
    }

    /// Takes bytes and returns the lines they complete, without their line ends.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in bytes {
            if byte == 0x0A {
                lines.append(flush())
            } else {
                pending.append(byte)
                if pending.count >= limit { lines.append(flush()) }
            }
        }
        return lines
    }

    /// The unfinished last line, if there is one.
    package mutating func finish() -> String? {
        pending.isEmpty ? nil : flush()
    }

    private mutating func flush() -> String {
        defer { pending.removeAll(keepingCapacity: true) }
        return String(decoding: pending, as: UTF8.self)
    }
}
