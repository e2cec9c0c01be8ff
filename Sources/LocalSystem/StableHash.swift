/// FNV-1a with 64 bits: the same text gives the same name in every process and on every machine.
///
/// The standard library's `Hasher` is seeded per process, so it cannot name a directory that the next run must find
/// again. This hash is for names only; nothing about it resists an attacker.
package enum StableHash {
    /// The hash of the bytes.
    package static func value(of bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        return hash
    }

    /// The hash of the text's UTF-8 as 16 lower-case hexadecimal digits.
    package static func name(of text: String) -> String {
        let digits = String(value(of: text.utf8), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
