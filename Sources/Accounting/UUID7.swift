/// A UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds since 1970, then random bits, so that ids made
/// later sort later and a range of ids is a range of time.
package struct UUID7: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes an id for a moment. `random` gives 64 random bits a call.
    package init(milliseconds: UInt64, random: () -> UInt64) {
        high = milliseconds << 16 | 0x7000 | random() & 0x0FFF
        low = 0x8000_0000_0000_0000 | random() & 0x3FFF_FFFF_FFFF_FFFF
    }

    /// Milliseconds since 1970 that the id carries.
    package var milliseconds: UInt64 { high >> 16 }

    /// Reads the canonical form, 8-4-4-4-12 hexadecimal digits of either case; nil for anything else.
    package init?(_ text: some StringProtocol) { self.init(String(text)) }

    /// The same of a `String`: each line of a trace is read through it, and a generic one takes five times as long.
    package init?(_ text: String) {
        var halves: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var offset = 0
        for byte in text.utf8 {
            defer { offset += 1 }
            if offset == 8 || offset == 13 || offset == 18 || offset == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard digits < 32, let digit = hexadecimalValue(byte) else { return nil }
            if digits < 16 { halves.0 = halves.0 << 4 | digit } else { halves.1 = halves.1 << 4 | digit }
            digits += 1
        }
        guard digits == 32, offset == 36 else { return nil }
        self.init(high: halves.0, low: halves.1)
    }

    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for index in 0..<32 {
            if [8, 12, 16, 20].contains(index) { text.append(UInt8(ascii: "-")) }
            let half = index < 16 ? high : low
            text.append(digits[Int(half >> (60 - 4 * UInt64(index % 16)) & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func < (left: UUID7, right: UUID7) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

private func hexadecimalValue(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
}
