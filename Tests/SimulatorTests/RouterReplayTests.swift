import Accounting
import Testing

@testable import Simulator

/// Routers between the two models alone, against sums over the requests taken one by one.
@Suite struct RouterReplayTests {
    /// Verdicts and tokens of the two models, and a score.
    private struct Pair {
        var slm: (verdict: Int, tokens: Int)
        var llm: (verdict: Int, tokens: Int)
        var score: Double
    }

    private static func pairs(_ seed: UInt64) -> [Pair] {
        var generator = TestGenerator(seed)
        return (0..<50).map { _ in
            Pair(
                slm: (Int.random(in: 0...1, using: &generator), Int.random(in: 1...300, using: &generator)),
                llm: (Int.random(in: 0...1, using: &generator), Int.random(in: 1...300, using: &generator)),
                score: Double(Int.random(in: 0...9, using: &generator)) / 10)
        }
    }

    /// A log in which the SLM answered all of them alone, and the LLM beside it.
    private static func answers(_ pairs: [Pair], _ policies: [Counterfactual]) throws -> [PolicyAnswer] {
        var scenario = Scenario(title: "routers")
        scenario.policies = policies.enumerated().map { PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element) }
        scenario.costModels = [CostModel(name: "generated", basis: .generatedTokens)]
        var simulation = try TraceSimulation(scenario)
        for (index, pair) in pairs.enumerated() {
            var request = LoggedRequest(
                id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t", model: "m", policy: "slm",
                arrived: Timestamp(microseconds: 0), promptTokens: 10,
                tags: [RequestTag(key: "difficulty", value: "\(pair.score)")],
                segments: [
                    LoggedSegment(
                        role: .slm, sequence: 0, model: "small", tokens: pair.slm.tokens, finish: .stop, inputTokens: 10
                    )
                ])
            request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: pair.slm.verdict * 1_000_000)]
            request.llmOnly = LoggedAlone(verdict: pair.llm.verdict * 1_000_000, tokens: pair.llm.tokens)
            try simulation.add(request)
        }
        return simulation.answers(simulation.whole)
    }

    @Test(arguments: [UInt64](1...20))
    func `routers are sums over requests`(_ seed: UInt64) throws {
        let pairs = Self.pairs(seed)
        let answers = try Self.answers(
            pairs,
            [
                .randomRouter(share: 0.3), .oracleRouter, .thresholdRouter(score: "difficulty", threshold: 0.5),
                .cascade(falseAccept: 0, falseReject: 0), .cascade(falseAccept: 0.1, falseReject: 0.2),
                .timeShared(.llmOnly, .slmOnly, share: 0.25), .randomRouterAtCost(.requests),
            ])
        func sum(_ value: (Pair) -> Double) -> Double { pairs.reduce(0) { $0 + value($1) } }
        func right(_ pair: Pair, _ share: Double) -> Double {
            (1 - share) * Double(pair.slm.verdict) + share * Double(pair.llm.verdict)
        }
        // The probability that the LLM writes; in a cascade the SLM writes as well.
        let shares: [(Pair) -> Double] = [
            { _ in 0.3 }, { $0.llm.verdict > $0.slm.verdict ? 1 : 0 }, { $0.score >= 0.5 ? 1 : 0 },
            { $0.slm.verdict == 1 ? 0 : 1 }, { $0.slm.verdict == 1 ? 0.2 : 0.9 }, { _ in 0.25 }, { _ in 0 },
        ]
        for (index, share) in shares.enumerated() {
            let totals = try #require(answers[index].totals)
            let isCascade = index == 3 || index == 4
            #expect(close(totals.accuracy?.exact, sum { right($0, share($0)) } / 50), "policy \(index)")
            #expect(close(totals[.llmTokens].exact, sum { share($0) * Double($0.llm.tokens) }), "policy \(index)")
            let slm = sum { (isCascade ? 1 : 1 - share($0)) * Double($0.slm.tokens) }
            #expect(close(totals[.slmTokens].exact, slm), "policy \(index)")
            #expect(close(totals[cost: 0].exact, slm + sum { share($0) * Double($0.llm.tokens) }), "policy \(index)")
        }
    }

    private func close(_ number: Number?, _ expected: Double) -> Bool {
        number.map { abs($0.double - expected) <= 1e-9 * max(1, abs(expected)) } ?? false
    }

    @Test func `estimates need requests that took the policy's actions`() throws {
        var scenario = Scenario(title: "exploration")
        scenario.policies = [PolicyEntry(name: "p", counterfactual: .randomRouter(share: 0.5))]
        var simulation = try TraceSimulation(scenario)
        // Four requests of the SLM that a coin of 0.8 gave it; three of them right.
        for index in 0..<4 {
            var request = LoggedRequest(
                id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t", model: "m", policy: "random(0.2)",
                propensity: 0.8, arrived: Timestamp(microseconds: 0), promptTokens: 1,
                segments: [LoggedSegment(role: .slm, sequence: 0, model: "small", tokens: 5, finish: .stop)])
            request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: index == 0 ? 0 : 1_000_000)]
            try simulation.add(request)
        }
        let rows = try #require(simulation.report().sections.first { $0.name == "off_policy" }?.table?.rows)
        func value(_ target: String, _ estimator: String) -> Finding.Knowledge? {
            let row = rows.first { $0[0] == .text(target) && $0[1] == .text(estimator) }
            guard case .finding(let finding) = row?[2] else { return nil }
            return finding.knowledge
        }
        // Σ 1/0.8 over three right ones of four: 3.75 / 4; normalised: 3/4.
        #expect(value("SLM only", "IPS") == .estimated(.real(0.9375)))
        #expect(value("SLM only", "SNIPS") == .estimated(.real(0.75)))
        #expect(value("LLM only", "IPS") == .unknown)
        // Nothing is known of the LLM, so no router can be replayed.
        #expect(simulation.answers(simulation.whole).allSatisfy { $0.totals == nil })
    }
}
