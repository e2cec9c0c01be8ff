internal import Glibc

/// The kernel's random bytes.
package enum SystemRandom {
    /// `count` bytes that nobody can foretell.
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            // getentropy, which is getrandom without its partial answers, gives at most 256 bytes a call.
            for start in stride(from: 0, to: count, by: 256) {
                let code = unsafe getentropy(base + start, min(256, count - start))
                precondition(code == 0, "the kernel gives no random bytes")
            }
        }
        return bytes
    }

    /// 64 of its bits.
    package static func word() -> UInt64 { bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }
}
