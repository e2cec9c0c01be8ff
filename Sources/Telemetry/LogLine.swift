/// One log line being written: bounded in length, one line whatever the values hold.
struct LogLine {
    /// Longest line, its line break included. A pipe takes this much in one piece (PIPE_BUF on Linux), so lines of
    /// several threads and processes do not mix.
    static let byteLimit = 4096
    /// Longest text of one value, before escaping; what is beyond is cut and marked with "…".
    static let valueByteLimit = 1024
    /// Kept free for the mark that fields were left out and for the line's end.
    private static let reserve = 32

    private let format: LogFormat
    private(set) var bytes: [UInt8] = []
    private var isTruncated = false

    init(format: LogFormat, time: Timestamp, level: LogLevel, message: StaticString) {
        self.format = format
        bytes.reserveCapacity(256)
        switch format {
        case .text:
            time.append(to: &bytes)
            bytes += " \(level.rawValue)".utf8
            // Padded to the longest level, so that messages stand in one column.
            for _ in level.rawValue.utf8.count..<8 { bytes.append(UInt8(ascii: " ")) }
            appendText(message.description, quoted: false)
        case .json:
            bytes += "{\"time\":\"".utf8
            time.append(to: &bytes)
            bytes += "\",\"level\":\"\(level.rawValue)\",\"message\":".utf8
            appendText(message.description, quoted: true)
        }
    }

    /// Adds fields; one that does not fit any more is left out, and the line says so at its end.
    mutating func append(_ fields: LogFields) {
        for (name, value) in fields.values {
            let length = bytes.count
            append(name, value)
            if bytes.count > Self.byteLimit - Self.reserve {
                bytes.removeSubrange(length...)
                isTruncated = true
            }
        }
    }

    /// Ends the line.
    consuming func finished() -> [UInt8] {
        switch format {
        case .text:
            if isTruncated { bytes += " truncated=true".utf8 }
        case .json:
            bytes += (isTruncated ? ",\"truncated\":true}" : "}").utf8
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private mutating func append(_ name: StaticString, _ value: LogValue) {
        switch format {
        case .text:
            bytes.append(UInt8(ascii: " "))
            appendText(name.description, quoted: false)
            bytes.append(UInt8(ascii: "="))
        case .json:
            bytes.append(UInt8(ascii: ","))
            if case .duration = value {
                appendText("\(name)_ms", quoted: true)
            } else {
                appendText(name.description, quoted: true)
            }
            bytes.append(UInt8(ascii: ":"))
        }
        switch value {
        case .string(let text):
            appendText(text, quoted: format == .json || Self.needsQuotes(text))
        case .integer(let number):
            bytes += String(number).utf8
        case .boolean(let flag):
            bytes += (flag ? "true" : "false").utf8
        case .duration(let duration):
            bytes += Self.milliseconds(duration).utf8
            if format == .text { bytes += "ms".utf8 }
        }
    }

    /// Appends text with everything escaped that could end the line, hide text or be taken for another field.
    private mutating func appendText(_ text: String, quoted: Bool) {
        if quoted { bytes.append(UInt8(ascii: "\"")) }
        var length = 0
        for scalar in text.unicodeScalars {
            length += UTF8.width(scalar)
            if length > Self.valueByteLimit {
                bytes += "…".utf8
                break
            }
            appendEscaped(scalar, quoted: quoted)
        }
        if quoted { bytes.append(UInt8(ascii: "\"")) }
    }

    private mutating func appendEscaped(_ scalar: Unicode.Scalar, quoted: Bool) {
        switch scalar {
        case "\"" where quoted: bytes += "\\\"".utf8
        case "\\": bytes += "\\\\".utf8
        case "\n": bytes += "\\n".utf8
        case "\r": bytes += "\\r".utf8
        case "\t": bytes += "\\t".utf8
        default:
            guard Self.isUnsafe(scalar) else {
                bytes += UTF8.encode(scalar).map(Array.init) ?? []
                return
            }
            // The same notation in both formats. All unsafe characters are in the first plane, so four digits do.
            let digits = String(scalar.value, radix: 16)
            bytes += ("\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits).utf8
        }
    }

    /// Control characters, line separators, and marks that turn the direction of text around.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
            true
        default: false
        }
    }

    private static func needsQuotes(_ text: String) -> Bool {
        text.isEmpty
            || text.unicodeScalars.contains { scalar in
                scalar == " " || scalar == "=" || scalar == "\"" || scalar == "\\" || isUnsafe(scalar)
            }
    }

    /// Milliseconds with three decimals, as `12.345`; rounded towards zero.
    private static func milliseconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        // A duration of 290,000 years is no measurement; the largest number is said instead of trapping.
        let microseconds = overflow || sumOverflow ? (seconds < 0 ? -Int64.max : Int64.max) : sum
        let fraction = String(microseconds.magnitude % 1000)
        let zeros = String(repeating: "0", count: 3 - fraction.utf8.count)
        return "\(microseconds < 0 ? "-" : "")\(microseconds.magnitude / 1000).\(zeros)\(fraction)"
    }
}
