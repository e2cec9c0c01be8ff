import Testing

@testable import Gateway

/// The table of `Docs/budgets.md`: what an attempt at the LLM is charged.
@Suite struct ChargeRuleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let ending: ChargeRule.Ending
        var reported: Int?
        var running: Int?
        /// Pieces and bytes that came.
        var came = (pieces: 5, bytes: 30)
        let charged: Int
        var testDescription: String { name }
    }

    /// Ten tokens are reserved in each.
    static let cases = [
        Case(name: "nothing was sent", ending: .unused, reported: 7, charged: 0),
        Case(name: "the server's count", ending: .finished, reported: 7, running: 6, charged: 7),
        Case(name: "one more than was asked for is usual", ending: .finished, reported: 11, charged: 11),
        Case(name: "its running count", ending: .finished, running: 6, charged: 6),
        Case(name: "no count", ending: .finished, charged: 10),
        Case(name: "fewer than the pieces", ending: .finished, reported: 4, running: 6, charged: 6),
        Case(name: "zero beside text", ending: .finished, reported: 0, charged: 10),
        Case(name: "negative", ending: .finished, reported: -7, charged: 10),
        Case(name: "a hundred times the truth", ending: .finished, reported: 500, charged: 10),
        Case(name: "the largest number", ending: .finished, reported: .max, charged: 10),
        Case(name: "an honest overrun in few pieces", ending: .finished, reported: 25, charged: 25),
        Case(name: "as many tokens as bytes", ending: .finished, reported: 30, charged: 30),
        Case(name: "more tokens than bytes", ending: .finished, reported: 31, charged: 10),
        Case(name: "cut, with a count below", ending: .cut, running: 6, charged: 10),
        Case(name: "cut behind its limit", ending: .cut, running: 14, charged: 14),
        Case(name: "cut, with an impossible count", ending: .cut, running: 400, charged: 10),
        Case(name: "more pieces than reserved", ending: .cut, came: (pieces: 12, bytes: 40), charged: 12),
        Case(name: "finished with more pieces", ending: .finished, came: (pieces: 12, bytes: 40), charged: 12),
    ]

    @Test(arguments: cases) func `generated tokens`(_ row: Case) {
        #expect(rule(row).generated.tokens == row.charged)
    }

    @Test func `prompt tokens lie between one and the bound`() {
        func prompt(_ reported: Int?, _ ending: ChargeRule.Ending = .finished) -> Int {
            var rule = rule(Case(name: "", ending: ending, charged: 0))
            rule.reportedPrompt = reported
            rule.promptBound = ChargeRule.PromptBound(reserved: 100, limit: 120)
            return rule.prompt
        }
        #expect(prompt(70) == 70)
        #expect(prompt(100) == 100)
        #expect([nil, 0, -5, 121, Int.max].map { prompt($0) } == [100, 100, 100, 100, 100])
        // The tokenizer was wrong, the count can be true: an overrun of 20.
        #expect(prompt(120) == 120)
        #expect(prompt(70, .unused) == 0)
        #expect(prompt(70, .cut) == 70)
    }

    private func rule(_ row: Case) -> ChargeRule {
        ChargeRule(
            ending: row.ending, reserved: 10, reported: row.reported, running: row.running, pieces: row.came.pieces,
            bytes: row.came.bytes, reportedPrompt: nil, promptBound: ChargeRule.PromptBound())
    }
}
