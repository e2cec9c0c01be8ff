internal import Foundation

/// A PostgreSQL server of the tests' own: in a temporary directory, on a Unix socket, and gone when the test process
/// has ended, however it ended.
///
/// As root it runs as the user `postgres`, since the server refuses to be run by root.
package final class TemporaryPostgres: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The server that suites share; those that break a server start their own.
    package static let shared: Result<TemporaryPostgres, any Error> = Result { try TemporaryPostgres() }

    package let directory: String
    private let binaries: String
    /// The standard input of a shell that ends the server when this end is closed, which the kernel does if we crash.
    private let lifeline: Int32

    package init() throws {
        directory = "/tmp/relaygate-test-\(UInt64.random(in: .min ... .max))"
        binaries = try TemporaryPostgres.findBinaries()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        lifeline = ends[1]
        if getuid() == 0 { _ = try run("/bin/chown", ["postgres", directory]) }
        _ = try runAsServer(
            "initdb",
            ["-D", directory + "/data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"])
        try start()
        let stop = TemporaryPostgres.asServer(
            binaries + "/pg_ctl", ["-D", directory + "/data", "-m", "immediate", "stop"])
        let script = "trap '' INT TERM HUP; cat >/dev/null; d=$1; shift; \"$@\" >/dev/null 2>&1; rm -rf \"$d\""
        let sink = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer {
            close(sink)
            close(ends[0])
        }
        _ = try TemporaryPostgres.spawn(
            "/bin/sh", ["-c", script, "guardian", directory, stop.path] + stop.arguments, input: ends[0], output: sink)
    }

    deinit { close(lifeline) }

    // MARK: Databases

    /// Makes an empty database; returns its connection string.
    package func makeDatabase() throws -> String {
        let name = "test_\(UInt64.random(in: .min ... .max))"
        _ = try runAsServer("createdb", ["-h", directory, "-U", "postgres", name])
        return "host=\(directory) user=postgres dbname=\(name)"
    }

    /// Runs SQL with `psql` and returns what it prints: rows on lines, columns separated by `|`.
    @discardableResult
    package func sql(_ text: String, on connection: String) throws -> String {
        try runAsServer("psql", ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", connection, "-c", text])
            .trimmingCharacters(in: .newlines)
    }

    // MARK: Faults

    /// Starts the server and waits until it answers.
    package func start() throws {
        // Suites run in parallel, and each test has connections of its own.
        let options = "-c listen_addresses= -c unix_socket_directories=\(directory) -c max_connections=1000"
        _ = try runAsServer(
            "pg_ctl", ["-D", directory + "/data", "-l", directory + "/log", "-w", "-o", options, "start"])
    }

    /// Stops the server as a crash does: no checkpoint, no goodbye.
    package func crash() throws {
        _ = try runAsServer("pg_ctl", ["-D", directory + "/data", "-w", "-m", "immediate", "stop"])
    }

    /// Kills the server processes of the connections to a database with SIGKILL; the server then restarts itself.
    package func killBackends(application: String, on connection: String) throws {
        try waitUntilReady(connection)
        let pids = try sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name = '\(application)'", on: connection)
        for pid in pids.split(separator: "\n").compactMap({ Int32($0) }) {
            kill(pid, SIGKILL)
            // The server knows when the process is no more; from then on it recovers, and lets nobody in.
            while kill(pid, 0) == 0 { usleep(1000) }
        }
    }

    /// Waits until the server, which may be recovering, lets one in.
    package func waitUntilReady(_ connection: String) throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while (try? sql("SELECT 1", on: connection)) == nil, ContinuousClock.now < deadline { usleep(50_000) }
        try sql("SELECT 1", on: connection)
    }

    // MARK: Processes

    private static func findBinaries() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        guard let newest = versions.compactMap(Int.init).max() else {
            throw Failure(description: "no PostgreSQL server is installed below \(root)")
        }
        return "\(root)/\(newest)/bin"
    }

    private static func asServer(_ path: String, _ arguments: [String]) -> (path: String, arguments: [String]) {
        getuid() == 0 ? ("/sbin/runuser", ["-u", "postgres", "--", path] + arguments) : (path, arguments)
    }

    @discardableResult
    private func runAsServer(_ program: String, _ arguments: [String]) throws -> String {
        let command = TemporaryPostgres.asServer(binaries + "/" + program, arguments)
        return try run(command.path, command.arguments)
    }

    private func run(_ path: String, _ arguments: [String]) throws -> String {
        // A file, not a pipe: the server that pg_ctl starts would keep a pipe open.
        let file = directory + "-output-\(UInt64.random(in: .min ... .max))"
        let output = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer {
            close(output)
            close(input)
            unlink(file)
        }
        let child = try TemporaryPostgres.spawn(path, arguments, input: input, output: output)
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1 && errno == EINTR {}
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        guard status == 0 else {
            throw Failure(description: "\(path) \(arguments.joined(separator: " ")): \(text)")
        }
        return text
    }

    /// Foundation's Process waits for every descendant that keeps its descriptors, and a server does; so: posix_spawn.
    private static func spawn(
        _ path: String, _ arguments: [String], input: Int32, output: Int32
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // The server's user may not be able to read the directory that the tests run in.
        let shell = ["/bin/sh", "-c", "cd /tmp && exec \"$@\"", "sh", path] + arguments
        var vector = shell.map { strdup($0) } + [nil]
        defer { for item in vector { free(item) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/bin/sh", &actions, nil, &vector, environ)
        guard code == 0 else { throw Failure(description: "\(path): \(String(cString: strerror(code)))") }
        return child
    }
}
