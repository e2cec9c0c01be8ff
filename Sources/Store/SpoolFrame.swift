internal import Accounting

/// What a file of the spool is made of: for each record a mark, the number of its bytes, the first eight bytes of their
/// SHA-256, and the bytes.
enum SpoolFrame {
    private static let mark = Array("RGsp".utf8)
    private static let headerLength = 16

    /// What was found in a file.
    struct Content {
        var records: [RequestRecord] = []
        /// Bytes at the end that no whole record follows: what a crash cut off. They were never acknowledged.
        var torn = 0
        /// Bytes that are no record although records follow them: the disk has changed them.
        var damaged = 0
    }

    static func bytes(_ record: RequestRecord) -> [UInt8] {
        let body = SpoolRecord.bytes(record)
        let length = UInt32(clamping: body.count)
        return mark + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
            + SHA256.digest(body).prefix(8) + body
    }

    /// Reads all whole records, over what is broken between them.
    static func content(_ bytes: [UInt8]) -> Content {
        var content = Content()
        var position = 0
        var broken = 0
        while position < bytes.count {
            guard let (record, next) = frame(bytes, at: position) else {
                broken += 1
                position += 1
                continue
            }
            content.records.append(record)
            content.damaged += broken
            broken = 0
            position = next
        }
        content.torn = broken
        return content
    }

    private static func frame(_ bytes: [UInt8], at start: Int) -> (RequestRecord, next: Int)? {
        guard bytes[start] == mark[0], bytes.count - start >= headerLength,
            bytes[start..<start + 4].elementsEqual(mark)
        else { return nil }
        let length = bytes[start + 4..<start + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let begin = start + headerLength
        guard length <= bytes.count - begin else { return nil }
        let body = bytes[begin..<begin + length]
        guard SHA256.digest(Array(body)).prefix(8).elementsEqual(bytes[start + 8..<begin]),
            let record = SpoolRecord.record(body)
        else { return nil }
        return (record, begin + length)
    }
}
