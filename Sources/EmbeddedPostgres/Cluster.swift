import Foundation
import Glibc
import LocalSystem

/// The steps that make a cluster and bring its server up or down. The caller holds the cluster's lock.
struct Cluster: Sendable {
    static let user = "relaygate"
    static let database = "relaygate"
    private static let freshBytes: Int64 = 200_000_000
    private static let startBytes: Int64 = 64_000_000
    private static let startLimitSeconds = 600

    let layout: ClusterLayout
    let account: ClusterUser
    let binaries: PostgresBinaries

    /// Makes the data directory if there is none.
    func initialize(progress: (ProgressEvent) -> Void) throws(EmbeddedPostgresError) {
        guard !Self.hasData(layout.data) else { return }
        try requireDisk(Self.freshBytes, purpose: "a new PostgreSQL cluster")
        progress(.note("creating a PostgreSQL \(binaries.major) cluster in \(layout.root)"))
        // Made under another name and renamed at the end: what an interrupted initdb leaves is never taken for data.
        let fresh = layout.data + ".new"
        var result = try initdb(fresh, locale: "C.UTF-8")
        if result.status != 0, result.output.contains("locale") { result = try initdb(fresh, locale: "C") }
        guard result.status == 0 else {
            throw Self.failure(.initFailed, "initdb could not create the cluster in \(layout.root)", result.output)
        }
        guard unsafe rename(fresh, layout.data) == 0 else {
            throw EmbeddedPostgresError(
                .initFailed, "cannot rename \(fresh) to \(layout.data): \(SystemText.error(errno))")
        }
    }

    private func initdb(_ path: String, locale: String) throws(EmbeddedPostgresError) -> Command.Result {
        try? FileManager.default.removeItem(atPath: path)
        return try run(
            "initdb",
            [
                "--pgdata", path, "--username", Self.user, "--encoding", "UTF8", "--locale", locale,
                "--auth-local", "trust", "--auth-host", "reject", "--no-instructions",
            ])
    }

    /// Makes sure that the server runs with our socket: takes over a running one, waits for one that is starting
    /// or stopping, and otherwise starts it.
    func bringUp(progress: (ProgressEvent) -> Void) throws(EmbeddedPostgresError) {
        if let running = ClusterProcess.postmaster(data: layout.data) {
            let isOurs = running.socketDirectory == layout.socketDirectory && running.port == ClusterLayout.port
            if isOurs && running.status != "stopping" {
                progress(.note("taking over the running PostgreSQL (pid \(running.processID))"))
                return try waitUntilReady(progress: progress)
            }
            if running.status != "stopping" { try stop() }
        }
        try clearRemains()
        try requireDisk(Self.startBytes, purpose: "PostgreSQL")
        rotateLog()
        let result = try run(
            "pg_ctl",
            [
                "start", "--no-wait", "--silent", "--pgdata", layout.data, "--log", layout.log,
                "--options", ClusterSettings.options(socketDirectory: layout.socketDirectory),
            ])
        guard result.status == 0 else {
            throw Self.failure(.startFailed, "PostgreSQL could not be started", result.output)
        }
        try waitUntilReady(progress: progress)
    }

    /// Makes the database if there is none.
    func createDatabase() throws(EmbeddedPostgresError) {
        let host = layout.socketDirectory
        let target = ConnectionString.text(
            host: host, port: ClusterLayout.port, database: "postgres", user: Self.user)
        let arguments = ["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", target, "--command"]
        let exists = try run("psql", arguments + ["SELECT 1 FROM pg_database WHERE datname = '\(Self.database)'"])
        if exists.status == 0, exists.output.split(separator: "\n").contains("1") { return }
        let made = try run("psql", arguments + ["CREATE DATABASE \(Self.database)"])
        guard made.status == 0 else {
            throw Self.failure(.startFailed, "the database \(Self.database) could not be created", made.output)
        }
    }

    /// Stops the server: sessions are ended and everything is written out; at once if that takes over a minute,
    /// which loses nothing either, since the next start replays the log.
    func stop() throws(EmbeddedPostgresError) {
        guard ClusterProcess.postmaster(data: layout.data) != nil else { return }
        let fast = try run("pg_ctl", stopArguments)
        guard fast.status != 0, ClusterProcess.postmaster(data: layout.data) != nil else { return }
        let now = try run("pg_ctl", ["stop", "--silent", "--pgdata", layout.data, "--mode", "immediate"])
        guard now.status == 0 || ClusterProcess.postmaster(data: layout.data) == nil else {
            throw Self.failure(.stopFailed, "PostgreSQL did not stop", fast.output + now.output)
        }
    }

