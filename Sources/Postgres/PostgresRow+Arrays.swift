package import Accounting

/// Readers of one-dimensional arrays. An element that is NULL is nil.
extension PostgresRow {
    package func bools(_ name: StaticString) throws(PostgresError) -> [Bool?] {
        try array(name, .bool) { $0.first.map { $0 != 0 } }
    }
    package func ints(_ name: StaticString) throws(PostgresError) -> [Int?] {
        try array(name, .int8) { Int(Int64(bitPattern: PostgresDecoding.unsigned($0))) }
    }
    package func int4s(_ name: StaticString) throws(PostgresError) -> [Int32?] {
        try array(name, .int4) { Int32(truncatingIfNeeded: PostgresDecoding.unsigned($0)) }
    }
    package func doubles(_ name: StaticString) throws(PostgresError) -> [Double?] {
        try array(name, .float8) { Double(bitPattern: PostgresDecoding.unsigned($0)) }
    }
    package func texts(_ name: StaticString) throws(PostgresError) -> [String?] {
        try array(name, .text) { String(decoding: $0, as: UTF8.self) }
    }
    package func byteArrays(_ name: StaticString) throws(PostgresError) -> [[UInt8]?] {
        try array(name, .bytea) { Array($0) }
    }
    package func uuids(_ name: StaticString) throws(PostgresError) -> [UUID7?] {
        try array(name, .uuid) { PostgresDecoding.uuid($0) }
    }
    package func timestamps(_ name: StaticString) throws(PostgresError) -> [Timestamp?] {
        try array(name, .timestamptz) { PostgresDecoding.timestamp(PostgresDecoding.unsigned($0)) }
    }

    private func array<Value>(
        _ name: StaticString, _ type: PostgresType, _ decode: (ArraySlice<UInt8>) -> Value?
    ) throws(PostgresError) -> [Value?] {
        guard let bytes = try rows.value(index, name, [type.arrayOID]) else {
            throw PostgresRows.unexpected("column \(name) is NULL")
        }
        guard let elements = PostgresDecoding.array(bytes) else {
            throw PostgresRows.unexpected("column \(name) is no array of one dimension")
        }
        return elements.map { $0.flatMap(decode) }
    }
}

/// PostgreSQL's binary format, read with every bound checked.
enum PostgresDecoding {
    /// Up to eight bytes in network order.
    static func unsigned(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    static func uuid(_ bytes: ArraySlice<UInt8>) -> UUID7? {
        guard bytes.count == 16 else { return nil }
        return UUID7(high: unsigned(bytes.prefix(8)), low: unsigned(bytes.suffix(8)))
    }

    /// Saturated at the ends of what 64 bits of microseconds hold.
    static func timestamp(_ bits: UInt64) -> Timestamp {
        let (value, overflow) = Int64(bitPattern: bits).addingReportingOverflow(postgresEpochMicroseconds)
        return Timestamp(microseconds: overflow ? Int64.max : value)
    }

    /// The elements of an array of at most one dimension; nil when the bytes are not that.
    static func array(_ bytes: [UInt8]) -> [ArraySlice<UInt8>?]? {
        var rest = bytes[...]
        func next() -> Int32? {
            guard rest.count >= 4 else { return nil }
            defer { rest = rest.dropFirst(4) }
            return Int32(truncatingIfNeeded: unsigned(rest.prefix(4)))
        }
        guard let dimensions = next(), next() != nil, next() != nil else { return nil }
        if dimensions == 0 { return [] }
        guard dimensions == 1, let count = next(), next() != nil, count >= 0 else { return nil }
        var elements: [ArraySlice<UInt8>?] = []
        for _ in 0..<count {
            guard let length = next() else { return nil }
            if length == -1 {
                elements.append(nil)
                continue
            }
            guard length >= 0, rest.count >= Int(length) else { return nil }
            elements.append(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
        }
        return rest.isEmpty ? elements : nil
    }
}
