import Testing

@testable import Gateway

/// Walks a grammar of the form that `TagBan` writes: rules of `[class] next`, alternatives in order.
private struct GrammarWalker {
    private var rules: [String: [(negated: Bool, characters: Set<Character>, next: String)]] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n").dropFirst() {
            let halves = line.components("::=")
            rules[halves[0]] = halves[1].components(" | ").compactMap { choice in
                guard choice != "\"\"" else { return nil }
                let parts = choice.components(" ")
                var body = parts[0].dropFirst().dropLast()
                let negated = body.hasPrefix("^")
                if negated { body = body.dropFirst() }
                let codes = String(body).components("\\x").filter { !$0.isEmpty }
                let characters = codes.compactMap { UInt8($0, radix: 16) }.map { Character(UnicodeScalar($0)) }
                return (negated, Set(characters), parts[1])
            }
        }
    }

    func accepts(_ text: String) -> Bool {
        var state = "s0"
        for character in text {
            guard let step = rules[state]?.first(where: { $0.characters.contains(character) != $0.negated }) else {
                return false
            }
            state = step.next
        }
        return true
    }
}

extension StringProtocol {
    fileprivate func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let found = rest.firstRange(of: separator) {
            parts.append(rest[..<found.lowerBound].trimmed)
            rest = rest[found.upperBound...]
        }
        return parts + [rest.trimmed]
    }

    private var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}

@Suite struct TagBanTests {
    @Test(arguments: ["<call>", "aab", "<<>", "abab!"])
    func `T4: the grammar has exactly the texts without the tag`(_ tag: String) {
        let walker = GrammarWalker(TagBan.grammar(forbidding: tag))
        // Every text of up to eight characters over the tag's own characters and one stranger, as far as affordable.
        let alphabet = Array(Set(tag)).sorted() + ["x"]
        let longest = alphabet.count > 5 ? 6 : 7
        var texts = [""]
        var frontier = [""]
        for _ in 0..<longest {
            frontier = frontier.flatMap { text in alphabet.map { text + String($0) } }
            texts += frontier
            if texts.count > 150_000 { break }
        }
        for text in texts { #expect(walker.accepts(text) == !text.contains(tag), "\(text)") }
    }

    @Test(arguments: [
        ("a < b and c > d", true), ("<cal", true), ("<<<<call", true), ("<call>", false), ("x<<call>", false),
        ("<ca<call>", false), ("<calls>", true), ("漢字 <call 3", true),
    ])
    func `T4: texts near the tag`(_ text: String, _ isAllowed: Bool) {
        #expect(GrammarWalker(TagBan.grammar(forbidding: "<call>")).accepts(text) == isAllowed)
    }
}
