internal import Accounting
internal import Glibc

/// Why the spool could not be used; its description names the directory or the file, and what the system said.
package struct SpoolError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    /// With the system's last error.
    static func system(_ what: String) -> SpoolError {
        SpoolError(description: "\(what): \(unsafe String(cString: strerror(errno)))")
    }
}

/// What lies in a spool.
package struct SpoolSummary: Sendable, Equatable {
    /// Files with records that wait for the database, and their bytes.
    package var files = 0
    package var bytes = 0
    /// Files that were set aside because the disk has changed them.
    package var damaged = 0

    /// Looks into a directory, also while a gateway uses it.
    package static func read(_ path: String) throws(SpoolError) -> SpoolSummary {
        let (waiting, damaged) = try SpoolDirectory.list(path)
        return SpoolSummary(files: waiting.count, bytes: waiting.reduce(0) { $0 + $1.bytes }, damaged: damaged)
    }
}

/// A directory of files to which records are appended, and from which they are taken file by file. One process at a
/// time. Blocks on the disk; not safe for several threads.
///
/// Files are named by increasing numbers and readable by their owner only. What `append` has returned for is on the
/// disk. A failed write leaves a file as it was before, so a record is either acknowledged or not there, except when
/// the disk refuses even that: then it is read once too often, which the ledger does not mind.
final class SpoolDirectory {
    /// A file that has this many bytes is followed by another one; a file is what is read at a time.
    private static let fileBytes = 4 << 20

    struct File: Equatable {
        let name: String
        var bytes: Int
    }

    private let path: String
    private let limit: Int
    private let lock: Int32
    private var isClosed = false
    /// Oldest first; the last one is the one that is open.
    private var files: [File]
    private var damaged: Int
    private var next: UInt64
    private var output: Int32?

    /// Takes the directory for this process.
    ///
    /// - Parameter limit: bytes of all files; `append` refuses what would exceed it.
    init(_ path: String, limit: Int) throws(SpoolError) {
        self.path = path
        self.limit = limit
        (files, damaged) = try SpoolDirectory.list(path)
        next = (files.last.flatMap { UInt64($0.name.prefix(16)) } ?? 0) + 1
        lock = unsafe open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .system("cannot write into \(path)") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let isTaken = errno == EWOULDBLOCK
            let error = SpoolError.system("cannot lock \(path)/lock")
            close(lock)
            throw isTaken
                ? SpoolError(description: "\(path) is used by another gateway; give each one a directory of its own")
                : error
        }
    }

    deinit { release() }

    /// Gives the directory free for another process.
    func release() {
        guard !isClosed else { return }
        isClosed = true
        seal()
        close(lock)
    }

    /// The files of a directory, oldest first, and how many were set aside.
    static func list(_ path: String) throws(SpoolError) -> (waiting: [File], damaged: Int) {
        guard let directory = unsafe opendir(path) else { throw .system("cannot read the directory \(path)") }
        defer { unsafe closedir(directory) }
        var waiting: [File] = []
        var damaged = 0
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".damaged") { damaged += 1 }
            guard name.hasSuffix(".spool") else { continue }
            var status = stat()
            // A file that is gone by now was written to the database.
            guard unsafe stat(path + "/" + name, &status) == 0 else { continue }
            waiting.append(File(name: name, bytes: Int(status.st_size)))
        }
        return (waiting.sorted { $0.name < $1.name }, damaged)
    }

    var summary: SpoolSummary {
        SpoolSummary(files: files.count, bytes: files.reduce(0) { $0 + $1.bytes }, damaged: damaged)
    }

    /// Makes records durable, all or none of them.
    func append(_ records: [RequestRecord]) throws(SpoolError) {
        let bytes = records.flatMap(SpoolFrame.bytes)
        guard summary.bytes + bytes.count <= limit else {
            throw SpoolError(description: "\(path) holds all that ledger.spool_bytes allows")
        }
        let output = try openFile()
        let last = files.count - 1
        do throws(SpoolError) {
            try write(bytes, to: output)
            guard fdatasync(output) == 0 else { throw SpoolError.system("cannot write to \(path)/\(files[last].name)") }
            files[last].bytes += bytes.count
        } catch {
            _ = ftruncate(output, off_t(files[last].bytes))
            seal()
            throw error
        }
    }

    private func openFile() throws(SpoolError) -> Int32 {
        if let output, let file = files.last, file.bytes < SpoolDirectory.fileBytes { return output }
        seal()
        let digits = String(next)
        let name = String(repeating: "0", count: max(0, 16 - digits.count)) + digits + ".spool"
        let made = unsafe open(path + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
        guard made >= 0 else { throw .system("cannot make \(path)/\(name)") }
        next += 1
        output = made
        files.append(File(name: name, bytes: 0))
        try synchronise()
        return made
    }

    private func write(_ bytes: [UInt8], to output: Int32) throws(SpoolError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(output, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .system("cannot write to \(path)") }
            rest = rest.dropFirst(count)
        }
    }

    private func seal() {
        if let output { close(output) }
        output = nil
    }

    /// The oldest file; nothing is appended to it any more. Nil when there is none.
    func oldest() throws(SpoolError) -> (name: String, content: SpoolFrame.Content)? {
        guard let file = files.first else { return nil }
        if files.count == 1 { seal() }
        let input = unsafe open(path + "/" + file.name, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw .system("cannot read \(path)/\(file.name)") }
        defer { close(input) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(input, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("cannot read \(path)/\(file.name)") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return (file.name, SpoolFrame.content(bytes))
    }

    /// Forgets the oldest file: its records are in the database. `keeps` sets it aside instead.
    func remove(_ name: String, keeps: Bool) throws(SpoolError) {
        guard files.first?.name == name else { return }
        let old = path + "/" + name
        let isDone = keeps ? unsafe rename(old, old + ".damaged") : unsafe unlink(old)
        guard isDone == 0 || errno == ENOENT else { throw .system("cannot remove \(old)") }
        files.removeFirst()
        if keeps { damaged += 1 }
        try synchronise()
    }

    /// Makes the names of files durable.
    private func synchronise() throws(SpoolError) {
        let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .system("cannot read the directory \(path)") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .system("cannot write the directory \(path)") }
    }
}
