import Foundation
import Glibc

/// A program run to its end, with its output read line by line.
package struct Command: Sendable {
    /// How it ended and what it printed.
    package struct Result: Sendable {
        /// The exit status; 128 plus the signal when a signal ended it.
        package let status: Int32
        /// The last lines of standard output and standard error, joined; at most 64 KiB.
        package let output: String
    }

    private static let outputLimit = 65_536

    package var executable: String
    package var arguments: [String]
    /// Variables added to (or, with a nil value, removed from) the environment of this process.
    package var environment: [String: String?]

    /// - Parameter executable: a path; use ``find(_:)`` for a program of the search path.
    package init(_ executable: String, _ arguments: [String], environment: [String: String?] = [:]) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
    }

    /// The path of a program: the first executable of that name in `PATH`, then in the directories of the system,
    /// which the `PATH` of a plain user often leaves out.
    package static func find(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let directories = path.split(separator: ":").map(String.init) + ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        return directories.lazy.map { "\($0)/\(name)" }.first { isExecutableFile($0) }
    }

    /// Whether the path is a file (not a directory) that this user may execute.
    package static func isExecutableFile(_ path: String) -> Bool {
        var isDirectory = ObjCBool(false)
        let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        return exists && !isDirectory.boolValue && FileManager.default.isExecutableFile(atPath: path)
    }

    /// The environment of this process with the changes asked for.
    package static func environment(changes: [String: String?]) -> [String: String] {
        var all = ProcessInfo.processInfo.environment
        for (name, value) in changes { all[name] = value }
        return all
    }

    /// Runs the program in the directory `/` and blocks until it has ended.
    ///
    /// Its standard input is a pipe that this process holds open and never writes to, so a program that watches for
    /// the end of its input notices when this process dies.
    /// - Parameter line: called with each line of output as it comes.
    /// - Throws: `commandNotFound` when it cannot be started. A failure of the program is in the result.
    package func run(line: (String) -> Void = { _ in }) throws(LocalSystemError) -> Result {
        let output = try ChildProcess.pipe()
        defer { _ = close(output.read) }
        let child: ChildProcess
        do {
            // The child alone may hold the writing end, or its end would never be seen.
            defer { _ = close(output.write) }
            child = try ChildProcess(
                executable, arguments, environment: Self.environment(changes: environment),
                output: .descriptor(output.write))
        }
        var splitter = LineSplitter()
        var kept = ""
        func take(_ text: String) {
            line(text)
            kept += text + "\n"
            if kept.utf8.count > Self.outputLimit { kept = String(kept.suffix(Self.outputLimit / 4)) }
        }
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(output.read, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for text in splitter.feed(buffer.prefix(count)) { take(text) }
        }
        if let rest = splitter.finish() { take(rest) }
        return Result(status: child.wait(), output: kept)
    }
}
