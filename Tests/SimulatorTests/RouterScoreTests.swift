import Accounting
import Foundation
import Testing

@testable import Simulator

/// CostSave and the score of RouterArena.
@Suite struct RouterScoreTests {
    private static func bill(_ accuracy: Number, dollars: Number) -> RouterScore.Bill {
        RouterScore.Bill(accuracy: accuracy, cost: dollars * .whole(1_000_000_000_000))
    }

    private static func number(_ finding: Finding) -> Double? {
        if case .exact(let number) = finding.knowledge { number.double } else { nil }
    }

    @Test func `logarithms are those of the C library`() {
        for value in [1, 2, 8, 0.5, 200, 0.0044, 3, 1.4142135623730951, 1.4142135623730954, 1e-12, 1e12, 0.7] {
            #expect(
                abs(RouterScore.binaryLogarithm(value) - log2(value)) <= 1e-14 * max(1, abs(log2(value))), "\(value)")
        }
    }

    /// At $0.88, which is 0.0044 · 200, the mean of the two ends in logarithms is √0.88.
    @Test func `RouterArena's score by hand`() throws {
        let middle = RouterScore.arena(Self.bill(.ratio(3, 4), dollars: .real(0.88.squareRoot())))
        #expect(abs(try #require(Self.number(middle.cost)) - 0.5) < 1e-12)
        // 1.1 · 0.75 · 0.5 / (0.075 + 0.5).
        #expect(abs(try #require(Self.number(middle.score)) - 0.4125 / 0.575) < 1e-12)
        let dear = RouterScore.arena(Self.bill(.ratio(3, 4), dollars: .whole(200)))
        #expect(Self.number(dear.cost) == 0 && Self.number(dear.score) == 0)
        let cheap = RouterScore.arena(Self.bill(.ratio(3, 4), dollars: .ratio(44, 10_000)))
        #expect(abs(try #require(Self.number(cheap.cost)) - 1) < 1e-15)
        // 1.1 · 0.75 / (0.075 + 1).
        #expect(abs(try #require(Self.number(cheap.score)) - 0.825 / 1.075) < 1e-12)
        #expect(RouterScore.arena(Self.bill(.zero, dollars: .whole(200))).score.knowledge == .unknown)
    }

    @Test(arguments: [Number.ratio(20_001, 100), .ratio(43, 10_000), .zero])
    func `a bill out of range has no score and says so`(_ dollars: Number) {
        let arena = RouterScore.arena(Self.bill(.one, dollars: dollars))
        for finding in [arena.cost, arena.score] {
            #expect(finding.knowledge == .unknown)
            #expect(finding.reason?.contains("outside of RouterArena's range of $0.0044 to $200") == true)
        }
    }

    @Test func `what is saved`() throws {
        let (slm, llm) = (Self.bill(.ratio(1, 2), dollars: .whole(1)), Self.bill(.ratio(7, 10), dollars: .whole(4)))
        #expect(RouterScore.best(slm, llm) == llm && RouterScore.best(llm, slm) == llm)
        let equal = Self.bill(.ratio(1, 2), dollars: .whole(2))
        #expect(RouterScore.best(slm, equal) == slm && RouterScore.best(equal, slm) == slm)
        func save(_ accuracy: Number, _ dollars: Number) -> (cell: Table.Cell, note: String) {
            RouterScore.costSave(Self.bill(accuracy, dollars: dollars), best: llm)
        }
        #expect(save(.ratio(7, 10), .whole(1)) == (.finding(.exact(.ratio(3, 4), .share)), ""))
        // Dearer than the best model: a loss.
        #expect(save(.ratio(9, 10), .whole(5)) == (.finding(.exact(.ratio(-1, 4), .share)), ""))
        // What is known not to apply is not unknown.
        #expect(save(.ratio(69, 100), .whole(1)) == (.none, "no CostSave: less accurate than the best single model"))
        let free = RouterScore.costSave(llm, best: Self.bill(.zero, dollars: .zero))
        #expect(free == (.none, "no CostSave: the best single model costs nothing"))
        guard case .finding(let unknown) = RouterScore.costSave(llm, best: nil).cell else { throw Missing() }
        #expect(unknown.knowledge == .unknown && unknown.reason?.contains("alone is not known") == true)
    }

    // MARK: In reports

    private static func row(_ report: Report, _ policy: String) -> [String: Table.Cell]? {
        guard let table = report.sections.first(where: { $0.name == "router_scores" })?.table,
            let row = table.rows.first(where: { $0[0] == .text(policy) })
        else { return nil }
        return Dictionary(uniqueKeysWithValues: zip(table.columns.map(\.name), row))
    }

    private static func number(_ report: Report, _ policy: String, _ column: String) -> Double? {
        guard case .finding(let finding) = row(report, policy)?[column] else { return nil }
        return number(finding)
    }

    /// An SLM's request costs 120 and an LLM's 1,600 millions of pico-dollars, so $0.12 and $1.60 for 1,000.
    private static func known(_ scale: Int = 1_000_000) throws -> Report {
        var options = PairOptions(source: "known")
        options.bootstrap.replicates = 0
        options.prices = PairPrices(
            slmInput: scale, slmOutput: 2 * scale, llmInput: 10 * scale, llmOutput: 20 * scale)
        options.scores = [PairOptions.Score(column: "score", thresholds: [2])]
        let report = try PairAnalysis.report(KnownPairs.table(), options)
        PairReportTests.expectWellFormed(report)
        return report
    }

    @Test func `a report of known pairs`() throws {
        let report = try Self.known()
        // The LLM, 0.7, is the best model: 1,600,000 for all. 1 − 920/1600, 1 − 564/1600, 1 − 540/1600.
        for (policy, accuracy, save) in [
            ("LLM only", 0.7, 0), ("cascade, judge 0.00/0.00", 0.8, 0.425),
            ("cascade, judge 0.20/0.20", 0.72, 0.425), ("cheapest correct, LLMRouterBench's rule", 0.8, 0.6475),
            ("cheapest correct, RouterBench's rule", 0.8, 0.6625), ("threshold on score, largest saving", 0.8, 0.6475),
            // 900 of 1,000 are sent: 100 · 120 + 900 · 1600 = 1,452,000.
            ("threshold on score, from 2 on", 0.8, 0.0925),
        ] {
            #expect(Self.number(report, policy, "accuracy") == accuracy, "\(policy)")
            #expect(abs((Self.number(report, policy, "cost_save") ?? .nan) - save) < 1e-12, "\(policy)")
        }
        #expect(
            Self.row(report, "threshold on score, largest saving")?["note"]
                == .text("from 3 on, chosen on these very requests"))
        let small = Self.row(report, "SLM only")
        #expect(small?["cost_save"] == Table.Cell.none)
        #expect(small?["note"] == .text("no CostSave: less accurate than the best single model"))
        // C = ln(200/0.12) / ln(200/0.0044); S = 1.1 · 0.5 · C / (0.05 + C).
        let part = log(200 / 0.12) / log(200 / 0.0044)
        #expect(abs((Self.number(report, "SLM only", "arena_cost") ?? .nan) - part) < 1e-12)
        #expect(abs((Self.number(report, "SLM only", "arena_score") ?? .nan) - 0.55 * part / (0.05 + part)) < 1e-12)
        #expect(Set(report.definitions.map(\.term)).isSuperset(of: ["CostSave", "C (RouterArena)", "S (RouterArena)"]))
        // $0.00000012 for 1,000.
        guard case .finding(let outside) = Self.row(try Self.known(1), "SLM only")?["arena_score"] else {
            throw Missing()
        }
        #expect(outside.knowledge == .unknown)
    }

    private struct Missing: Error {}

    @Test func `without prices there is no score`() throws {
        var options = PairOptions(source: "known")
        options.bootstrap.replicates = 0
        let report = try PairAnalysis.report(KnownPairs.table(), options)
        #expect(report.sections.allSatisfy { $0.name != "router_scores" })
        #expect(report.definitions.allSatisfy { $0.term != "CostSave" })
    }

    @Test func `rows that are left out are in neither accuracy nor cost`() throws {
        var options = PairOptions(source: "table")
        options.bootstrap.replicates = 0
        options.prices = PairPrices(slmInput: 0, slmOutput: 100_000_000, llmInput: 0, llmOutput: 200_000_000)
        let csv = "slm_correct,llm_correct,slm_tokens,llm_tokens,prompt_tokens\n"
        let report = try PairAnalysis.report(
            PairTable(csv: (csv + "1,1,10,10,5\n0,1,10,10,5\n1,1,10,,5\n,0,90,10,5\n").utf8), options)
        // Two rows of 10 tokens: $0.001 each with the SLM, so $1 for 1,000, and one of two right.
        #expect(Self.number(report, "SLM only", "accuracy") == 0.5)
        #expect(Self.number(report, "SLM only", "cost") == 1e12)
        let notes = report.sections.first { $0.name == "router_scores" }?.notes ?? []
        #expect(notes.contains("2 requests without a verdict or a count are in neither accuracy nor cost."))
    }

    // MARK: Traces

    /// The SLM alone answers with 10 tokens, the LLM with 20.
    private static func request(_ serial: UInt64, slm: Int, llm: Int, arrived: Int64 = 1) -> LoggedRequest {
        var request = LoggedRequest(
            id: UUID7(high: serial << 16, low: 0), tenant: "t", model: "m", policy: "slm",
            arrived: Timestamp(microseconds: arrived), promptTokens: 0,
            segments: [
                LoggedSegment(role: .slm, sequence: 0, model: "small", tokens: 10, finish: .stop, inputTokens: 0)
            ])
        request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: slm * 1_000_000)]
        request.llmOnly = LoggedAlone(verdict: llm * 1_000_000, tokens: 20)
        return request
    }

    private static func report(_ requests: [LoggedRequest], prices: Bool = true, models: Set<String> = ["slm", "llm"])
        throws -> Report
    {
        var scenario = Scenario(title: "scores")
        scenario.replicates = 0
        scenario.policies = [
            PolicyEntry(name: "small", counterfactual: .slmOnly), PolicyEntry(name: "large", counterfactual: .llmOnly),
            PolicyEntry(name: "cascade", counterfactual: .cascade(falseAccept: 0, falseReject: 0)),
        ]
        func price(_ model: String, _ output: Int) -> ModelPrice {
            ModelPrice(
                model: model, from: Timestamp(microseconds: 1), input: 0, cachedInput: nil, cacheWrite: nil,
                output: output, request: 0)
        }
        if prices {
            let list = [price("slm", 10_000_000), price("llm", 100_000_000)].filter { models.contains($0.model) }
            scenario.costModels = [CostModel(name: "money", basis: .prices(list, .none))]
        }
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        return simulation.report()
    }

    @Test func `a log's policies have scores where there are prices`() throws {
        let requests = [(1, 1), (0, 1), (1, 1), (1, 1)].enumerated().map {
            Self.request(UInt64($0.offset + 1), slm: $0.element.0, llm: $0.element.1)
        }
        let report = try Self.report(requests)
        // $0.1 and $2 for 1,000; the cascade asks the LLM once in four: 0.1 + 2/4.
        #expect(Self.number(report, "small", "accuracy") == 0.75 && Self.number(report, "small", "cost") == 1e11)
        #expect(Self.number(report, "large", "cost_save") == 0)
        #expect(abs((Self.number(report, "cascade", "cost_save") ?? .nan) - 0.7) < 1e-12)
        #expect(Set(report.definitions.map(\.term)).isSuperset(of: ["CostSave", "S (RouterArena)"]))
        #expect(Self.row(try Self.report(requests, prices: false), "small") == nil)
        // One request came before there were prices: no score is made of the others' bill.
        let unpriced = try Self.report(requests + [Self.request(9, slm: 1, llm: 1, arrived: 0)])
        guard case .finding(let score) = Self.row(unpriced, "small")?["arena_score"] else { throw Missing() }
        #expect(score.reason == "1 requests have no price or no prompt count: no score")
    }

    @Test func `the best model's bill may be unknown`() throws {
        // The LLM alone has no price: what the SLM saves beside it nobody can say.
        let requests = [(1, 1), (0, 1)].enumerated().map {
            Self.request(UInt64($0.offset + 1), slm: $0.element.0, llm: $0.element.1)
        }
        let report = try Self.report(requests, models: ["slm"])
        guard case .finding(let saved) = Self.row(report, "small")?["cost_save"] else { throw Missing() }
        #expect(saved.knowledge == .unknown && saved.reason?.contains("alone is not known") == true)
        #expect(Self.number(report, "small", "cost") == 1e11)
    }
}
