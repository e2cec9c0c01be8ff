import Foundation
import Glibc
import LocalSystem

/// Looks at the processes of a cluster.
enum ClusterProcess {
    /// Whether a process lives in the data directory: the postmaster and all its children make it their working
    /// directory, so this tells a server's process from a stranger that was given the same process id.
    static func isServer(_ processID: Int32, data: String) -> Bool {
        guard let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(processID)/cwd") else {
            return false
        }
        return link == data
    }

    /// All living processes of the cluster, the postmaster among them.
    static func all(data: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { isServer($0, data: data) }
    }

    /// The postmaster that a cluster's pid file names, if it lives.
    static func postmaster(data: String) -> PostmasterFile? {
        guard let bytes = FileManager.default.contents(atPath: data + "/postmaster.pid"),
            let file = PostmasterFile(String(decoding: bytes, as: UTF8.self)),
            isServer(file.processID, data: data)
        else { return nil }
        return file
    }

    /// Waits until no process of the cluster lives; false when some still do after the limit.
    static func waitUntilGone(data: String, seconds: Int) -> Bool {
        for _ in 0..<(max(1, seconds) * 20) {
            if all(data: data).isEmpty { return true }
            Pause.milliseconds(50)
        }
        return all(data: data).isEmpty
    }
}
