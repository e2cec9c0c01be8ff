internal import Arguments
internal import Glibc

/// A file that is read from its beginning to its end; `-` is standard input.
final class InputFile: Sendable {
    private let fd: Int32
    private let path: String

    init(_ path: String) throws(CommandExit) {
        self.path = path
        fd = path == "-" ? dup(STDIN_FILENO) : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw .failure("cannot read \(path): \(unsafe String(cString: strerror(errno)))") }
    }

    deinit { close(fd) }

    /// The next bytes; nil at the end.
    func read() throws(CommandExit) -> [UInt8]? {
        while true {
            var failure: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                let found = unsafe Glibc.read(fd, buffer.baseAddress, buffer.count)
                failure = found < 0 ? errno : 0
                count = max(0, found)
            }
            if failure == EINTR { continue }
            guard failure == 0 else {
                throw .failure("cannot read \(path): \(unsafe String(cString: strerror(failure)))")
            }
            return bytes.isEmpty ? nil : bytes
        }
    }
}
