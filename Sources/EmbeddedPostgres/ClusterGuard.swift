import Glibc
import LocalSystem

/// A small process that stops the server when this process dies without having done so, even by `kill -9`.
///
/// It reads from a pipe whose other end only this process holds. At the end of the pipe it takes the cluster's lock
/// and stops the server; when the next `relaygate up` was faster and has the lock, it leaves the server to that one.
struct ClusterGuard: Sendable {
    private let child: ChildProcess

    // The interrupt of a terminal goes to every process in its foreground; the guard has to outlive that.
    private static let script = """
        trap '' INT HUP TERM QUIT
        read -r _
        exec "$@"
        """

    /// - Returns: nil when the tools for it are missing; the server is then only stopped in order.
    static func start(lock: String, stopCommand: [String]) -> ClusterGuard? {
        guard let shell = Command.find("sh"), let flock = Command.find("flock") else { return nil }
        // Two seconds, because the dying process may close the pipe a moment before it loses the lock.
        let child = try? ChildProcess(
            shell, ["-c", script, "relaygate-guard", flock, "-w", "2", lock] + stopCommand,
            environment: Command.environment(changes: ClusterUser.environment), output: .discard)
        return child.map { ClusterGuard(child: $0) }
    }

    /// Ends the guard without stopping the server.
    func dismiss() {
        child.signal(SIGKILL)
        _ = child.wait()
        child.closeInput()
    }

    /// Lets the guard do its work: as if this process had died.
    func release() {
        child.closeInput()
    }
}
