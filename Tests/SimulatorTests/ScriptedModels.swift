/// Two scripted models and what else happens to their requests.
///
/// Each is a function of what it has been shown, one token after the other, so that the same text and a smaller limit
/// give the same first tokens. A token is a letter; a command is three tokens.
struct ScriptedModels {
    /// What the models say depends on it.
    let seed: UInt64
    let choice: Int
    /// Whether worked examples stand before the SLM's text.
    var isPrompted = false
    /// Another world that is the same wherever the log has looked.
    var fork: Fork?
    /// Where servers that broke off in the log do so again; nil while the log is written.
    var seen: Set<Fork.Question>?

    /// What was asked of the models, and what those say that were not asked.
    final class Fork {
        struct Question: Hashable {
            let text: [UInt8]
            let salt: UInt64
            let choice: Int
        }

        var asked: Set<Question> = []
        /// Of the answers to all other questions; nil while questions are noted.
        var seed: UInt64?
    }

    private func draw(_ text: [UInt8], _ salt: UInt64) -> UInt64 {
        var seed = seed
        if let fork {
            let question = Fork.Question(text: text, salt: salt, choice: choice)
            if let other = fork.seed {
                if !fork.asked.contains(question) { seed = other }
            } else {
                fork.asked.insert(question)
            }
        }
        var hash = seed &* 31 &+ UInt64(choice) &* 7919 &+ salt
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB >> 16
    }

    /// The LLM's next token; empty at the end of its text.
    func llm(_ text: [UInt8]) -> [UInt8] {
        let word = draw(text, 1)
        if word % 11 == 0 || text.count > 150 { return [] }
        return [UInt8(ascii: "A") + UInt8(word / 11 % 26)]
    }

    /// The SLM's next token or command; empty at the end of its text.
    func slm(_ text: [UInt8], _ isForbidden: Bool) -> [UInt8] {
        let word = draw(text, isPrompted ? 3 : 2)
        let pick = word / 64 % 100
        if text.count > 150 || pick < 5 { return [] }
        if pick < 22, !isForbidden {
            let n = [0, 1, 2, 3, 4, 5, 7, 9, 12, 30][Int(word / 6400 % 10)]
            return Array((pick < 8 ? "<call>x</call>" : "<call>\(n)</call>").utf8)
        }
        return [UInt8(ascii: "a") + UInt8(word % 26)]
    }

    /// Tokens after which the LLM's server fails; `Int.max` when it does not.
    func failsAfter(_ text: [UInt8]) -> Int { draw(text, 17) % 19 == 0 ? Int(draw(text, 18) % 6) : Int.max }

    /// Attempts that fail before their first byte, so that another follows.
    func failedAttempts(_ text: [UInt8], isLLM: Bool) -> Int {
        let word = draw(text, isLLM ? 33 : 34)
        return word % 9 == 0 ? 1 + Int(word / 16 % 2) : 0
    }

    /// Tokens of an SLM's turn after which its server fails and another goes on; `Int.max` when it does not, as in all
    /// texts that the log does not have.
    func breaksAfter(_ text: [UInt8]) -> Int {
        let salt: UInt64 = isPrompted ? 42 : 41
        if let seen, !seen.contains(Fork.Question(text: text, salt: salt, choice: choice)) { return Int.max }
        let word = draw(text, salt)
        return word % 11 == 0 ? 1 + Int(word / 16 % 4) : Int.max
    }

    /// Tokens of a prompt that a server has in its cache, and those that it writes to it.
    func cached(_ prompt: Int, isLLM: Bool) -> (read: Int, written: Int) {
        let word = draw([UInt8(prompt & 255), UInt8(prompt >> 8 & 255)], isLLM ? 51 : 52)
        let read = Int(word % UInt64(prompt + 1))
        return (read, Int(word / 1024 % UInt64(prompt - read + 1)))
    }

    /// What a generation is recorded to have cost.
    static func bill(_ prompt: Int, _ tokens: Int, isLLM: Bool) -> Int {
        (isLLM ? 2 : 1) * (4 + 3 * prompt + 11 * tokens)
    }

    /// Whether the breaker refuses a call here.
    func isBroken(_ text: [UInt8]) -> Bool { draw(text, 91) % 23 == 0 }

    /// Millionths.
    func verdict(_ text: [UInt8]) -> Int { [0, 1_000_000, 0, 1_000_000, 250_000][Int(draw(text, 5) % 5)] }
}
