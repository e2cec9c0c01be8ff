internal import RelayCore

/// A grammar of every text that does not contain a tag, in the notation of llama.cpp (GBNF).
///
/// Its rules are the states of the Knuth-Morris-Pratt automaton of the tag's bytes: rule `s<k>` stands for "the last k
/// characters are the tag's first k". The step that would complete the tag is left out. Every state may end the text.
enum TagBan {
    /// The grammar. `tag` must be ASCII and not empty, which the configuration checks.
    static func grammar(forbidding tag: String) -> String {
        let pattern = Array(tag.utf8)
        let failure = PatternMatcher.failureTable(pattern)
        var rules = ["root ::= s0"]
        for state in pattern.indices {
            // The characters that lead anywhere but back to the start, each with its next state.
            var steps: [(character: UInt8, next: Int)] = []
            for character in Set(pattern).sorted() {
                let next = advance(state, character, pattern, failure)
                if next > 0 { steps.append((character, next)) }
            }
            let others = "[^" + steps.map { escaped($0.character) }.joined() + "]"
            var choices = [others + " s0"]
            for step in steps where step.next < pattern.count {
                choices.append("[" + escaped(step.character) + "] s\(step.next)")
            }
            choices.append("\"\"")
            rules.append("s\(state) ::= " + choices.joined(separator: " | "))
        }
        return rules.joined(separator: "\n")
    }

    private static func advance(_ state: Int, _ character: UInt8, _ pattern: [UInt8], _ failure: [Int]) -> Int {
        var state = state
        while state > 0, pattern[state] != character { state = failure[state - 1] }
        return pattern[state] == character ? state + 1 : 0
    }

    /// A character inside a bracket expression: by its number, so that none has a meaning of its own.
    private static func escaped(_ character: UInt8) -> String {
        let digits = String(character, radix: 16)
        return "\\x" + (digits.count == 1 ? "0" + digits : digits)
    }
}
