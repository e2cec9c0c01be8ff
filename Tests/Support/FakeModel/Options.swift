/// What the fake is started with.
struct Options {
    var port: UInt16 = 0
    var role = ModelRole.slm
    var name = "fake"
    var dialect = Dialect.openai
    var behaviour = Behaviour(.openai)
    var scriptPath: String?
    var logPath: String?
    var tokenDelay = Duration.zero
    var firstTokenDelay = Duration.zero
    var contextWindow: Int?
    var tokensPerWrite = 1
    /// Whether the hash model also writes commands that are not well formed.
    var writesMalformed = true

    /// The text for `--help`.
    static let help = """
        usage: fake-model [--port N] [--role slm|llm] [--name MODEL] [--dialect DIALECT] [--script FILE] [--log FILE]
                          [--token-delay 5ms] [--first-token-delay 5ms] [--context-window N] [--tokens-per-write N]
                          [--malformed yes|no]
        dialects: llamacpp vllm sglang openai transformers; single behaviours may be changed after --dialect:
          --usage last|own-chunk|asked|never    --stop-string excluded|included   --hold flush|lose
          --cut replacement|whole|nothing       --done yes|no                     --comments yes|no
          --empty-deltas yes|no                 --running-usage yes|no            --strict-model yes|no
        """

    /// Reads the flags; the error says which is wrong.
    init(_ arguments: [String]) throws(OptionError) {
        var pairs: [(flag: String, value: String)] = []
        var index = 0
        while index < arguments.count {
            guard arguments[index].hasPrefix("--"), index + 1 < arguments.count else {
                throw OptionError(message: "expected --flag value at \(arguments[index])")
            }
            pairs.append((String(arguments[index].dropFirst(2)), arguments[index + 1]))
            index += 2
        }
        // The dialect is the row from which the other flags start, wherever it stands.
        for pair in pairs where pair.flag == "dialect" {
            dialect = try choice(pair.flag, pair.value)
            behaviour = Behaviour(dialect)
        }
        for pair in pairs where pair.flag != "dialect" { try take(pair.flag, pair.value) }
    }

    private mutating func take(_ flag: String, _ value: String) throws(OptionError) {
        switch flag {
        case "port": port = try number(flag, value)
        case "role": role = try choice(flag, value)
        case "name": name = value
        case "script": scriptPath = value
        case "log": logPath = value
        case "token-delay": tokenDelay = try duration(flag, value)
        case "first-token-delay": firstTokenDelay = try duration(flag, value)
        case "context-window": contextWindow = try number(flag, value)
        case "tokens-per-write": tokensPerWrite = max(1, try number(flag, value))
        case "malformed": writesMalformed = try yes(flag, value)
        case "usage":
            behaviour.usageInCompletions = try choice(flag, value)
            behaviour.usageInChat = behaviour.usageInCompletions
        case "stop-string": behaviour.stopText = try choice(flag, value)
        case "hold": behaviour.heldText = try choice(flag, value)
        case "cut": behaviour.cutCharacter = try choice(flag, value)
        case "done": behaviour.done = try yes(flag, value)
        case "comments": behaviour.comments = try yes(flag, value)
        case "empty-deltas": behaviour.emptyDeltas = try yes(flag, value)
        case "running-usage": behaviour.runningUsage = try yes(flag, value)
        case "strict-model": behaviour.unknownModel = try yes(flag, value) ? .refused(status: 404) : .ignored
        default: throw OptionError(message: "unknown flag --\(flag)")
        }
    }
}

/// A flag that cannot be used, and why.
struct OptionError: Error, Equatable {
    var message: String
}

private func choice<Value: RawRepresentable & CaseIterable>(_ flag: String, _ value: String) throws(OptionError)
    -> Value
where Value.RawValue == String {
    if let choice = Value(rawValue: value) { return choice }
    let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
    throw OptionError(message: "--\(flag) \(value): expected one of \(names)")
}

private func number<Value: FixedWidthInteger>(_ flag: String, _ value: String) throws(OptionError) -> Value {
    if let number = Value(value), number >= 0 { return number }
    throw OptionError(message: "--\(flag) \(value): expected a number")
}

private func yes(_ flag: String, _ value: String) throws(OptionError) -> Bool {
    switch value {
    case "yes": return true
    case "no": return false
    default: throw OptionError(message: "--\(flag) \(value): expected yes or no")
    }
}

/// Reads `250us`, `5ms` or `1s`.
private func duration(_ flag: String, _ value: String) throws(OptionError) -> Duration {
    let digits = value.prefix { $0.isASCII && $0.isNumber }
    if let count = Int(digits), count <= 1_000_000_000 {
        switch value.dropFirst(digits.count) {
        case "us": return .microseconds(count)
        case "ms": return .milliseconds(count)
        case "s": return .seconds(count)
        default: break
        }
    }
    throw OptionError(message: "--\(flag) \(value): expected a time such as 250us, 5ms or 1s")
}
