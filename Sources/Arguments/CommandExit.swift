/// Why a program ends early: one of three outcomes, each with its stream and exit code.
package struct CommandExit: Error, Sendable, Equatable {
    /// The three outcomes.
    package enum Code: String, Sendable, CaseIterable {
        /// The user asked for help: standard output, exit code 0.
        case help
        /// The command line is wrong: standard error, exit code 64 (EX_USAGE of sysexits.h).
        case badUsage
        /// The command was understood and failed: standard error, exit code 1.
        case failure
    }

    package let code: Code
    /// What to print, without a line break at its end.
    package let text: String

    /// The process's exit code.
    package var exitCode: Int32 {
        switch code {
        case .help: 0
        case .badUsage: 64
        case .failure: 1
        }
    }

    /// Whether the text goes to standard output; otherwise to standard error.
    package var goesToStandardOutput: Bool { code == .help }

    /// Help that was asked for.
    package static func help(_ text: String) -> CommandExit { .init(code: .help, text: text) }

    /// A wrong command line; for checks that only the command itself can make.
    package static func badUsage(_ message: String) -> CommandExit {
        .init(code: .badUsage, text: "error: \(message)")
    }

    /// A command that failed.
    package static func failure(_ message: String) -> CommandExit {
        .init(code: .failure, text: "error: \(message)")
    }
}
