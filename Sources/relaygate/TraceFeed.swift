internal import Arguments
internal import Glibc
internal import Notation
internal import Synchronization
internal import Traces

/// The lines of trace files, JSON Lines or tables (`.csv`), one file behind the other, in pieces of a size that can be
/// gone on with later.
///
/// The order of the names given does not matter: files are read in the order of the first request of each, which is the
/// order in which budgets are used.
final class TraceFeed: Sendable {
    /// Where a piece ends: always behind a line.
    struct Position: Codable, Equatable, Sendable {
        /// Which file, in the order of reading.
        var file: Int
        var offset: Int
    }

    private struct State {
        var position = Position(file: 0, offset: 0)
        var fd: Int32 = -1
        /// Bytes until the piece may end.
        var left = Int.max
        var endsInLine = false
        var isPieceOver = false
        /// Of a file that is a table, which can be gone on with only behind its end.
        var table: TraceTableLines?
        /// What ended the reading. Several threads ask for bytes, and all have to be told the same.
        var failure: (any Error)?
    }

    /// In the order of reading.
    let paths: [String]
    /// Of all files; 0 when they are no files.
    let totalBytes: Int
    private let state = Mutex(State())

    /// - Parameter paths: `-` is standard input, which has to be the only one.
    init(_ paths: [String]) throws(CommandExit) {
        var known = Set<FileIdentity>()
        for path in paths {
            guard let identity = FileIdentity(path), !known.insert(identity).inserted else { continue }
            throw .badUsage("--traces: \(path) is given twice, its requests would count twice")
        }
        if paths.contains("-"), paths.count > 1 {
            throw .badUsage("--traces: - is standard input, and has to be alone")
        }
        var files: [(first: String, path: String)] = []
        var total = 0
        for path in paths where path != "-" {
            let (first, size) = try TraceFeed.look(path)
            files.append((first, path))
            total += size
        }
        self.paths = paths == ["-"] ? paths : files.sorted { $0 < $1 }.map(\.path)
        totalBytes = total
    }

    deinit {
        let fd = state.withLock { $0.fd }
        if fd >= 0 { close(fd) }
    }

    /// Whether what is read can be gone on with later.
    var isSeekable: Bool { paths != ["-"] }

    var position: Position { state.withLock { $0.position } }

    var isAtEnd: Bool { state.withLock { $0.position.file >= paths.count } }

    /// Goes to where an earlier run ended.
    func seek(_ position: Position) {
        state.withLock { state in
            if state.fd >= 0 { close(state.fd) }
            state = State(position: position)
        }
    }

    /// Begins the next piece, which ends behind the first line that reaches `bytes`.
    func begin(bytes: Int) {
        state.withLock { state in
            state.left = bytes
            state.isPieceOver = false
        }
    }

