/// Finds the earliest end of any of several byte strings in a stream, whatever its split into chunks.
///
/// Knuth-Morris-Pratt, one state per pattern; while no pattern is begun, bytes that begin none are skipped.
package struct PatternMatcher: Sendable {
    /// A pattern that ended.
    package struct Match: Sendable, Equatable {
        /// The length of the pattern; of several that end here, the longest.
        package var length: Int
        /// Which of the patterns given to `init`, empty ones left out.
        package var pattern: Int
        /// The index after its last byte in the slice that was scanned.
        package var end: Int
    }

    private let patterns: [[UInt8]]
    private let failures: [[Int]]
    /// One bit for each byte that begins a pattern.
    private let begins: SIMD4<UInt64>
    private var states: [Int]

    /// The bytes at the end of the stream that may still become a pattern.
    package private(set) var heldCount = 0

    /// The length of the longest pattern.
    package let longest: Int

    /// A matcher of these patterns; empty ones are ignored.
    package init(_ patterns: [[UInt8]]) {
        self.patterns = patterns.filter { !$0.isEmpty }
        failures = self.patterns.map(Self.failureTable)
        states = Array(repeating: 0, count: self.patterns.count)
        longest = self.patterns.map(\.count).max() ?? 0
        var begins = SIMD4<UInt64>()
        for pattern in self.patterns { begins[Int(pattern[0] >> 6)] |= 1 << UInt64(pattern[0] & 63) }
        self.begins = begins
    }

    /// Scans on through the stream and stops behind the first match; call `reset()` then.
    package mutating func scan(_ bytes: ArraySlice<UInt8>) -> Match? {
        guard !patterns.isEmpty else { return nil }
        var index = bytes.startIndex
        while true {
            if heldCount == 0 { index = nextBegin(in: bytes, from: index) }
            guard index < bytes.endIndex else { return nil }
            let match = advance(bytes[index])
            index += 1
            if let match { return Match(length: patterns[match].count, pattern: match, end: index) }
        }
    }

    /// Forgets what was begun.
    package mutating func reset() {
        guard heldCount > 0 else { return }
        for pattern in states.indices { states[pattern] = 0 }
        heldCount = 0
    }

    private func nextBegin(in bytes: ArraySlice<UInt8>, from start: Int) -> Int {
        let rest = bytes[start...]
        let span = rest.span
        var offset = 0
        while offset < span.count, begins[Int(span[offset] >> 6)] >> UInt64(span[offset] & 63) & 1 == 0 { offset += 1 }
        return start + offset
    }

    private mutating func advance(_ byte: UInt8) -> Int? {
        var held = 0
        var matched: Int?
        for index in patterns.indices {
            var state = states[index]
            while state > 0, patterns[index][state] != byte { state = failures[index][state - 1] }
            if patterns[index][state] == byte { state += 1 }
            if state == patterns[index].count {
                if matched.map({ patterns[$0].count < state }) ?? true { matched = index }
                // A whole pattern is never continued; the caller resets, and a state within bounds is safe if not.
                states[index] = failures[index][state - 1]
            } else {
                states[index] = state
            }
            held = max(held, state)
        }
        heldCount = held
        return matched
    }

    /// For each length of a beginning of `pattern`, the length of the longest beginning that it also ends with
    /// (Knuth, Morris and Pratt).
    package static func failureTable(_ pattern: [UInt8]) -> [Int] {
        var table = Array(repeating: 0, count: pattern.count)
        var length = 0
        for index in pattern.indices.dropFirst() {
            while length > 0, pattern[index] != pattern[length] { length = table[length - 1] }
            if pattern[index] == pattern[length] { length += 1 }
            table[index] = length
        }
        return table
    }
}
