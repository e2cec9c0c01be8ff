import LocalSystem

/// Where the files of one embedded cluster are. Pure: it looks at no file system.
struct ClusterLayout: Sendable, Equatable {
    /// The socket's port. Nothing listens on TCP: the number only names the socket file inside a directory that
    /// belongs to this cluster alone, so it cannot be taken. It is not 5432, so that a connection string that has
    /// lost its `host` does not reach the system's own cluster.
    static let port = 54_320

    /// The longest path of a Unix socket: 108 bytes with the closing zero, see unix(7).
    static let socketPathLimit = 107

    /// The directory the operator named.
    let directory: String
    /// The directory that belongs to the user PostgreSQL runs as; everything of the server is under it.
    let root: String
    /// The directory of the socket.
    let socketDirectory: String

    /// - Parameters:
    ///   - directory: absolute, without a trailing slash.
    ///   - root: where the server's files go: ``insideRoot(_:)`` or ``elsewhereRoot(_:)``.
    init(directory: String, root: String) {
        self.directory = directory
        self.root = root
        let near = root + "/run"
        let path = Self.socketPath(in: near)
        socketDirectory =
            path.utf8.count <= Self.socketPathLimit ? near : "/tmp/relaygate-\(StableHash.name(of: root))"
    }

    /// The cluster's place when the server's user can go to the directory.
    static func insideRoot(_ directory: String) -> String { directory + "/cluster" }

    /// The cluster's place when it cannot (a project under `/root`): named after the directory, so that the next
    /// start finds it again.
    static func elsewhereRoot(_ directory: String) -> String {
        "/var/lib/relaygate/\(StableHash.name(of: directory))"
    }

    /// The data directory of PostgreSQL.
    var data: String { root + "/data" }
    /// The socket itself.
    var socket: String { Self.socketPath(in: socketDirectory) }
    /// What the server prints.
    var log: String { root + "/postgres.log" }
    /// Held by the `relaygate up` that owns the cluster.
    var lock: String { directory + "/lock" }
    /// One line that says where the cluster is, when it is not inside the directory.
    var pointer: String { directory + "/cluster-is-elsewhere" }
    /// Whether the socket had to move because its path was too long.
    var socketIsElsewhere: Bool { !socketDirectory.hasPrefix(root) }

    private static func socketPath(in directory: String) -> String { "\(directory)/.s.PGSQL.\(port)" }
}