    /// The next bytes of the piece; nil at its end.
    func next() throws -> [UInt8]? {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            do {
                return try TraceFeed.next(paths, &state)
            } catch {
                state.failure = error
                throw error
            }
        }
    }

    private static func next(_ paths: [String], _ state: inout State) throws -> [UInt8]? {
        while !state.isPieceOver, state.position.file < paths.count {
            if state.fd < 0 { try open(paths, &state) }
            // No more than the piece may have, so that it ends near where it should.
            let size = min(1 << 20, max(state.left, 1 << 12))
            let bytes = try TraceFeed.read(state.fd, paths[state.position.file], size)
            if bytes.isEmpty {
                if let rest = try end(paths, &state) { return rest }
            } else if state.table != nil {
                state.left -= bytes.count
                let lines = try TraceFeed.naming(paths[state.position.file]) { () throws(TraceFault) in
                    try state.table?.read(bytes)
                }
                if let lines, !lines.isEmpty { return lines }
            } else {
                return cut(bytes, &state)
            }
        }
        return nil
    }

    /// Ends a file; returns what it still has.
    private static func end(_ paths: [String], _ state: inout State) throws -> [UInt8]? {
        close(state.fd)
        state.fd = -1
        state.position = Position(file: state.position.file + 1, offset: 0)
        if state.left <= 0 { state.isPieceOver = true }
        if var table = state.table {
            state.table = nil
            return try TraceFeed.naming(paths[state.position.file - 1]) { () throws(TraceFault) in
                try table.finish()
            }
        }
        guard state.endsInLine else { return nil }
        // The next file begins a line of its own.
        state.endsInLine = false
        return [0x0A]
    }

    private static func open(_ paths: [String], _ state: inout State) throws {
        let path = paths[state.position.file]
        state.table = TraceFeed.isTable(path) ? TraceTableLines() : nil
        state.fd = path == "-" ? dup(STDIN_FILENO) : unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard state.fd >= 0, state.position.offset == 0 || lseek(state.fd, off_t(state.position.offset), SEEK_SET) >= 0
        else { throw TraceFeed.failure(path) }
    }

    private static func cut(_ bytes: [UInt8], _ state: inout State) -> [UInt8] {
        var bytes = bytes
        state.left -= bytes.count
        if state.left <= 0, let end = bytes.lastIndex(of: 0x0A) {
            let rest = bytes.count - end - 1
            if lseek(state.fd, off_t(-rest), SEEK_CUR) >= 0 {
                bytes.removeLast(rest)
                state.isPieceOver = true
            }
        }
        state.position.offset += bytes.count
        state.endsInLine = bytes.last != 0x0A
        return bytes
    }

    /// Faults of a table know their line in it, and not which file it is.
    private static func naming<Value>(
        _ path: String, _ body: () throws(TraceFault) -> Value
    ) throws(CommandExit) -> Value {
        do throws(TraceFault) {
            return try body()
        } catch {
            let isHead = error.line == 1
            throw .failure(
                PlainText.lines("\(path): \(error)" + (isHead ? "; a pair table is given with --pairs" : "")))
        }
    }

    private static func read(_ fd: Int32, _ path: String, _ size: Int) throws(CommandExit) -> [UInt8] {
        while true {
            var failure: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                let found = unsafe Glibc.read(fd, buffer.baseAddress, buffer.count)
                failure = found < 0 ? errno : 0
                count = max(0, found)
            }
            if failure == EINTR { continue }
            guard failure == 0 else {
                throw .failure("cannot read \(path): \(unsafe String(cString: strerror(failure)))")
            }
            return bytes
        }
    }

    private static func failure(_ path: String) -> CommandExit {
        .failure("cannot read \(path): \(unsafe String(cString: strerror(errno)))")
    }

    /// The id of a file's first request and the file's size. A file that is no trace is found out when it is read.
    private static func look(_ path: String) throws(CommandExit) -> (first: String, size: Int) {
        let fd = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw failure(path) }
        defer { close(fd) }
        let end = lseek(fd, 0, SEEK_END)
        // What cannot be sought, such as a pipe, must not lose its beginning to this look.
        guard end >= 0, lseek(fd, 0, SEEK_SET) >= 0 else { return ("", 0) }
        let head = try read(fd, path, 1 << 16)
        let mark = Array((isTable(path) ? "\n" : "\"request_id\":\"").utf8)
        let start = head.indices.first { head[$0...].starts(with: mark) }
        let id = start.map { String(decoding: head[($0 + mark.count)...].prefix(36), as: UTF8.self) } ?? ""
        return (id, Int(end))
    }

    private static func isTable(_ path: String) -> Bool { path.hasSuffix(".csv") }

    /// The file and the line in it of a line that is counted from a position on.
    func locate(line: Int, from start: Position) -> (path: String, line: Int)? {
        var left = line
        for file in start.file..<paths.count {
            guard let input = try? InputFile(paths[file]), paths[file] != "-" else { return nil }
            var (offset, before, behind) = (0, 0, 0)
            var last: UInt8 = 0x0A
            while let bytes = try? input.read() {
                for byte in bytes {
                    if file == start.file, offset < start.offset {
                        before += byte == 0x0A ? 1 : 0
                    } else {
                        if last == 0x0A || (file == start.file && offset == start.offset) { behind += 1 }
                        if behind == left { return (paths[file], before + behind) }
                    }
                    last = byte
                    offset += 1
                }
            }
            left -= behind
        }
        return nil
    }
}
