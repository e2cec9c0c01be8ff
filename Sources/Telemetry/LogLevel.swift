/// How important a log line is, from chatty to grave.
package enum LogLevel: String, Sendable, CaseIterable, Comparable {
    /// For whoever searches a fault.
    case debug
    /// What an operator wants to see of normal work.
    case info
    /// Something is wrong and the process copes.
    case warning
    /// Something is wrong and somebody has to act.
    case error

    private var rank: UInt8 {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }

    package static func < (first: LogLevel, second: LogLevel) -> Bool { first.rank < second.rank }
}

/// How a log line is written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-11-23T21:05:30.123Z info    listening port=8080`
    case text
    /// One JSON object on each line, with `time`, `level`, `message` and the fields.
    case json
}
