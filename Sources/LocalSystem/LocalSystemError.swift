/// What went wrong with a file lock, a port, a disk or a child process of this machine.
package struct LocalSystemError: Error, Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The closed list of reasons.
    package enum Code: String, Sendable, CaseIterable {
        case portInUse = "port_in_use"
        case portNotAllowed = "port_not_allowed"
        case lockHeld = "lock_held"
        case fileFailed = "file_failed"
        case commandNotFound = "command_not_found"
        case commandFailed = "command_failed"
        case diskSpace = "disk_space"
    }

    package let code: Code
    /// One line for the operator: what happened and what to do about it.
    package let description: String
    /// The output of the tool or the system's own words; may be empty.
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
