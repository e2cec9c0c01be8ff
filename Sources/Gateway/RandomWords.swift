internal import Glibc

/// Random numbers of the kernel, fetched 32 at a time: an id needs two, and a system call for each would be dear.
struct RandomWords: RandomNumberGenerator {
    private var words = [UInt64](repeating: 0, count: 32)
    private var left = 0

    mutating func next() -> UInt64 {
        if left == 0 { fill() }
        left -= 1
        return words[left]
    }

    private mutating func fill() {
        // 256 bytes are the most that one call gives.
        let code = unsafe words.withUnsafeMutableBytes { buffer in
            unsafe buffer.baseAddress.map { unsafe getentropy($0, buffer.count) } ?? -1
        }
        precondition(code == 0, "the kernel gives no random bytes")
        left = words.count
    }
}
