internal import CPostgres

extension PostgresStatement {
    /// The text as C wants it; a StaticString ends with NUL.
    var cString: UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

extension Duration {
    /// Rounded up, at least 1 and at most 2^31 - 1: what PostgreSQL takes for a timeout, where 0 would mean none.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let bounded = min(max(seconds, 0), 2_000_000)
        return max(1, bounded * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// Sends a prepared statement with its binds, which are copied by libpq before it returns.
func sendBinds(_ connection: OpaquePointer, _ name: String, _ binds: [PostgresValue]) -> CInt {
    var storage: [UInt8] = []
    storage.reserveCapacity(binds.reduce(1) { $0 + ($1.bytes?.count ?? 0) })
    var offsets: [Int?] = []
    var lengths: [CInt] = []
    for bind in binds {
        offsets.append(bind.bytes == nil ? nil : storage.count)
        lengths.append(CInt(clamping: bind.bytes?.count ?? 0))
        storage.append(contentsOf: bind.bytes ?? [])
    }
    // The pointer of an empty value must not be NULL: libpq reads that as SQL's NULL.
    storage.append(0)
    let formats = [CInt](repeating: 1, count: binds.count)
    return unsafe storage.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return 0 }
        let pointers = unsafe offsets.map { offset in
            unsafe offset.map { unsafe (base + $0).assumingMemoryBound(to: CChar.self) }
        }
        return unsafe PQsendQueryPrepared(connection, name, CInt(binds.count), pointers, lengths, formats, 1)
    }
}

/// Calls `body` with a NULL-terminated array of C strings.
func withCStrings<Value>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Value
) -> Value {
    var storage: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(storage.count)
        unsafe string.withCString { start in
            var cursor = unsafe start
            while unsafe cursor.pointee != 0 {
                unsafe storage.append(cursor.pointee)
                unsafe cursor += 1
            }
        }
        storage.append(0)
    }
    return unsafe storage.withUnsafeBufferPointer { buffer in
        var pointers = unsafe offsets.map { offset in unsafe buffer.baseAddress.map { unsafe $0 + offset } }
        unsafe pointers.append(nil)
        return unsafe pointers.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else {
                preconditionFailure("the array ends with NULL, so it is not empty")
            }
            return unsafe body(base)
        }
    }
}

/// What the server said beside its answers, kept until libpq has returned. Bounded: a flood of notices is cut.
final class NoticeSink {
    private static let limit = 64
    private var notices: [(sqlState: String, message: String)] = []

    func take(_ result: OpaquePointer) {
        guard notices.count < NoticeSink.limit else { return }
        let state = unsafe PQresultErrorField(result, CInt(UInt8(ascii: "C"))).map { unsafe String(cString: $0) }
        let message = unsafe PQresultErrorMessage(result).map { unsafe String(cString: $0) }
        notices.append((state ?? "", (message ?? "").trimmedOfNewlines))
    }

    func drain(_ body: (String, String) -> Void) {
        let drained = notices
        notices = []
        for notice in drained { body(notice.sqlState, notice.message) }
    }
}
