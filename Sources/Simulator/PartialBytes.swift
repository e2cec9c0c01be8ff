/// Writes the values of a partial result: whole numbers in as few bytes as they need, texts with their lengths.
struct PartialWriter {
    private(set) var bytes: [UInt8] = []

    /// Zigzag and LEB128: small numbers of either sign are short.
    mutating func put(_ value: Int128) {
        var rest = UInt128(truncatingIfNeeded: value << 1 ^ value >> 127)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(_ value: Int) { put(Int128(value)) }
    mutating func put(_ value: UInt64) { put(Int128(value)) }

    mutating func put(_ text: String) {
        let utf8 = Array(text.utf8)
        put(utf8.count)
        bytes += utf8
    }

    mutating func put(_ values: [Int128]) {
        put(values.count)
        for value in values { put(value) }
    }
}

/// Reads what `PartialWriter` wrote. Damage is an error, never a trap.
struct PartialReader {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], from start: Int, to end: Int) {
        self.bytes = bytes
        position = start
        self.end = end
    }

    var isAtEnd: Bool { position == end }

    static var damaged: SimulationError {
        SimulationError(.partial, nil, "is damaged: run the shard again")
    }

    mutating func number() throws(SimulationError) -> Int128 {
        var value: UInt128 = 0
        var shift = 0
        while position < end, shift < 128 {
            let byte = bytes[position]
            position += 1
            value |= UInt128(byte & 0x7F) << shift
            if byte < 0x80 { return Int128(truncatingIfNeeded: value >> 1) ^ -Int128(truncatingIfNeeded: value & 1) }
            shift += 7
        }
        throw PartialReader.damaged
    }

    mutating func int() throws(SimulationError) -> Int {
        guard let value = Int(exactly: try number()) else { throw PartialReader.damaged }
        return value
    }

    mutating func word() throws(SimulationError) -> UInt64 {
        guard let value = UInt64(exactly: try number()) else { throw PartialReader.damaged }
        return value
    }

    /// A number of elements that each take a byte at least.
    mutating func count() throws(SimulationError) -> Int {
        let count = try int()
        guard count >= 0, count <= end - position else { throw PartialReader.damaged }
        return count
    }

    mutating func text() throws(SimulationError) -> String {
        let count = try count()
        defer { position += count }
        return String(decoding: bytes[position..<position + count], as: UTF8.self)
    }

    mutating func numbers(_ expected: Int) throws(SimulationError) -> [Int128] {
        guard try count() == expected else { throw PartialReader.damaged }
        var values: [Int128] = []
        values.reserveCapacity(expected)
        for _ in 0..<expected { values.append(try number()) }
        return values
    }
}
