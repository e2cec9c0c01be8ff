extension Timestamp {
    /// Reads an RFC 3339 time with a zone, as programs write it: `2026-11-24T15:00:00.25+01:00`. Digits beyond the
    /// microsecond are cut; seconds may be missing. Nil for anything else.
    package init?(zoned text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count > 16 else { return nil }
        let hasSeconds = bytes[16] == UInt8(ascii: ":")
        let clock = bytes.prefix(hasSeconds ? 19 : 16)
        guard let base = Timestamp(rfc3339: String(decoding: clock, as: UTF8.self)) else { return nil }
        var rest = bytes[clock.endIndex...]
        var fraction: Int64 = 0
        if hasSeconds, rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard (1...9).contains(digits.count) else { return nil }
            var scale: Int64 = 100_000
            for digit in digits {
                fraction += Int64(digit - UInt8(ascii: "0")) * scale
                scale /= 10
            }
            rest = rest.dropFirst(1 + digits.count)
        }
        guard let offset = Timestamp.offsetMinutes(Array(rest)) else { return nil }
        self.init(microseconds: base.microseconds + fraction - offset * 60_000_000)
    }

    /// Minutes east of Greenwich of `Z` or `+01:00`; nil for anything else.
    private static func offsetMinutes(_ zone: [UInt8]) -> Int64? {
        if zone == [UInt8(ascii: "Z")] || zone == [UInt8(ascii: "z")] { return 0 }
        guard zone.count == 6, zone[3] == UInt8(ascii: ":") else { return nil }
        let digits = [zone[1], zone[2], zone[4], zone[5]].map { Int64($0) - 48 }
        guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
        guard hours < 24, minutes < 60 else { return nil }
        switch zone[0] {
        case UInt8(ascii: "+"): return hours * 60 + minutes
        case UInt8(ascii: "-"): return -(hours * 60 + minutes)
        default: return nil
        }
    }
}