    /// The whole command of an orderly stop, for the guard.
    var stopCommand: [String] { account.words(binaries.path("pg_ctl"), stopArguments) }

    private var stopArguments: [String] {
        ["stop", "--silent", "--wait", "--timeout", "60", "--pgdata", layout.data, "--mode", "fast"]
    }

    /// Deals with what a postmaster that was killed left behind.
    private func clearRemains() throws(EmbeddedPostgresError) {
        if !ClusterProcess.waitUntilGone(data: layout.data, seconds: 10) {
            // Its children end by themselves when they notice; one that sleeps long is told to.
            for child in ClusterProcess.all(data: layout.data) { kill(child, SIGQUIT) }
            guard ClusterProcess.waitUntilGone(data: layout.data, seconds: 20) else {
                let left = ClusterProcess.all(data: layout.data).map(String.init).joined(separator: ", ")
                throw EmbeddedPostgresError(
                    .startFailed, "processes of an earlier PostgreSQL do not end (\(left)); end them and try again")
            }
        }
        // PostgreSQL removes stale lock files itself, except when the id in them is taken: by another process by now,
        // or by the old server as a zombie that nobody reaps. No process of this cluster lives and the lock is ours,
        // so nobody else can be starting it.
        for path in [layout.data + "/postmaster.pid", layout.socket, layout.socket + ".lock"] {
            _ = unsafe unlink(path)
        }
    }

    private func waitUntilReady(progress: (ProgressEvent) -> Void) throws(EmbeddedPostgresError) {
        // pg_ctl returns before the new postmaster has changed into its directory and written its file.
        var absences = 0
        for round in 0..<(Self.startLimitSeconds * 20) {
            if let file = ClusterProcess.postmaster(data: layout.data) {
                absences = 0
                if file.status == "ready" { return }
            } else {
                absences += 1
                if absences > 40 { throw startFailure("PostgreSQL ended while starting") }
            }
            if round > 0, round.isMultiple(of: 20) {
                progress(.waiting(label: "PostgreSQL is starting", seconds: round / 20))
            }
            Pause.milliseconds(50)
        }
        throw startFailure("PostgreSQL was not ready after \(Self.startLimitSeconds) s")
    }

    private func startFailure(_ text: String) -> EmbeddedPostgresError {
        Self.failure(.startFailed, "\(text); see \(layout.log)", SystemText.tail(path: layout.log, lines: 8))
    }

    private func run(_ program: String, _ arguments: [String]) throws(EmbeddedPostgresError) -> Command.Result {
        do {
            return try account.run(binaries.path(program), arguments)
        } catch {
            throw EmbeddedPostgresError(.notInstalled, error.description, detail: error.detail)
        }
    }

    private func requireDisk(_ bytes: Int64, purpose: String) throws(EmbeddedPostgresError) {
        do {
            try DiskSpace.require(bytes: bytes, at: layout.root, purpose: purpose)
        } catch {
            throw EmbeddedPostgresError(.diskFull, error.description)
        }
    }

    private func rotateLog() {
        let size = (try? FileManager.default.attributesOfItem(atPath: layout.log))?[.size] as? NSNumber
        if let size, size.int64Value > 10_000_000 { _ = unsafe rename(layout.log, layout.log + ".1") }
    }

    /// Whether the path is a complete data directory: initdb writes PG_VERSION, and the rename comes last.
    static func hasData(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path + "/PG_VERSION")
    }

    /// A failure of one of PostgreSQL's tools; a full disk is told apart whatever the tool was doing.
    static func failure(
        _ code: EmbeddedPostgresError.Code, _ text: String, _ output: String
    ) -> EmbeddedPostgresError {
        if output.contains("No space left on device") || output.contains("Disk quota exceeded") {
            return EmbeddedPostgresError(.diskFull, "\(text): the disk is full", detail: output)
        }
        return EmbeddedPostgresError(code, text, detail: output)
    }
}
