/// Why the private PostgreSQL of `relaygate up` could not be started or stopped.
package struct EmbeddedPostgresError: Error, Sendable, Equatable, CustomStringConvertible,
    CustomDebugStringConvertible
{
    /// The closed list of reasons.
    package enum Code: String, Sendable, CaseIterable {
        case notInstalled = "not_installed"
        case noPostgresUser = "no_postgres_user"
        case alreadyRunning = "already_running"
        case directory = "directory"
        case versionMismatch = "version_mismatch"
        case diskFull = "disk_full"
        case initFailed = "init_failed"
        case startFailed = "start_failed"
        case stopFailed = "stop_failed"
    }

    package let code: Code
    /// One line for the operator: what happened and what to do about it.
    package let description: String
    /// What PostgreSQL's own tools printed; may be empty.
    package let detail: String

    package init(_ code: Code, _ description: String, detail: String = "") {
        self.code = code
        self.description = description
        self.detail = detail
    }

    /// A bounded word for metrics.
    package var label: String { code.rawValue }

    package var debugDescription: String {
        detail.isEmpty ? "\(label): \(description)" : "\(label): \(description)\n\(detail)"
    }
}
