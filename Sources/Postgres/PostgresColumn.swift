package import Accounting
internal import CPostgres

/// A column of a result whose place and type were looked up once: for reading many rows.
///
/// Rows are counted from 0. Each reader throws `unexpectedResult` when the column has another type than it reads.
package struct PostgresColumn: Sendable {
    private let rows: PostgresRows
    private let column: CInt
    private let oid: UInt32
    private let name: StaticString

    fileprivate init(_ rows: PostgresRows, _ name: StaticString) throws(PostgresError) {
        self.rows = rows
        self.name = name
        column = unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
            unsafe PQfnumber(rows.result.raw, $0)
        }
        guard column >= 0 else { throw PostgresRows.unexpected("no column \(name)") }
        oid = unsafe PQftype(rows.result.raw, column)
    }

    package func int(_ row: Int) throws(PostgresError) -> Int {
        guard let value = try optionalInt(row) else { throw isNull }
        return value
    }

    /// `int8` alone.
    package func optionalInt(_ row: Int) throws(PostgresError) -> Int? {
        try word(row, .int8).map { Int(Int64(bitPattern: $0)) }
    }

    package func double(_ row: Int) throws(PostgresError) -> Double {
        guard let value = try optionalDouble(row) else { throw isNull }
        return value
    }

    package func optionalDouble(_ row: Int) throws(PostgresError) -> Double? {
        try word(row, .float8).map { Double(bitPattern: $0) }
    }

    package func timestamp(_ row: Int) throws(PostgresError) -> Timestamp {
        guard let value = try word(row, .timestamptz) else { throw isNull }
        return PostgresDecoding.timestamp(value)
    }

    package func uuid(_ row: Int) throws(PostgresError) -> UUID7 {
        guard let bytes = unsafe try bytes(row, oid == PostgresType.uuid.oid) else { throw isNull }
        guard bytes.count == 16 else { throw wrongLength }
        return unsafe UUID7(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    package func text(_ row: Int) throws(PostgresError) -> String {
        guard let bytes = unsafe try bytes(row, PostgresType.textLike.contains(oid)) else { throw isNull }
        return unsafe String(decoding: bytes, as: UTF8.self)
    }

    /// The elements of a `text[]`; nil for those that are NULL.
    package func texts(_ row: Int) throws(PostgresError) -> [String?] {
        guard let bytes = unsafe try bytes(row, oid == PostgresType.text.arrayOID) else { throw isNull }
        guard let elements = unsafe PostgresDecoding.array(Array(bytes)) else {
            throw PostgresRows.unexpected("column \(name) is no array of one dimension")
        }
        return elements.map { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    private func word(_ row: Int, _ type: PostgresType) throws(PostgresError) -> UInt64? {
        guard let bytes = unsafe try bytes(row, oid == type.oid) else { return nil }
        guard bytes.count == 8 else { throw wrongLength }
        return unsafe UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }

    /// The value, as long as the rows live; nil for NULL.
    private func bytes(_ row: Int, _ isOfType: Bool) throws(PostgresError) -> UnsafeRawBufferPointer? {
        guard isOfType else { throw PostgresRows.unexpected("column \(name) has type \(oid)") }
        precondition(row >= 0 && row < rows.count, "a row outside the result")
        guard unsafe PQgetisnull(rows.result.raw, CInt(row), column) == 0,
            let start = unsafe PQgetvalue(rows.result.raw, CInt(row), column)
        else { return nil }
        return unsafe UnsafeRawBufferPointer(
            start: start, count: Int(PQgetlength(rows.result.raw, CInt(row), column)))
    }

    private var isNull: PostgresError { PostgresRows.unexpected("column \(name) is NULL") }
    private var wrongLength: PostgresError { PostgresRows.unexpected("column \(name) has a value of another length") }
}

extension PostgresRows {
    /// Looks a column up. Throws `unexpectedResult` when there is none of that name.
    package func column(_ name: StaticString) throws(PostgresError) -> PostgresColumn {
        try PostgresColumn(self, name)
    }
}
