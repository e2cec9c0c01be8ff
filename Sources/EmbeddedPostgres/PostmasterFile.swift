/// The lines of `postmaster.pid` that matter here.
///
/// Source: `src/include/utils/pidfile.h` of PostgreSQL 15: pid, data directory, start time, port, socket directory,
/// listen address, shared memory key, status.
struct PostmasterFile: Sendable, Equatable {
    let processID: Int32
    let port: Int?
    let socketDirectory: String?
    /// `starting`, `ready`, `stopping` or `standby`, as far as it was written.
    let status: String?

    /// - Returns: nil when the text does not begin with a process id, as in a file cut off by a full disk.
    init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { Self.trimmed($0) }
        // A negative number is a standalone backend (`postgres --single`); nobody starts that here.
        guard let first = lines.first, let processID = Int32(first), processID > 0 else { return nil }
        self.processID = processID
        port = lines.count > 3 ? Int(lines[3]) : nil
        socketDirectory = lines.count > 4 && !lines[4].isEmpty ? lines[4] : nil
        status = lines.count > 7 && !lines[7].isEmpty ? lines[7] : nil
    }

    private static func trimmed(_ line: Substring) -> String {
        String(line.drop { $0 == " " }.reversed().drop { $0 == " " || $0 == "\r" }.reversed())
    }
}
