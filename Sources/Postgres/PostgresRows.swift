package import Accounting
internal import CPostgres

/// The rows that a statement returned.
///
/// `@unchecked Sendable`: a PGresult is not changed after it was made, and libpq's manual lets threads share it then.
package final class PostgresRows: @unchecked Sendable, RandomAccessCollection {
    let result: ResultHandle
    package let count: Int

    init(_ result: consuming ResultHandle) {
        count = unsafe Int(PQntuples(result.raw))
        self.result = result
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }
    package subscript(position: Int) -> PostgresRow {
        precondition(position >= 0 && position < count, "a row outside the result")
        return PostgresRow(rows: self, index: position)
    }

    /// Rows that an INSERT, UPDATE or DELETE touched; 0 for other statements.
    package var affected: Int {
        guard let text = unsafe PQcmdTuples(result.raw) else { return 0 }
        return unsafe Int(String(cString: text)) ?? 0
    }

    /// The only row. Throws `unexpectedResult` when there is none or more than one.
    package func single() throws(PostgresError) -> PostgresRow {
        guard count == 1 else { throw PostgresError(.unexpectedResult, outcome: .unknown, detail: "\(count) rows") }
        return self[0]
    }

    /// The bytes of a value, or nil for NULL. Throws when the column does not exist or has another type.
    func value(_ row: Int, _ name: StaticString, _ types: Set<UInt32>) throws(PostgresError) -> [UInt8]? {
        let column = unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
            unsafe PQfnumber(result.raw, $0)
        }
        guard column >= 0 else { throw PostgresRows.unexpected("no column \(name)") }
        let oid = unsafe PQftype(result.raw, column)
        guard types.contains(oid) else { throw PostgresRows.unexpected("column \(name) has type \(oid)") }
        guard unsafe PQgetisnull(result.raw, CInt(row), column) == 0 else { return nil }
        let length = unsafe Int(PQgetlength(result.raw, CInt(row), column))
        guard let pointer = unsafe PQgetvalue(result.raw, CInt(row), column) else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: pointer, count: length))
    }

    static func unexpected(_ detail: String) -> PostgresError {
        PostgresError(.unexpectedResult, outcome: .unknown, detail: detail)
    }
}

/// One row. Each reader throws `unexpectedResult` when the column is missing, has another type or, for the readers
/// that return a plain value, is NULL.
package struct PostgresRow: Sendable {
    let rows: PostgresRows
    let index: Int

    package func bool(_ name: StaticString) throws(PostgresError) -> Bool { try present(name, optionalBool(name)) }
    package func int(_ name: StaticString) throws(PostgresError) -> Int { try present(name, optionalInt(name)) }
    package func double(_ name: StaticString) throws(PostgresError) -> Double {
        try present(name, optionalDouble(name))
    }
    package func text(_ name: StaticString) throws(PostgresError) -> String { try present(name, optionalText(name)) }
    package func bytes(_ name: StaticString) throws(PostgresError) -> [UInt8] { try present(name, optionalBytes(name)) }
    package func uuid(_ name: StaticString) throws(PostgresError) -> UUID7 { try present(name, optionalUUID(name)) }
    package func timestamp(_ name: StaticString) throws(PostgresError) -> Timestamp {
        try present(name, optionalTimestamp(name))
    }

    package func optionalBool(_ name: StaticString) throws(PostgresError) -> Bool? {
        try fixed(name, [PostgresType.bool.oid], widths: [1]).map { $0 != 0 }
    }

    /// `int4` and `int8` alike.
    package func optionalInt(_ name: StaticString) throws(PostgresError) -> Int? {
        guard let bytes = try rows.value(index, name, [PostgresType.int4.oid, PostgresType.int8.oid]) else {
            return nil
        }
        if bytes.count == 4 { return Int(Int32(truncatingIfNeeded: PostgresDecoding.unsigned(bytes))) }
        guard bytes.count == 8 else { throw PostgresRows.unexpected("column \(name) is \(bytes.count) bytes long") }
        return Int(Int64(bitPattern: PostgresDecoding.unsigned(bytes)))
    }

    package func optionalDouble(_ name: StaticString) throws(PostgresError) -> Double? {
        try fixed(name, [PostgresType.float8.oid], widths: [8]).map { Double(bitPattern: $0) }
    }

    package func optionalText(_ name: StaticString) throws(PostgresError) -> String? {
        try rows.value(index, name, PostgresType.textLike).map { String(decoding: $0, as: UTF8.self) }
    }

    package func optionalBytes(_ name: StaticString) throws(PostgresError) -> [UInt8]? {
        try rows.value(index, name, [PostgresType.bytea.oid])
    }

    package func optionalUUID(_ name: StaticString) throws(PostgresError) -> UUID7? {
        guard let bytes = try rows.value(index, name, [PostgresType.uuid.oid]) else { return nil }
        guard let uuid = PostgresDecoding.uuid(bytes[...]) else {
            throw PostgresRows.unexpected("column \(name) is no uuid")
        }
        return uuid
    }

    package func optionalTimestamp(_ name: StaticString) throws(PostgresError) -> Timestamp? {
        try fixed(name, [PostgresType.timestamptz.oid], widths: [8]).map { PostgresDecoding.timestamp($0) }
    }

    private func fixed(
        _ name: StaticString, _ types: Set<UInt32>, widths: Set<Int>
    ) throws(PostgresError) -> UInt64? {
        guard let bytes = try rows.value(index, name, types) else { return nil }
        guard widths.contains(bytes.count) else {
            throw PostgresRows.unexpected("column \(name) is \(bytes.count) bytes long")
        }
        return PostgresDecoding.unsigned(bytes)
    }

    private func present<Value>(_ name: StaticString, _ value: Value?) throws(PostgresError) -> Value {
        guard let value else { throw PostgresRows.unexpected("column \(name) is NULL") }
        return value
    }
}
