import Foundation
import Glibc
package import LocalSystem
import Synchronization

/// A PostgreSQL server of our own under a directory, for `relaygate up`: private socket, no TCP, data kept.
///
/// The server lives as long as this value: ``stop()`` ends it in order, and if this process is killed a guard stops
/// it. What was committed survives all of it (`fsync` and `synchronous_commit` are on). Calls block; make them
/// before and after serving, not on an event loop.
package final class EmbeddedPostgres: Sendable {
    private struct Held: ~Copyable {
        var lock: FileLock?
        var guardian: ClusterGuard?
    }

    /// For libpq: `host=<socket directory> port=54320 dbname=relaygate user=relaygate`.
    package let connectionString: String
    /// Where the data is; not always inside the directory that was named.
    package let dataDirectory: String
    /// What the server prints goes here.
    package let logFile: String

    private let cluster: Cluster
    private let held: Mutex<Held>

    private init(cluster: Cluster, lock: consuming FileLock, guardian: ClusterGuard?) {
        self.cluster = cluster
        connectionString = ConnectionString.text(
            host: cluster.layout.socketDirectory, port: ClusterLayout.port, database: Cluster.database,
            user: Cluster.user)
        dataDirectory = cluster.layout.data
        logFile = cluster.layout.log
        held = Mutex(Held(lock: lock, guardian: guardian))
    }

    /// Makes the cluster if there is none, starts its server or takes over the one that runs, and waits until the
    /// database `relaygate` can be used.
    ///
    /// - Parameters:
    ///   - directory: made if missing. As root, and where the user `postgres` cannot go, the cluster itself is put
    ///     into `/var/lib/relaygate` and a file in the directory says so.
    ///   - progress: called on this thread with what is being done.
    /// - Throws: `alreadyRunning` when another process uses the directory, `notInstalled` without PostgreSQL,
    ///   `diskFull`, and the other codes as named.
    package static func start(
        directory: String, progress: (ProgressEvent) -> Void = { _ in }
    ) throws(EmbeddedPostgresError) -> EmbeddedPostgres {
        let account = try ClusterUser.current()
        let place = try prepareDirectory(directory)
        let lock = try takeLock(ClusterLayout(directory: place, root: place).lock, progress: progress)
        let layout = try chooseLayout(place, account: account, progress: progress)
        let cluster = Cluster(
            layout: layout, account: account,
            binaries: try PostgresBinaries.find(major: existingMajor(layout.data)))
        try account.makePrivateDirectory(layout.root)
        try account.makePrivateDirectory(layout.socketDirectory)
        try cluster.initialize(progress: progress)
        try cluster.bringUp(progress: progress)
        // From here on the server must not outlive this process, not even a failure of the next step.
        let guardian = ClusterGuard.start(lock: layout.lock, stopCommand: cluster.stopCommand)
        let server = EmbeddedPostgres(cluster: cluster, lock: lock, guardian: guardian)
        do {
            try cluster.createDatabase()
        } catch {
            try? server.stop()
            throw error
        }
        return server
    }

    /// Stops the server in order and frees the directory for the next start. Calling it again does nothing.
    ///
    /// - Throws: `stopFailed` when the server does not end; the guard is left in place then.
    package func stop() throws(EmbeddedPostgresError) {
        guard held.withLock({ $0.lock != nil }) else { return }
        try cluster.stop()
        abandon()
    }

    /// Lets go of the lock and the guard and leaves the server as it is.
    func abandon() {
        held.withLock { held in
            held.guardian?.dismiss()
            held.guardian = nil
            held.lock = nil
        }
    }

    deinit {
        held.withLock { held in
            held.lock = nil
            held.guardian?.release()
            held.guardian = nil
        }
    }

    private static func prepareDirectory(_ directory: String) throws(EmbeddedPostgresError) -> String {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            let full = DiskSpace.availableBytes(at: directory) == 0
            throw EmbeddedPostgresError(
                full ? .diskFull : .directory, "cannot make the directory \(directory)",
                detail: String(describing: error))
        }
        // The real path: the server's working directory is compared with it, and its name is hashed.
        guard let real = unsafe realpath(directory, nil) else {
            throw EmbeddedPostgresError(.directory, "cannot find \(directory): \(SystemText.error(errno))")
        }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    private static func takeLock(
        _ path: String, progress: (ProgressEvent) -> Void
    ) throws(EmbeddedPostgresError) -> FileLock {
        do throws(LocalSystemError) {
            let lock: FileLock
            do throws(LocalSystemError) {
                lock = try FileLock(path: path)
            } catch {
                guard error.code == .lockHeld else { throw error }
                if let owner = FileLock.liveOwner(path: path) {
                    throw LocalSystemError(.lockHeld, "relaygate already runs here (pid \(owner)); stop it first")
                }
                // The owner is dead, so it is the guard that holds the lock while it stops the server.
                lock = try FileLock.wait(path: path, limitSeconds: 70) { seconds in
                    progress(.waiting(label: "the PostgreSQL of an earlier run is stopping", seconds: seconds))
                }
            }
            lock.writeOwner()
            return lock
        } catch {
            throw EmbeddedPostgresError(error.code == .lockHeld ? .alreadyRunning : .directory, error.description)
        }
    }

    /// Decides where the cluster is and leaves the note when it is not inside the directory.
    private static func chooseLayout(
        _ place: String, account: ClusterUser, progress: (ProgressEvent) -> Void
    ) throws(EmbeddedPostgresError) -> ClusterLayout {
        let inside = ClusterLayout(directory: place, root: ClusterLayout.insideRoot(place))
        guard account.isOther else { return inside }
        let elsewhere = ClusterLayout(directory: place, root: ClusterLayout.elsewhereRoot(place))
        let reachable = canEnter(place, account: account)
        // Data that is there already decides, should the rights of the directories above have changed since.
        if reachable, Cluster.hasData(inside.data) || !Cluster.hasData(elsewhere.data) { return inside }
        if Cluster.hasData(inside.data) {
            throw EmbeddedPostgresError(
                .directory,
                "the user postgres can no longer enter \(place), where its data is; give it the right "
                    + "to (chmod a+x on the directories above)")
        }
        do {
            try FileManager.default.createDirectory(
                atPath: "/var/lib/relaygate", withIntermediateDirectories: true)
            try (elsewhere.root + "\n").write(toFile: elsewhere.pointer, atomically: true, encoding: .utf8)
        } catch {
            throw EmbeddedPostgresError(
                .directory, "cannot put the cluster into /var/lib/relaygate", detail: String(describing: error))
        }
        progress(.note("the user postgres cannot enter \(place); its data is in \(elsewhere.root)"))
        return elsewhere
    }

    private static func canEnter(_ path: String, account: ClusterUser) -> Bool {
        guard let test = Command.find("test") else { return false }
        return (try? account.run(test, ["-x", path]))?.status == 0
    }

    private static func existingMajor(_ data: String) -> Int? {
        guard Cluster.hasData(data), let text = SystemText.firstLine(path: data + "/PG_VERSION") else { return nil }
        return Int(text)
    }
}
