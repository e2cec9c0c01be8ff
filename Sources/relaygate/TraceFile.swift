internal import Accounting
internal import Arguments
internal import Glibc
internal import Store

/// The file that an export goes to, with what is whole of an earlier one.
final class TraceFile: Sendable {
    enum Format: String, CaseIterable {
        case jsonl, csv
    }

    /// Where an earlier export ended.
    struct Position {
        /// The last request that is in the file.
        let after: UUID7
        /// How many are.
        let requests: Int
    }

    let position: Position?
    /// Whether nothing of an earlier export is in it.
    let isEmpty: Bool
    private let path: String
    private let fd: Int32

    /// Opens a file that must not exist, or with `resumes` one that may: then what is cut off at its end is removed. Of
    /// CSV the last request goes whole, because nobody can see whether all of its segments are there.
    init(_ path: String, _ format: Format, resumes: Bool) throws(CommandExit) {
        self.path = path
        fd = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | (resumes ? 0 : O_EXCL), 0o666)
        guard fd >= 0 else {
            if errno == EEXIST {
                throw .failure("\(path) is there already; choose another file, or --resume to go on with it")
            }
            throw .failure("cannot write \(path): \(unsafe String(cString: strerror(errno)))")
        }
        var status = stat()
        // Reading a device to its end may never end.
        guard unsafe fstat(fd, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .failure(
                "\(path) is no file, so it cannot be gone on with; leave --resume and --output out for a pipe")
        }
        let whole = try TraceFile.scan(fd, path, format)
        guard ftruncate(fd, off_t(whole.bytes)) == 0, lseek(fd, 0, SEEK_END) >= 0 else {
            throw .failure("cannot cut \(path): \(unsafe String(cString: strerror(errno)))")
        }
        isEmpty = whole.bytes == 0
        position = whole.last.map { Position(after: $0, requests: whole.requests) }
    }

    deinit { close(fd) }

    /// Writes all of a text; a failure ends the program, as on standard output.
    func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(fd, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let reason = unsafe String(cString: strerror(errno))
                Terminal.write("error: cannot write \(path): \(reason); --resume goes on\n", to: STDERR_FILENO)
                exit(1)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// What was written is on the disk after this.
    func finish() throws(CommandExit) {
        // A pipe or a device cannot be synchronised, and need not be.
        guard fsync(fd) == 0 || errno == EINVAL || errno == EROFS else {
            throw .failure("cannot write \(path): \(unsafe String(cString: strerror(errno))); --resume goes on")
        }
    }

    private struct Whole {
        var bytes = 0
        var last: UUID7?
        var requests = 0
        /// Before the rows of `last`.
        var before: (bytes: Int, last: UUID7?, requests: Int) = (0, nil, 0)
    }

    /// Reads the whole file once: each line must be one of an export, in the order of ids.
    private static func scan(_ fd: Int32, _ path: String, _ format: Format) throws(CommandExit) -> Whole {
        var whole = Whole()
        var line: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var number = 0
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(fd, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .failure("cannot read \(path): \(unsafe String(cString: strerror(errno)))") }
            if count == 0 { break }
            var rest = chunk[..<count]
            while let end = rest.firstIndex(of: 0x0A) {
                line += rest[rest.startIndex..<end]
                rest = rest[(end + 1)...]
                number += 1
                try take(line, number, &whole, path, format)
                line.removeAll(keepingCapacity: true)
            }
            line += rest
        }
        if format == .csv, whole.last != nil {
            return Whole(bytes: whole.before.bytes, last: whole.before.last, requests: whole.before.requests)
        }
        return whole
    }

    private static func take(
        _ line: [UInt8], _ number: Int, _ whole: inout Whole, _ path: String, _ format: Format
    ) throws(CommandExit) {
        defer { whole.bytes += line.count + 1 }
        if format == .csv, number == 1, line.starts(with: Array("request_id,".utf8)) { return }
        let head: [UInt8] = format == .csv ? [] : Array(#"{"version":\#(TraceFormat.version),"request_id":""#.utf8)
        let id = line.dropFirst(head.count).prefix(36)
        guard line.starts(with: head), let request = UUID7(String(decoding: id, as: UTF8.self)),
            whole.last.map({ $0 < request || format == .csv && $0 == request }) ?? true
        else {
            throw .failure(
                "\(path), line \(number): is not what an export of this format writes, so it cannot be gone on with")
        }
        if request != whole.last {
            whole.before = (whole.bytes, whole.last, whole.requests)
            whole.last = request
            whole.requests += 1
        }
    }
}
