import Foundation
import LocalSystem
import Testing

@testable import EmbeddedPostgres

/// These run a real server; the directories are under /tmp, where the user postgres can go.
@Suite(.serialized) struct EmbeddedPostgresTests {
    /// What `SELECT`s and other statements print, one field per line.
    private func query(_ server: EmbeddedPostgres, _ sql: String) throws -> String {
        let psql = try PostgresBinaries.find().path("psql")
        let result = try ClusterUser.current().run(psql, ["-XAt", "-d", server.connectionString, "-c", sql])
        try #require(result.status == 0, "\(result.output)")
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func withDirectory(_ tail: String = "", _ body: (String) throws -> Void) throws {
        let top = "/tmp/relaygate-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: top + tail, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: top) }
        try body(top + tail)
    }

    @Test func dataIsKeptFromOneStartToTheNext() throws {
        try withDirectory { directory in
            let first = try EmbeddedPostgres.start(directory: directory)
            #expect(try query(first, "SHOW fsync") == "on")
            #expect(try query(first, "SHOW synchronous_commit") == "on")
            #expect(try query(first, "SHOW server_encoding") == "UTF8")
            _ = try query(first, "CREATE TABLE t AS SELECT 42 AS x")
            let error = #expect(throws: EmbeddedPostgresError.self) {
                _ = try EmbeddedPostgres.start(directory: directory)
            }
            #expect(error?.code == .alreadyRunning)
            try first.stop()
            try first.stop()
            #expect(ClusterProcess.all(data: first.dataDirectory).isEmpty)
            let second = try EmbeddedPostgres.start(directory: directory)
            #expect(try query(second, "SELECT x FROM t") == "42")
            try second.stop()
        }
    }

    @Test func committedDataSurvivesAKilledPostmaster() throws {
        try withDirectory { directory in
            let first = try EmbeddedPostgres.start(directory: directory)
            _ = try query(first, "CREATE TABLE t AS SELECT 42 AS x")
            let postmaster = try #require(ClusterProcess.postmaster(data: first.dataDirectory))
            kill(postmaster.processID, SIGKILL)
            #expect(ClusterProcess.waitUntilGone(data: first.dataDirectory, seconds: 10))
            try first.stop()
            // The id in the pid file now belongs to this living process.
            try "\(getpid())\n/x\n1\n54320\n/x\n".write(
                toFile: first.dataDirectory + "/postmaster.pid", atomically: false, encoding: .utf8)
            let second = try EmbeddedPostgres.start(directory: directory)
            #expect(try query(second, "SELECT x FROM t") == "42")
            try second.stop()
        }
    }

    @Test func aRunningServerIsTakenOver() throws {
        try withDirectory { directory in
            let first = try EmbeddedPostgres.start(directory: directory)
            let postmaster = try #require(ClusterProcess.postmaster(data: first.dataDirectory))
            // As after `kill -9` of the owner and its guard: the server runs and nobody holds the lock.
            first.abandon()
            var notes: [String] = []
            let second = try EmbeddedPostgres.start(directory: directory) {
                if case .note(let text) = $0 { notes.append(text) }
            }
            #expect(notes.contains { $0.contains("taking over") && $0.contains("\(postmaster.processID)") })
            #expect(try query(second, "SELECT 1") == "1")
            try second.stop()
        }
    }

    @Test func aServerThatIsDroppedIsStoppedByItsGuard() throws {
        try withDirectory { directory in
            var server: EmbeddedPostgres? = try EmbeddedPostgres.start(directory: directory)
            let data = try #require(server?.dataDirectory)
            server = nil
            #expect(ClusterProcess.waitUntilGone(data: data, seconds: 15))
        }
    }

    @Test func aLongPathGetsAShortSocket() throws {
        let tail = "/" + String(repeating: "long-name/", count: 10) + "it's"
        try withDirectory(tail) { directory in
            let server = try EmbeddedPostgres.start(directory: directory)
            #expect(server.connectionString.hasPrefix("host=/tmp/relaygate-"))
            #expect(try query(server, "SELECT 1") == "1")
            try server.stop()
            if let socket = server.connectionString.split(separator: " ").first?.dropFirst("host=".count) {
                try FileManager.default.removeItem(atPath: String(socket))
            }
        }
    }
}
