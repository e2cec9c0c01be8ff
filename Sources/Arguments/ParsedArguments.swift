import Notation

/// A command line that fits its declaration: values are checked, defaults are filled in.
///
/// Asking for a name that the command does not declare, or by another type, is a defect and traps.
package struct ParsedArguments: Sendable {
    /// The words of the chosen command below the root, such as `["tenant", "create"]`; empty for the root itself.
    package let path: [String]
    /// The chosen command's declaration.
    package let command: Command
    private let values: [String: [String]]
    private let words: [String: [String]]

    init(path: [String], command: Command, values: [String: [String]], words: [String: [String]]) {
        self.path = path
        self.command = command
        self.values = values
        self.words = words
    }

    /// Whether a flag was given.
    package func flag(_ name: String) -> Bool {
        precondition(option(name).value == nil, "--\(name) is not a flag")
        return values[name] != nil
    }

    /// An option's value or default; nil when it is absent without default.
    package func text(_ name: String) -> String? {
        texts(name).first
    }

    /// All values of an option, in order.
    package func texts(_ name: String) -> [String] {
        let option = option(name)
        precondition(option.value != nil, "--\(name) takes no value")
        return values[name] ?? option.defaultValue.map { [$0] } ?? []
    }

    /// The value of an option of kind `.integer`.
    package func integer(_ name: String) -> Int? {
        guard case .integer = option(name).value else {
            preconditionFailure("--\(name) is not an integer")
        }
        return text(name).flatMap { Int($0) }
    }

    /// The value of an option of kind `.number`.
    package func number(_ name: String) -> Double? {
        guard case .number = option(name).value else {
            preconditionFailure("--\(name) is not a number")
        }
        return text(name).flatMap { Double($0) }
    }

    /// The value of an option of kind `.duration`.
    package func duration(_ name: String) -> Duration? {
        precondition(option(name).value == .duration, "--\(name) is not a duration")
        return text(name).flatMap { Quantity.duration($0) }
    }

    /// The value of an option of kind `.bytes`.
    package func bytes(_ name: String) -> Int? {
        precondition(option(name).value == .bytes, "--\(name) is not a byte count")
        return text(name).flatMap { Quantity.bytes($0) }
    }

    /// A positional argument; nil when an optional one is absent.
    package func positional(_ name: String) -> String? {
        positionals(name).first
    }

    /// All words of a positional argument that repeats.
    package func positionals(_ name: String) -> [String] {
        precondition(
            command.positionals.contains { $0.name == name }, "no positional \(name) in \(command.name)")
        return words[name] ?? []
    }

    private func option(_ name: String) -> Option {
        guard let option = command.options.first(where: { $0.name == name }) else {
            preconditionFailure("no option --\(name) in \(command.name)")
        }
        return option
    }
}
