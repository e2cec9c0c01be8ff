/// Why local models could not be prepared or served.
package struct LocalModelsError: Error, Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The closed list of reasons.
    package enum Code: String, Sendable, CaseIterable {
        case unknownModel = "unknown_model"
        case unsupportedMachine = "unsupported_machine"
        case pythonMissing = "python_missing"
        case cacheDirectory = "cache_directory"
        case network = "network"
        case hashMismatch = "hash_mismatch"
        case diskSpace = "disk_space"
        case installFailed = "install_failed"
        case portInUse = "port_in_use"
        case startFailed = "start_failed"
    }

    package let code: Code
    /// One line for the operator: what happened and what to do about it.
    package let description: String
    /// What the tool printed; may be empty.
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
