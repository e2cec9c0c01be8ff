internal import Accounting

/// A key in the form that a caller presents: `sk-relay-<public id, 12>-<secret, 43>-<checksum, 6>`, each part in
/// base 62.
///
/// The prefix lets scanners find leaked keys; the checksum (CRC-32 of all before it) tells a typing error from an
/// unknown key without a question to the database; the secret has 256 random bits.
package struct APIKey: Sendable, Equatable {
    package static let prefix = "sk-relay-"
    static let publicLength = 12
    static let secretLength = 43
    static let checksumLength = 6

    /// May be shown and logged.
    package let publicID: String
    /// SHA-256 of the whole key.
    package let digest: [UInt8]

    /// Reads a key; nil when the form or the checksum is wrong.
    package init?(_ presented: String) {
        let bytes = Array(presented.utf8)
        let prefix = Array(APIKey.prefix.utf8)
        let publicEnd = prefix.count + APIKey.publicLength
        let secretEnd = publicEnd + 1 + APIKey.secretLength
        guard bytes.count == secretEnd + 1 + APIKey.checksumLength, bytes.starts(with: prefix),
            bytes[publicEnd] == UInt8(ascii: "-"), bytes[secretEnd] == UInt8(ascii: "-")
        else { return nil }
        let publicID = bytes[prefix.count..<publicEnd]
        guard (publicID + bytes[(publicEnd + 1)..<secretEnd]).allSatisfy(Base62.isDigit),
            bytes[(secretEnd + 1)...].elementsEqual(APIKey.checksum(bytes[..<secretEnd]))
        else { return nil }
        self.publicID = String(decoding: publicID, as: UTF8.self)
        digest = SHA256.digest(bytes)
    }

    /// Makes a key. `random` gives that many random bytes.
    package static func generate(random: (Int) -> [UInt8]) -> (text: String, key: APIKey) {
        let publicID = Base62.digits(publicLength, random: random)
        let secret = Base62.digits(secretLength, random: random)
        let body = Array(prefix.utf8) + publicID + [UInt8(ascii: "-")] + secret
        let text = String(decoding: body + [UInt8(ascii: "-")] + checksum(body[...]), as: UTF8.self)
        guard let key = APIKey(text) else { preconditionFailure("a key that was just made can be read") }
        return (text, key)
    }

    private static func checksum(_ body: ArraySlice<UInt8>) -> [UInt8] {
        Base62.encode(CRC32.checksum(body), width: checksumLength)
    }
}

/// Digits, upper-case and lower-case letters, in this order.
enum Base62 {
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }

    /// Random digits, all equally likely: bytes from 248 = 4 · 62 on are thrown away.
    static func digits(_ count: Int, random: (Int) -> [UInt8]) -> [UInt8] {
        var digits: [UInt8] = []
        while digits.count < count {
            for byte in random(count - digits.count) where byte < 248 { digits.append(alphabet[Int(byte) % 62]) }
        }
        return digits
    }

    /// `value` with leading zeros; `width` digits must be enough for it.
    static func encode(_ value: UInt32, width: Int) -> [UInt8] {
        var rest = Int(value)
        var digits: [UInt8] = []
        for _ in 0..<width {
            digits.append(alphabet[rest % 62])
            rest /= 62
        }
        precondition(rest == 0, "the number has more digits")
        return digits.reversed()
    }
}

/// The checksum of IEEE 802.3, with the polynomial reflected.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
    }
}
