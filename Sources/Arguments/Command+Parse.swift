import Notation

extension Command {
    /// Reads a command line, the program's name not included.
    ///
    /// `--help`, `-h` and the word `help` ask for help. Options are `--name value` or `--name=value`; they belong to
    /// the command and stand behind its name, and `--` ends them.
    ///
    /// - Throws: `CommandExit` with help or with bad usage; the latter names the remedy and where to find help.
    package func parse(_ arguments: [String]) throws(CommandExit) -> ParsedArguments {
        var rest = arguments[...]
        var path: [String] = []
        var command = self
        if rest.first == "help", !command.subcommands.isEmpty {
            rest = rest.dropFirst()
            while !rest.isEmpty { command = try command.descend(&rest, &path, root: name) }
            throw .help(command.helpText(invocation: Self.invocation(name, path)))
        }
        while !command.subcommands.isEmpty, let next = rest.first, !next.hasPrefix("-") {
            let isWord = command.runsWithoutSubcommand && !command.positionals.isEmpty
            if isWord, !command.subcommands.contains(where: { $0.name == next }) { break }
            command = try command.descend(&rest, &path, root: name)
        }
        var reader = WordReader(command: command, invocation: Self.invocation(name, path))
        return try reader.read(rest, path: path)
    }

    private func descend(
        _ rest: inout ArraySlice<String>, _ path: inout [String], root: String
    ) throws(CommandExit) -> Command {
        let invocation = Self.invocation(root, path)
        let word = rest.popFirst() ?? ""
        guard let command = subcommands.first(where: { $0.name == word }) else {
            let guess = NearestName.among(subcommands.map(\.name), to: word).map {
                ", did you mean \"\($0)\"?"
            }
            let known =
                subcommands.isEmpty ? "" : ", known are \(subcommands.map(\.name).joined(separator: ", "))"
            throw .badUsage("\(invocation): unknown command \(shown(word))\(guess ?? known)", invocation)
        }
        path.append(word)
        return command
    }

    static func invocation(_ root: String, _ path: [String]) -> String {
        ([root] + path).joined(separator: " ")
    }
}

extension CommandExit {
    /// Bad usage with a pointer to the help of the command it happened in.
    static func badUsage(_ message: String, _ invocation: String) -> CommandExit {
        .init(code: .badUsage, text: "error: \(message)\nRun '\(invocation) --help' for help.")
    }
}

/// Reads the words behind a command's name.
private struct WordReader {
    let command: Command
    /// The program and the command's words, for messages.
    let invocation: String
    private var values: [String: [String]] = [:]
    private var words: [String] = []

    init(command: Command, invocation: String) {
        self.command = command
        self.invocation = invocation
    }

    mutating func read(_ arguments: ArraySlice<String>, path: [String]) throws(CommandExit)
        -> ParsedArguments
    {
        var rest = arguments
        // Help wins over errors elsewhere on the line, but not behind "--", where words are plain arguments.
        if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            throw .help(command.helpText(invocation: invocation))
        }
        while let word = rest.popFirst() {
            if word == "--" {
                words += rest
                break
            } else if word.hasPrefix("--") {
                try readOption(word, &rest)
            } else if word.hasPrefix("-"), word.count > 1 {
                throw bad("unknown option \(shown(word)); options have two dashes, except -h")
            } else {
                words.append(word)
            }
        }
        for option in command.options where option.isRequired && values[option.name] == nil {
            throw bad("--\(option.name) is required")
        }
        if !command.subcommands.isEmpty, !command.runsWithoutSubcommand {
            let known = command.subcommands.map(\.name).joined(separator: ", ")
            throw bad("a command is required: \(known)")
        }
        return ParsedArguments(path: path, command: command, values: values, words: try assignedWords())
    }

    private mutating func readOption(_ word: String, _ rest: inout ArraySlice<String>)
        throws(CommandExit)
    {
        let body = word.dropFirst(2)
        let name = String(body.prefix { $0 != "=" })
        let attached = body.firstIndex(of: "=").map { String(body[body.index(after: $0)...]) }
        guard let option = command.options.first(where: { $0.name == name }) else {
            let known = command.options.map(\.name) + ["help"]
            let guess = NearestName.among(known, to: name).map { ", did you mean \"--\($0)\"?" } ?? ""
            throw bad("unknown option \(shown("--" + name))\(guess)")
        }
        if values[name] != nil, !option.repeats { throw bad("--\(name) is given twice") }
        guard let kind = option.value else {
            if attached != nil { throw bad("--\(name) takes no value") }
            values[name] = [""]
            return
        }
        let value: String
        if let attached {
            value = attached
        } else if let next = rest.first, !next.hasPrefix("--") {
            value = next
            rest = rest.dropFirst()
        } else {
            throw bad("--\(name) needs a value: --\(name) \(option.placeholder)")
        }
        if let complaint = kind.complaint(about: value) { throw bad("--\(name) \(complaint)") }
        values[name, default: []].append(value)
    }

    private func assignedWords() throws(CommandExit) -> [String: [String]] {
        var assigned: [String: [String]] = [:]
        var rest = words[...]
        for positional in command.positionals {
            let taken = positional.repeats ? rest : rest.prefix(1)
            if taken.isEmpty, positional.isRequired { throw bad("<\(positional.name)> is required") }
            for word in taken {
                if let complaint = positional.value.complaint(about: word) {
                    throw bad("<\(positional.name)> \(complaint)")
                }
            }
            assigned[positional.name] = Array(taken)
            rest = rest.dropFirst(taken.count)
        }
        if let extra = rest.first { throw bad("unexpected argument \(shown(extra))") }
        return assigned
    }

    private func bad(_ message: String) -> CommandExit {
        .badUsage("\(invocation): \(message)", invocation)
    }
}
