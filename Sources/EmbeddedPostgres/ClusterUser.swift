import Glibc
import LocalSystem

/// Who the server runs as. PostgreSQL refuses to run as root, so root hands it to the user `postgres`.
struct ClusterUser: Sendable {
    /// The words put before a command so that it runs as the right user; empty when it is ours already.
    private let prefix: [String]
    /// Numbers for the owner of the server's files; nil when they are our own.
    private let owner: (user: uid_t, group: gid_t)?

    /// The effective user of this process, or `postgres` when that is root.
    ///
    /// - Throws: `noPostgresUser` when this is root and there is no such user, or no way to become it.
    static func current() throws(EmbeddedPostgresError) -> ClusterUser {
        guard geteuid() == 0 else { return ClusterUser(prefix: [], owner: nil) }
        guard let entry = unsafe getpwnam("postgres") else {
            throw EmbeddedPostgresError(
                .noPostgresUser,
                "PostgreSQL does not run as root and there is no user postgres; run: apt-get install postgresql")
        }
        let owner = unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
        if let setpriv = Command.find("setpriv") {
            return ClusterUser(
                prefix: [setpriv, "--reuid", "\(owner.0)", "--regid", "\(owner.1)", "--init-groups", "--"],
                owner: owner)
        }
        if let runuser = Command.find("runuser") {
            return ClusterUser(prefix: [runuser, "-u", "postgres", "--"], owner: owner)
        }
        throw EmbeddedPostgresError(
            .noPostgresUser, "setpriv and runuser are both missing; run: apt-get install util-linux")
    }

    /// The user id of the server's files.
    var userID: uid_t { owner?.user ?? geteuid() }

    /// Whether the server's user is another one than ours.
    var isOther: Bool { owner != nil }

    /// The words of a command as the server's user.
    func words(_ program: String, _ arguments: [String]) -> [String] {
        prefix + [program] + arguments
    }

    /// Runs a program as the server's user, with a quiet environment of PostgreSQL's own.
    func run(_ program: String, _ arguments: [String]) throws(LocalSystemError) -> Command.Result {
        var words = self.words(program, arguments)
        let first = words.removeFirst()
        return try Command(first, words, environment: Self.environment).run()
    }

    /// Variables of a developer's shell that would lead PostgreSQL's tools astray are taken out; messages are in
    /// English, since they are looked at.
    static let environment: [String: String?] = {
        var changes: [String: String?] = ["LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"]
        let names = [
            "PGDATA", "PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE",
            "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGSSLMODE", "PGTZ", "PGCLIENTENCODING", "PGAPPNAME",
            "PGREQUIRESSL", "PGSYSCONFDIR",
        ]
        for name in names { changes.updateValue(nil, forKey: name) }
        return changes
    }()

    /// Makes a directory of mode 0700 that belongs to the server's user; an existing one must already be both.
    ///
    /// - Throws: `directory` when it is a link, belongs to somebody else or cannot be made.
    func makePrivateDirectory(_ path: String) throws(EmbeddedPostgresError) {
        if unsafe mkdir(path, 0o700) == 0 {
            if let owner, unsafe chown(path, owner.user, owner.group) != 0 { throw Self.failure("give away", path) }
            return
        }
        guard errno == EEXIST else { throw Self.failure("make", path) }
        var state = stat()
        guard unsafe lstat(path, &state) == 0 else { throw Self.failure("look at", path) }
        guard state.st_mode & S_IFMT == S_IFDIR, state.st_uid == userID else {
            throw EmbeddedPostgresError(
                .directory, "\(path) exists and is not a directory of user \(userID); move it away")
        }
        if state.st_mode & 0o077 != 0, unsafe chmod(path, 0o700) != 0 { throw Self.failure("close", path) }
    }

    private static func failure(_ verb: String, _ path: String) -> EmbeddedPostgresError {
        let reason = errno
        let full = reason == ENOSPC || reason == EDQUOT
        return EmbeddedPostgresError(
            full ? .diskFull : .directory, "cannot \(verb) the directory \(path): \(SystemText.error(reason))")
    }
}
