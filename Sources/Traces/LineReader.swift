/// Splits bytes into lines, from chunks of any size. A line has at most `limit` bytes.
package struct LineReader {
    /// Longest line, in bytes.
    package static let limit = 64 << 20

    private var rest: [UInt8] = []
    private var number = 0

    package init() {}

    /// The lines that end in these bytes, with their numbers from 1; empty ones are left out.
    package mutating func read(_ bytes: [UInt8]) throws(TraceFault) -> [(number: Int, bytes: [UInt8])] {
        var lines: [(number: Int, bytes: [UInt8])] = []
        var start = 0
        for position in bytes.indices where bytes[position] == 0x0A {
            if let line = end(bytes[start..<position]) { lines.append(line) }
            start = position + 1
        }
        rest += bytes[start...]
        guard rest.count <= LineReader.limit else {
            throw TraceFault(nil, "is longer than \(LineReader.limit) bytes", line: number + 1)
        }
        return lines
    }

    /// The line that the text ends in without a line break.
    package mutating func finish() -> (number: Int, bytes: [UInt8])? { end([]) }

    private mutating func end(_ last: ArraySlice<UInt8>) -> (number: Int, bytes: [UInt8])? {
        number += 1
        var line = rest + last
        rest = []
        if line.last == 0x0D { line.removeLast() }
        return line.isEmpty ? nil : (number, line)
    }
}
