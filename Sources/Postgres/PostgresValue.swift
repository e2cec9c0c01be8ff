package import Accounting

/// A value bound to a parameter of a statement, in PostgreSQL's binary format.
///
/// Text must not hold NUL, which PostgreSQL cannot store: the server refuses it with SQLSTATE 22021.
package struct PostgresValue: Sendable {
    let oid: UInt32
    /// Nil is SQL's NULL.
    let bytes: [UInt8]?

    package static func bool(_ value: Bool?) -> Self { scalar(.bool, value) }
    package static func int4(_ value: Int32?) -> Self { scalar(.int4, value) }
    package static func int8(_ value: Int64?) -> Self { scalar(.int8, value) }
    package static func int(_ value: Int?) -> Self { scalar(.int8, value.map(Int64.init)) }
    package static func float8(_ value: Double?) -> Self { scalar(.float8, value) }
    package static func text(_ value: String?) -> Self { scalar(.text, value) }
    package static func bytea(_ value: [UInt8]?) -> Self { scalar(.bytea, value) }
    package static func uuid(_ value: UUID7?) -> Self { scalar(.uuid, value) }
    package static func timestamp(_ value: Timestamp?) -> Self { scalar(.timestamptz, value) }

    package static func bools(_ values: [Bool?]) -> Self { array(.bool, values) }
    package static func int4s(_ values: [Int32?]) -> Self { array(.int4, values) }
    package static func int8s(_ values: [Int64?]) -> Self { array(.int8, values) }
    package static func float8s(_ values: [Double?]) -> Self { array(.float8, values) }
    package static func texts(_ values: [String?]) -> Self { array(.text, values) }
    package static func byteas(_ values: [[UInt8]?]) -> Self { array(.bytea, values) }
    package static func uuids(_ values: [UUID7?]) -> Self { array(.uuid, values) }
    package static func timestamps(_ values: [Timestamp?]) -> Self { array(.timestamptz, values) }

    private static func scalar<Value: PostgresEncodable>(_ type: PostgresType, _ value: Value?) -> Self {
        guard let value else { return PostgresValue(oid: type.oid, bytes: nil) }
        var bytes: [UInt8] = []
        value.encode(into: &bytes)
        return PostgresValue(oid: type.oid, bytes: bytes)
    }

    /// One dimension: the number of dimensions, whether NULL occurs, the element's type, length and lower bound, then
    /// each element after its length (`array_send` in the server's `arrayfuncs.c`).
    private static func array<Value: PostgresEncodable>(
        _ type: PostgresType, _ values: [Value?]
    ) -> Self {
        var bytes: [UInt8] = []
        var count: Int32 = 0
        var hasNull: Int32 = 0
        bytes.reserveCapacity(20 + 16 * values.count)
        append(Int32(1), to: &bytes)
        append(Int32(0), to: &bytes)
        append(type.oid, to: &bytes)
        append(Int32(0), to: &bytes)
        append(Int32(1), to: &bytes)
        for value in values {
            count += 1
            let start = bytes.count
            append(Int32(-1), to: &bytes)
            guard let value else {
                hasNull = 1
                continue
            }
            value.encode(into: &bytes)
            overwrite(Int32(clamping: bytes.count - start - 4), at: start, in: &bytes)
        }
        overwrite(hasNull, at: 4, in: &bytes)
        overwrite(count, at: 12, in: &bytes)
        return PostgresValue(oid: type.arrayOID, bytes: bytes)
    }
}

/// A value that can write itself in PostgreSQL's binary format.
protocol PostgresEncodable {
    func encode(into bytes: inout [UInt8])
}

/// Appends an integer in network order.
private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    var shift = value.bitWidth
    while shift > 0 {
        shift -= 8
        bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
}

private func overwrite(_ value: Int32, at offset: Int, in bytes: inout [UInt8]) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * index)) }
}

extension Bool: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { bytes.append(self ? 1 : 0) }
}
extension Int32: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { append(self, to: &bytes) }
}
extension Int64: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { append(self, to: &bytes) }
}
extension Double: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { append(bitPattern, to: &bytes) }
}
extension String: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
}
extension [UInt8]: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) { bytes.append(contentsOf: self) }
}
extension UUID7: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) {
        append(high, to: &bytes)
        append(low, to: &bytes)
    }
}
extension Timestamp: PostgresEncodable {
    func encode(into bytes: inout [UInt8]) {
        // Saturated: the server refuses what lies outside its calendar, the program does not trap on it.
        let (value, overflow) = microseconds.subtractingReportingOverflow(postgresEpochMicroseconds)
        append(overflow ? Int64.min : value, to: &bytes)
    }
}
