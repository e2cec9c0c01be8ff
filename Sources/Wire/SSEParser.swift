internal import Glibc

/// Splits a stream of server-sent events into the data of its events, in whatever pieces the bytes arrive.
///
/// Follows the WHATWG rules as far as model servers use them: lines end in CR, LF or CRLF; a byte order mark is
/// skipped; comments and fields other than `data` are skipped; several data lines are joined by LF; an event without
/// data is no event. `[DONE]` is not data: it sets `isDone`, and what follows it is ignored. An event the stream breaks
/// off in is not delivered, see `isInsideEvent`.
package struct SSEParser: Sendable {
    /// Whether `[DONE]` has been seen. Some servers never send it.
    package private(set) var isDone = false

    /// Whether bytes of an event have come whose end has not: a stream that ends here was cut.
    package var isInsideEvent: Bool { hasData || !line.isEmpty }

    private let limit: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var skipsLineFeed = false
    private var bomPosition = 0

    /// Creates a parser for one stream.
    ///
    /// - Parameter limit: the largest line and the largest event, in bytes. Default 1 MiB.
    package init(limit: Int = 1 << 20) {
        self.limit = limit
    }

    /// Takes the next bytes and passes the data of each event they complete to `body`.
    ///
    /// - Throws: `WireError` with code `invalid_upstream_body` when a line or an event is over the limit, and whatever
    ///   `body` throws. The parser is of no more use then.
    package mutating func push(
        _ bytes: Span<UInt8>, _ body: (Span<UInt8>) throws(WireError) -> Void
    ) throws(WireError) {
        var start = skipByteOrderMark(bytes)
        start = try pushPlainEvents(bytes, from: start, body)
        var position = start
        while position < bytes.count {
            let byte = unsafe bytes[unchecked: position]
            if skipsLineFeed {
                skipsLineFeed = false
                if byte == 0x0A {
                    position += 1
                    start = position
                    continue
                }
            }
            guard byte == 0x0A || byte == 0x0D else {
                position += 1
                continue
            }
            skipsLineFeed = byte == 0x0D
            try endLine(bytes.extracting(start..<position), body)
            position += 1
            start = position
        }
        try keep(bytes.extracting(start..<bytes.count))
    }

    /// The common case by itself: events of one `data` line that end in LF LF and lie whole in `bytes`. Nothing is
    /// copied and the line's end is looked for by the C library. Returns where something else begins.
    private mutating func pushPlainEvents(
        _ bytes: Span<UInt8>, from start: Int, _ body: (Span<UInt8>) throws(WireError) -> Void
    ) throws(WireError) -> Int {
        guard line.isEmpty, !hasData, !skipsLineFeed, bomPosition == 3 else { return start }
        var start = start
        while !isDone, let end = Self.index(of: 0x0A, in: bytes, from: start), end + 1 < bytes.count,
            bytes[end + 1] == 0x0A, end - start <= limit
        {
            let line = bytes.extracting(start..<end)
            guard let valueStart = valueStart(line), valueStart < line.count,
                Self.index(of: 0x0D, in: line, from: 0) == nil
            else { break }
            let value = line.extracting(valueStart..<line.count)
            start = end + 2
            if value.count == Self.done.count, (0..<value.count).allSatisfy({ value[$0] == Self.done[$0] }) {
                isDone = true
            } else {
                try body(value)
            }
        }
        return start
    }

    private static func index(of byte: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int? {
        guard start < bytes.count else { return nil }
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress,
                let found = unsafe memchr(base + start, Int32(byte), buffer.count - start)
            else { return nil }
            return unsafe UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
        }
    }

    /// Takes bytes held in an array and returns the data of the events they complete.
    package mutating func push(_ bytes: [UInt8]) throws(WireError) -> [[UInt8]] {
        var events: [[UInt8]] = []
        try push(bytes.span) { (data) throws(WireError) in events.append([UInt8](copying: data)) }
        return events
    }

    /// Returns where the text begins, a byte order mark at the start of the stream left out. A mark that arrives in
    /// pieces is recognised too; a beginning that only looked like one is given back to the line.
    private mutating func skipByteOrderMark(_ bytes: Span<UInt8>) -> Int {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var position = 0
        while bomPosition < mark.count, position < bytes.count {
            guard bytes[position] == mark[bomPosition] else {
                line.append(contentsOf: mark[..<bomPosition])
                bomPosition = mark.count
                return position
            }
            bomPosition += 1
            position += 1
        }
        return position
    }

    private mutating func keep(_ rest: Span<UInt8>) throws(WireError) {
        guard line.count + rest.count <= limit else { throw tooLong }
        if rest.count > 0 { line.append(copying: rest) }
    }

    private mutating func endLine(
        _ tail: Span<UInt8>, _ body: (Span<UInt8>) throws(WireError) -> Void
    ) throws(WireError) {
        guard line.isEmpty else {
            try keep(tail)
            let whole = line
            line.removeAll(keepingCapacity: true)
            return try take(whole.span, body)
        }
        guard tail.count <= limit else { throw tooLong }
        try take(tail, body)
    }

    private mutating func take(
        _ line: Span<UInt8>, _ body: (Span<UInt8>) throws(WireError) -> Void
    ) throws(WireError) {
        if line.count == 0 { return try dispatch(body) }
        guard let start = valueStart(line) else { return }
        let value = line.extracting(start..<line.count)
        guard data.count + value.count < limit else { throw tooLong }
        if hasData { data.append(0x0A) }
        data.append(copying: value)
        hasData = true
    }

    /// Where the value of a `data` line begins; nil for every other line.
    private func valueStart(_ line: Span<UInt8>) -> Int? {
        guard line.count >= 4, line[0] == 0x64, line[1] == 0x61, line[2] == 0x74, line[3] == 0x61 else { return nil }
        if line.count == 4 { return 4 }
        guard line[4] == 0x3A else { return nil }
        return line.count > 5 && line[5] == 0x20 ? 6 : 5
    }

    private mutating func dispatch(_ body: (Span<UInt8>) throws(WireError) -> Void) throws(WireError) {
        guard hasData else { return }
        hasData = false
        defer { data.removeAll(keepingCapacity: true) }
        if isDone || data.isEmpty { return }
        if data.elementsEqual(Self.done) {
            isDone = true
            return
        }
        try body(data.span)
    }

    private static let done = [UInt8]("[DONE]".utf8)

    private var tooLong: WireError {
        WireError(.invalidUpstreamBody, "The model server sent an event longer than \(limit) bytes.")
    }
}

extension [UInt8] {
    /// Copies a span.
    fileprivate init(copying span: Span<UInt8>) {
        self = unsafe span.withUnsafeBufferPointer { unsafe [UInt8]($0) }
    }

    /// Appends the bytes of a span.
    fileprivate mutating func append(copying span: Span<UInt8>) {
        unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}
