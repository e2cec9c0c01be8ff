/// Two scripted models and what else happens to their requests.
///
/// Each is a function of what it has been shown, one token after the other, so that the same text and a smaller limit
/// give the same first tokens. A token is a letter; a command is three tokens.
struct ScriptedModels {
    /// What the models say depends on it.
    let seed: UInt64
    let choice: Int

    private func draw(_ text: [UInt8], _ salt: UInt64) -> UInt64 {
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
        let word = draw(text, 2)
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

    /// Whether the breaker refuses a call here.
    func isBroken(_ text: [UInt8]) -> Bool { draw(text, 91) % 23 == 0 }

    /// Millionths.
    func verdict(_ text: [UInt8]) -> Int { draw(text, 5) % 2 == 0 ? 0 : 1_000_000 }
}
