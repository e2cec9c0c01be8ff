/// A command of the program, declared as data: the parser and the help text both come from it.
package struct Command: Sendable {
    /// The word the user types; for the root, the program's name.
    package let name: String
    /// One line, for the list of commands and the head of the help text.
    package let summary: String
    /// Further paragraphs of the help text.
    package let discussion: String
    package let options: [Option]
    package let positionals: [Positional]
    /// When not empty, one of them must follow, unless `runsWithoutSubcommand`. A first word that is the name of none
    /// is then a positional argument, if there are any.
    package let subcommands: [Command]
    /// Whether a command with subcommands also runs without one.
    package let runsWithoutSubcommand: Bool

    /// Declares a command. Names that clash or options that contradict themselves are defects and trap.
    package init(
        _ name: String, _ summary: String, discussion: String = "", options: [Option] = [],
        positionals: [Positional] = [], subcommands: [Command] = [], runsWithoutSubcommand: Bool = false
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.options = options
        self.positionals = positionals
        self.subcommands = subcommands
        self.runsWithoutSubcommand = runsWithoutSubcommand
        precondition(
            Set(options.map(\.name) + ["help"]).count == options.count + 1,
            "option names of \(name) clash")
        precondition(
            Set(subcommands.map(\.name)).count == subcommands.count, "subcommands of \(name) clash")
        precondition(
            subcommands.isEmpty || positionals.isEmpty || runsWithoutSubcommand,
            "\(name) has both subcommands and positionals, and runs only with a subcommand")
        let firstOptional = positionals.firstIndex { !$0.isRequired } ?? positionals.endIndex
        precondition(
            positionals[firstOptional...].allSatisfy { !$0.isRequired }
                && positionals.dropLast().allSatisfy { !$0.repeats },
            "positionals of \(name): required ones come first, only the last repeats")
    }
}

/// A `--name` of a command.
package struct Option: Sendable {
    /// Without dashes.
    package let name: String
    /// nil for a flag, which takes no value.
    package let value: ValueKind?
    /// What the value stands for in the usage line, such as `PORT`.
    package let placeholder: String
    package let isRequired: Bool
    /// Whether it may be given several times; otherwise a repeat is an error.
    package let repeats: Bool
    /// The value when the option is absent, as the user would type it.
    package let defaultValue: String?
    package let meaning: String

    /// Declares a flag, false when absent.
    package static func flag(_ name: String, _ meaning: String) -> Option {
        Option(
            name: name, value: nil, placeholder: "", isRequired: false, repeats: false, defaultValue: nil,
            meaning: meaning)
    }

    /// Declares an option with a value.
    package static func value(
        _ name: String, _ value: ValueKind, _ placeholder: String, default defaultValue: String? = nil,
        required: Bool = false, repeats: Bool = false, _ meaning: String
    ) -> Option {
        precondition(!(required && defaultValue != nil), "--\(name) is required and has a default")
        if let defaultValue {
            precondition(
                value.complaint(about: defaultValue) == nil, "--\(name): its own default is not allowed")
        }
        return Option(
            name: name, value: value, placeholder: placeholder, isRequired: required, repeats: repeats,
            defaultValue: defaultValue, meaning: meaning)
    }
}

/// An argument known by its place.
package struct Positional: Sendable {
    /// As it stands in the usage line, in lower case.
    package let name: String
    package let value: ValueKind
    package let isRequired: Bool
    /// Whether it takes all that is left.
    package let repeats: Bool
    package let meaning: String

    /// Declares a positional argument.
    package init(
        _ name: String, value: ValueKind = .text, required: Bool = true, repeats: Bool = false,
        _ meaning: String
    ) {
        self.name = name
        self.value = value
        isRequired = required
        self.repeats = repeats
        self.meaning = meaning
    }
}
