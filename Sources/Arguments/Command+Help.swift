extension Command {
    /// Widest help text, in columns.
    private static let columnLimit = 100
    /// Where meanings begin; a longer left side pushes its meaning to the next line.
    private static let meaningColumn = 30

    /// The help text: usage, summary, arguments, options with meanings and defaults, commands.
    ///
    /// - Parameter invocation: The words that call this command, such as `relaygate tenant create`.
    package func helpText(invocation: String) -> String {
        var lines = Self.wrapped(usage(invocation), indent: 4, first: 0)
        lines += [""] + Self.wrapped(summary, indent: 0, first: 0)
        for paragraph in discussion.split(separator: "\n", omittingEmptySubsequences: true) {
            lines += [""] + Self.wrapped(String(paragraph), indent: 0, first: 0)
        }
        if !positionals.isEmpty {
            lines += ["", "Arguments:"] + positionals.flatMap { Self.row("<\($0.name)>", $0.meaning) }
        }
        if !subcommands.isEmpty {
            lines += ["", "Commands:"] + subcommands.flatMap { Self.row($0.name, $0.summary) }
        }
        lines += ["", "Options:"] + options.flatMap { Self.row($0.usage, $0.fullMeaning) }
        lines += Self.row("-h, --help", "show this help")
        if !subcommands.isEmpty {
            lines += ["", "Run '\(invocation) <command> --help' for the options of a command."]
        }
        return lines.joined(separator: "\n")
    }

    private func usage(_ invocation: String) -> String {
        var parts = ["Usage:", invocation]
        for option in options where option.isRequired { parts.append(option.usage) }
        if options.contains(where: { !$0.isRequired }) { parts.append("[options]") }
        for positional in positionals {
            let word = "<\(positional.name)>" + (positional.repeats ? "..." : "")
            parts.append(positional.isRequired ? word : "[\(word)]")
        }
        if !subcommands.isEmpty { parts.append(runsWithoutSubcommand ? "[<command>]" : "<command>") }
        return parts.joined(separator: " ")
    }

    private static func row(_ left: String, _ meaning: String) -> [String] {
        let head = "  " + left
        let lines = wrapped(meaning, indent: meaningColumn, first: meaningColumn)
        guard head.count + 2 <= meaningColumn, let first = lines.first else { return [head] + lines }
        let padding = String(repeating: " ", count: meaningColumn - head.count)
        return [head + padding + first.dropFirst(meaningColumn)] + lines.dropFirst()
    }

    /// The words of a text in lines that fit; the first line is indented by `first`, the others by `indent`.
    private static func wrapped(_ text: String, indent: Int, first: Int) -> [String] {
        var lines: [String] = []
        var line = String(repeating: " ", count: first)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > columnLimit {
                lines.append(line)
                line = String(repeating: " ", count: indent)
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return isEmpty ? lines : lines + [line]
    }
}

extension Option {
    /// As it is typed: `--port PORT`.
    fileprivate var usage: String {
        value == nil ? "--\(name)" : "--\(name) \(placeholder)"
    }

    fileprivate var fullMeaning: String {
        var notes: [String] = []
        if case .choice(let words) = value { notes.append("one of \(words.joined(separator: ", "))") }
        if isRequired { notes.append("required") }
        if repeats { notes.append("may be given several times") }
        if let defaultValue { notes.append("default \(defaultValue)") }
        return notes.isEmpty ? meaning : meaning + " (" + notes.joined(separator: "; ") + ")"
    }
}
