/// Appending JSON to a buffer of bytes: no tree, no intermediate strings.
extension [UInt8] {
    /// Appends literal JSON, which the program wrote itself and which needs no escaping.
    @inline(__always)
    package mutating func append(json literal: StaticString) {
        unsafe append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends a string with its quotes.
    package mutating func append(jsonString text: String) {
        var text = text
        text.withUTF8 { bytes in
            append(0x22)
            unsafe append(escaped: bytes)
            append(0x22)
        }
    }

    /// Appends UTF-8 bytes as a string with its quotes. The bytes must be valid UTF-8.
    package mutating func append(jsonString text: [UInt8]) {
        unsafe text.withUnsafeBufferPointer { bytes in
            append(0x22)
            unsafe append(escaped: bytes)
            append(0x22)
        }
    }

    /// Appends a string or `null`.
    package mutating func append(jsonString text: String?) {
        if let text { append(jsonString: text) } else { append(json: "null") }
    }

    /// Appends an integer.
    package mutating func append(jsonInteger value: Int) {
        if value < 0 { append(0x2D) }
        var magnitude = value.magnitude
        let start = count
        repeat {
            append(UInt8(truncatingIfNeeded: 0x30 + magnitude % 10))
            magnitude /= 10
        } while magnitude > 0
        self[start...].reverse()
    }

    /// Appends an integer or `null`.
    package mutating func append(jsonInteger value: Int?) {
        if let value { append(jsonInteger: value) } else { append(json: "null") }
    }

    /// Appends `true` or `false`.
    package mutating func append(jsonBool value: Bool) {
        if value { append(json: "true") } else { append(json: "false") }
    }

    /// Appends a value that is JSON already, on one line: line breaks between its tokens, the only place where JSON has
    /// any, become spaces, because in an event stream they would end the event's line.
    package mutating func append(rawJSON value: [UInt8]) {
        let start = count
        append(contentsOf: value)
        for position in start..<count where self[position] == 0x0A || self[position] == 0x0D { self[position] = 0x20 }
    }

    /// Appends bytes escaped as RFC 8259 section 7 asks: quote, backslash and control characters, nothing else.
    /// Runs that need no escaping, which is nearly all text, are copied in one go.
    private mutating func append(escaped bytes: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for position in 0..<bytes.count {
            let byte = unsafe bytes[position]
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
            if position > start { unsafe append(contentsOf: bytes[start..<position]) }
            append(escape: byte)
            start = position + 1
        }
        if start < bytes.count { unsafe append(contentsOf: bytes[start...]) }
    }

    private mutating func append(escape byte: UInt8) {
        switch byte {
        case 0x22: append(json: #"\""#)
        case 0x5C: append(json: #"\\"#)
        case 0x0A: append(json: #"\n"#)
        case 0x0D: append(json: #"\r"#)
        case 0x09: append(json: #"\t"#)
        default:
            append(json: #"\u00"#)
            append(Self.hexadecimal(byte >> 4))
            append(Self.hexadecimal(byte & 0x0F))
        }
    }

    private static func hexadecimal(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x57 + nibble }
}
