import Wire

/// Prepared answers: entries by name, and for each role the turns that its requests get in order.
struct Script: Sendable {
    /// How a turn lies about its usage.
    enum UsageLie: String, CaseIterable, Sendable { case missing, zero, x100, negative, string, huge }

    /// What a turn does wrong. Counts are tokens that are sent before.
    struct Faults: Sendable, Equatable {
        /// Answers with this status at once; `body` may replace the dialect's error.
        var status: Int?
        var body: String?
        /// The prompt is said not to fit.
        var contextExceeded = false
        /// Answers 302 with this address.
        var redirect: String?
        /// Never answers at all.
        var hangBefore = false
        var hangAfter: Int?
        /// Closes the connection in the middle of the body.
        var resetAfter: Int?
        /// Ends the body properly, with neither finish reason nor `[DONE]`.
        var endAfter: Int?
        /// Sends an event that is no JSON.
        var garbageAfter: Int?
        /// Sends an error object as an event, and ends the body.
        var errorAfter: Int?
        /// Sends an event with a NUL byte, or one that is not UTF-8, in its text.
        var nulAfter: Int?
        var invalidUTF8After: Int?
        /// Sends one line of so many bytes after the first token.
        var longLine: Int?
        /// Begins again after the last token, for ever, whatever `max_tokens` says.
        var isEndless = false
        /// Sends so many tokens more than `max_tokens`.
        var overrun = 0
        /// Says that it has finished from this token on, and goes on.
        var finishAfter: Int?
    }

    /// One prepared answer.
    struct Turn: Sendable {
        var tokens: [[UInt8]]
        /// Replaces the finish reason that is true.
        var finish: String?
        var usage: UsageLie?
        var tokenDelay: Duration?
        var firstDelay: Duration?
        var faults = Faults()
    }

    private var entries: [String: [ModelRole: [Turn]]] = [:]

    init() {}

    /// Reads a script: `{"NAME": {"slm": [turn, …], "llm": [turn, …]}}`. Throws what is wrong with it.
    init(_ document: [UInt8]) throws(ScriptError) {
        var parser = JSONParser()
        let result: Result<Script, ScriptError>
        do {
            result = try parser.read(document) { (root) throws(WireError) in Script.read(root) }
        } catch {
            throw ScriptError(message: error.message)
        }
        self = try result.get()
    }

    /// Turn `index` of an entry; the last one repeats.
    func turn(_ name: String, _ role: ModelRole, _ index: Int) -> Turn? {
        guard let turns = entries[name]?[role], let last = turns.last else { return nil }
        return index < turns.count ? turns[index] : last
    }

    /// The first `[[NAME#ID]]` in a prompt, without the brackets.
    static func marker(in prompt: [UInt8]) -> String? {
        let open = UInt8(ascii: "[")
        let close = UInt8(ascii: "]")
        guard var at = prompt.firstIndex(of: open) else { return nil }
        while at + 1 < prompt.count {
            if prompt[at] == open, prompt[at + 1] == open {
                var end = at + 2
                while end < prompt.count, prompt[end] != close, prompt[end] != open { end += 1 }
                if end + 1 < prompt.count, prompt[end] == close, prompt[end + 1] == close {
                    return String(decoding: prompt[(at + 2)..<end], as: UTF8.self)
                }
            }
            at += 1
        }
        return nil
    }

    private static func read(_ root: JSON) -> Result<Script, ScriptError> {
        var script = Script()
        for entry in root.children {
            for role in entry.children {
                guard let key = ModelRole(rawValue: role.key), role.isArray else {
                    return .failure(ScriptError(message: "\(entry.key): expected lists under \"slm\" and \"llm\""))
                }
                var turns: [Turn] = []
                for item in role.children {
                    switch Turn.read(item) {
                    case .success(let turn): turns.append(turn)
                    case .failure(let error):
                        let place = "\(entry.key).\(role.key)[\(turns.count)]"
                        return .failure(ScriptError(message: "\(place): \(error.message)"))
                    }
                }
                script.entries[entry.key, default: [:]][key] = turns
            }
        }
        return .success(script)
    }
}

/// What is wrong with a script.
struct ScriptError: Error, Equatable {
    var message: String
}
