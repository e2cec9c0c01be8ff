import Foundation
import Testing

@testable import Simulator

/// Thresholds that are chosen on one part of a pair table and reported on the other.
@Suite struct HeldOutPairTests {
    private static func report(
        _ csv: String, _ aims: [ThresholdAim], column: String = "score",
        _ change: (inout PairOptions) -> Void = { _ in }
    ) throws -> Report {
        var options = PairOptions(source: "table")
        options.chosen = aims.enumerated().map { .init(name: "p\($0.offset)", column: column, aim: $0.element) }
        options.train = TrainSplit(share: 0.5, order: .file)
        options.bootstrap.replicates = 200
        change(&options)
        let report = try PairAnalysis.report(PairTable(csv: csv.utf8), options)
        PairReportTests.expectWellFormed(report)
        return report
    }

    private static func row(_ report: Report, _ row: Int) throws -> [String: Table.Cell] {
        let table = try #require(report.sections.first { $0.name == "held_out" }?.table)
        return Dictionary(uniqueKeysWithValues: zip(table.columns.map(\.name), table.rows[row]))
    }

    private static func text(_ cell: Table.Cell?) -> String? {
        switch cell {
        case .text(let text): text
        case .finding(let finding):
            switch finding.knowledge {
            case .exact(let number):
                finding.unit == .score ? Number.plain(number.double) : Decimals.text(number, decimals: 6)
            case .bounded(let low, let high):
                "\(Decimals.text(low, decimals: 6)) to \(Decimals.text(high, decimals: 6))"
            case .atLeast, .estimated, .unknown: "?"
            }
        case .some(.none), nil: nil
        }
    }

    private static func texts(_ report: Report, _ index: Int, _ columns: [String]) throws -> [String?] {
        let cells = try row(report, index)
        return columns.map { text(cells[$0]) }
    }

    private static let numbers = [
        "threshold", "share_train", "share_held_out", "accuracy_train", "accuracy_held_out", "optimism",
        "random_held_out", "gain_held_out", "llm_held_out", "aim_held_out",
    ]

    /// Four rows to choose on and four that are held out:
    ///
    ///     score   4 3 2 1 | 4 3 2 1
    ///     SLM     0 0 1 1 | 1 0 1 0
    ///     LLM     1 1 0 1 | 1 1 1 0
    private static let small = """
        slm_correct,llm_correct,score
        0,1,4
        0,1,3
        1,0,2
        1,1,1
        1,1,4
        0,1,3
        1,1,2
        0,0,1
        """

    @Test func `a table by hand`() throws {
        // On the first four: none 2/4, from 4 on 3/4, from 3 on 4/4, from 2 on 3/4, all 3/4; the LLM 3/4.
        let report = try Self.report(
            Self.small, [.share(0.5), .share(0.25), .accuracy(0.7), .llmAccuracy(1), .share(0)])
        // Held out, from 3 on: 2/4 sent, right 1 + 1 + 1 + 0; the SLM 2/4, the LLM 3/4: random 0.5 + 0.5 · 0.25.
        #expect(
            try Self.texts(report, 0, Self.numbers) == [
                "3", "0.500000", "0.500000", "1.000000", "0.750000", "0.250000", "0.625000", "0.125000",
                "0.750000", "met",
            ])
        // From 4 on: 1/4 sent, right 1 + 0 + 1 + 0.
        let atFour = [
            "4", "0.250000", "0.250000", "0.750000", "0.500000", "0.250000", "0.562500", "-0.062500",
            "0.750000",
        ]
        #expect(try Self.texts(report, 1, Self.numbers) == atFour + ["met"])
        #expect(try Self.texts(report, 2, Self.numbers) == atFour + ["missed"])
        #expect(try Self.texts(report, 3, Self.numbers) == atFour + ["missed"])
        #expect(
            try Self.texts(report, 4, ["threshold", "share_train", "accuracy_held_out"])
                == ["none is sent", "0.000000", "0.500000"])
        let plot = try #require(report.sections.first { $0.name == "held_out" }?.plot)
        #expect(plot.series.map(\.name) == ["on the requests it was chosen on", "held out"])
        #expect(plot.series.map { $0.points[0].y } == [1, 0.75] && plot.series[1].points[0].low != nil)
        #expect(report.warnings.contains { $0.hasPrefix("4 requests are held out") })
        #expect(report.warnings.filter { $0.contains("routing collapse") }.map { $0.prefix(2) } == ["p4"])
        #expect(
            report.coverage.contains {
                $0.name == "split" && $0.value == "by score, 4 requests to choose on, 4 held out"
            })
        #expect(Set(report.definitions.map(\.term)).isSuperset(of: ["training part", "held out", "optimism"]))
    }

    /// The standard error of n verdicts of mean p is √(p(1−p)/(n−1)); of the difference, the root of the squares' sum.
    @Test func `the optimism has the interval of two samples`() throws {
        let report = try Self.report(Self.small, [.share(0.25)])
        guard case .finding(let finding) = try Self.row(report, 0)["optimism"] else { throw Missing() }
        let interval = try #require(finding.interval)
        let spread = 1.959963984540054 * (0.75 * 0.25 / 3 + 0.5 * 0.5 / 3).squareRoot()
        #expect(abs(interval.low.double - (0.25 - spread)) < 1e-12)
        #expect(abs(interval.high.double - (0.25 + spread)) < 1e-12)
        guard case .finding(let held) = try Self.row(report, 0)["accuracy_held_out"] else { throw Missing() }
        #expect(held.interval?.method.contains("bootstrap by request") == true)
    }

    private struct Missing: Error {}

    @Test func `what cannot be chosen is a result`() throws {
        func result(_ csv: String, _ aim: ThresholdAim, _ share: Double = 0.5) throws -> String? {
            let report = try Self.report(csv, [aim]) { $0.train.share = share }
            return try Self.text(Self.row(report, 0)["result"])
        }
        // All four training rows can be right; more than that there is not. Two of the four are right under SLM 0 …
        #expect(try result(Self.small, .accuracy(1)) == "chosen")
        let wrong = "slm_correct,llm_correct,score\n0,0,1\n1,0,2\n0,1,1\n1,1,2\n"
        #expect(
            try result(wrong, .accuracy(0.9)) == "no threshold meets the aim: the most accurate has 0.500000")
        // A tenth of four rows is none.
        #expect(
            try result(wrong, .share(1), 0.1)
                == "no threshold: the training part has no request with a score and both verdicts")
        // Half of one row is none.
        let unscored = "slm_correct,llm_correct,score\n0,1,\n1,0,\n0,1,\n1,1,2\n"
        #expect(
            try result(unscored, .share(1))
                == "no threshold: the training part has no request with a score and both verdicts")
        // Rows of one id are in one part.
        let seed = PairOptions(source: "").bootstrap.seed
        let id = try #require((0..<99).first { TrainSplit().isTraining(hash: stableHash("\($0)"), seed: seed) })
        let onlyTraining = "slm_correct,llm_correct,score,id\n0,1,1,\(id)\n1,0,2,\(id)\n"
        let report = try Self.report(onlyTraining, [.share(1)]) { $0.train.order = .random }
        #expect(try Self.text(Self.row(report, 0)["result"]) == "chosen, but no request is held out")
    }

    @Test func `equal scores can be sent all or none`() throws {
        let equal = "slm_correct,llm_correct,score\n0,1,5\n1,1,5\n0,1,5\n1,0,5\n"
        let report = try Self.report(equal, [.share(0.9), .share(1), .accuracy(0.6)])
        let columns = ["threshold", "share_held_out", "accuracy_train", "accuracy_held_out"]
        #expect(try Self.texts(report, 0, columns) == ["none is sent", "0.000000", "0.500000", "0.500000"])
        #expect(try Self.texts(report, 1, columns) == ["5", "1.000000", "1.000000", "0.500000"])
        #expect(try Self.texts(report, 2, columns) == ["5", "1.000000", "1.000000", "0.500000"])
        #expect(report.warnings.count { $0.contains("routing collapse") } == 3)
    }

    /// Line 7 lacks the verdict of the LLM, to which its score sends it; line 8 that of the SLM, which answers; line 9
    /// lacks the one that is not asked.
    @Test func `a verdict that is missing is neither right nor wrong`() throws {
        let csv = """
            slm_correct,llm_correct,score
            0,1,4
            1,0,1
            0,1,4
            1,1,1
            1,,4
            ,0,1
            1,,1
            0,1,
            """
        let report = try Self.report(csv, [.share(0.5)])
        // Five complete rows, of which the first two are for choosing; one of the other three has no score.
        let columns = ["threshold", "accuracy_train", "accuracy_held_out", "accuracy_all_held_out"]
        // Held out and complete: 1 + 1 of 2. Of five: 2 and the SLM's right one on line 9, to that and two unknown.
        #expect(try Self.texts(report, 0, columns) == ["4", "1.000000", "1.000000", "0.600000 to 1.000000"])
        #expect(report.exclusions.contains { $0.reason.hasPrefix("the score score is empty") && $0.requests == 1 })
    }

    @Test func `a cluster is in one part`() throws {
        var options = PairOptions(source: "known")
        options.cluster = .tag("site")
        let table = try KnownPairs.table()
        let split = try PairSplit(table, options, lines: [])
        var parts: [String: Set<Bool>] = [:]
        for row in table.rows {
            let site = row.fields[7]
            #expect(split.cluster(line: row.line, row.fields) == site)
            parts[site, default: []].insert(split.isTraining(line: row.line, site))
        }
        #expect(parts.count == 10 && parts.values.allSatisfy { $0.count == 1 })
        #expect(Set(parts.values.map { $0.first }).count == 2)
        options.chosen = [.init(name: "p", column: "score", aim: .share(1))]
        options.bootstrap.replicates = 50
        let report = try PairAnalysis.report(table, options)
        guard case .finding(let optimism) = try Self.row(report, 0)["optimism"] else { throw Missing() }
        #expect(optimism.interval == nil)
        guard case .finding(let held) = try Self.row(report, 0)["accuracy_held_out"] else { throw Missing() }
        // Every site has a tenth of each kind, so that all draws of whole sites are the same.
        #expect(held.interval?.low == held.interval?.high)
    }

    @Test func `options that cannot be are refused by name`() throws {
        func refused(_ aim: ThresholdAim = .share(0.5), column: String = "score", _ change: (inout PairOptions) -> Void)
            -> SimulationError?
        {
            #expect(throws: SimulationError.self) { try Self.report(Self.small, [aim], column: column, change) }
        }
        #expect(refused { $0.train.share = 1 }?.field == "train.share")
        #expect(refused { $0.train.share = 0 }?.field == "train.share")
        #expect(refused { $0.train.order = .time }?.message == "must be file or random: a pair table holds no times")
        #expect(refused(.share(1.5)) { _ in }?.field == "threshold")
        #expect(refused(.cost(1)) { _ in }?.message.contains("needs prices") == true)
        #expect(refused(column: "scor") { _ in }?.message.contains("did you mean score?") == true)
        let words = Self.small.replacingOccurrences(of: "1,1,2", with: "1,1,two")
        let error = #expect(throws: SimulationError.self) { try Self.report(words, [.share(1)]) }
        #expect(error?.message == "line 8: \"two\" is no number; a score is one, or empty")
    }

    // MARK: Against counts of the rows one by one

    private struct Random {
        var slm: Bool
        var llm: Bool
        var score: Int

        func right(_ threshold: Int?) -> Bool { threshold.map { score >= $0 } ?? false ? llm : slm }
    }

    private static func random(_ count: Int, scores: Int, _ generator: inout TestGenerator) -> [Random] {
        (0..<count).map { _ in
            Random(
                slm: Bool.random(using: &generator), llm: Bool.random(using: &generator),
                score: Int.random(in: 1...scores, using: &generator))
        }
    }

    private static func part(_ rows: [Random]) -> ScoredPart {
        ScoredPart(rows: rows.map { (Double($0.score), ScoreSums(slm: ($0.slm, 0), llm: ($0.llm, 0))) })
    }

    @Test(arguments: [UInt64](1...40))
    func `the chosen threshold is the best of all`(_ seed: UInt64) throws {
        var generator = TestGenerator(seed)
        let rows = Self.random(Int.random(in: 1...30, using: &generator), scores: 6, &generator)
        let part = Self.part(rows)
        let thresholds: [Int?] = [nil] + (1...6).reversed().filter { score in rows.contains { $0.score == score } }
        func sent(_ threshold: Int?) -> Int { rows.count { row in threshold.map { row.score >= $0 } ?? false } }
        func right(_ threshold: Int?) -> Int { rows.count { $0.right(threshold) } }
        for tenths in 0...10 {
            let within = thresholds.filter { sent($0) * 10 <= tenths * rows.count }
            let best = try #require(within.max { (right($0), -sent($0)) < (right($1), -sent($1)) })
            let chosen = try part.choose(.share(Double(tenths) / 10))
            #expect(chosen.threshold == best.map(Double.init) && chosen.sent == sent(best), "share \(tenths)")
            let enough = thresholds.filter { right($0) * 10 >= tenths * rows.count }
            let least = enough.min { sent($0) < sent($1) }
            #expect((try? part.choose(.accuracy(Double(tenths) / 10)))?.sent == least.map(sent), "accuracy \(tenths)")
            let llm = rows.count { $0.llm }
            let asGood = thresholds.filter { right($0) * 10 >= tenths * llm }.min { sent($0) < sent($1) }
            #expect(
                (try? part.choose(.llmAccuracy(Double(tenths) / 10)))?.sent == asGood.map(sent),
                "of the LLM's \(tenths)")
        }
    }

    /// Either model is right by a coin and scores are dice: every threshold is right half of the time. From row to row
    /// the right answers go up or down by one, with a quarter's probability each; the greatest of the 20 sums is 2.0701
    /// on average, by counting all walks. On 20 other rows the chosen threshold is a coin again. Over 400 tables both
    /// means lie within four standard errors, at most 4 · 0.5 / √8000 = 0.023.
    @Test func `what was tuned on noise is noise on others`() throws {
        var generator = TestGenerator(20_260_108)
        var (own, others) = (0.0, 0.0)
        for _ in 0..<400 {
            let train = Self.part(Self.random(20, scores: 1000, &generator))
            let chosen = try train.choose(.share(1))
            own += try #require(chosen.accuracy).double / 400
            let held = Self.part(Self.random(20, scores: 1000, &generator)).routed(chosen.threshold)
            others += try #require(held.accuracy).double / 400
        }
        #expect(abs(own - (0.5 + 2.0701 / 20)) < 0.023, "\(own)")
        #expect(abs(others - 0.5) < 0.023, "\(others)")
    }

    // MARK: Real questions

    /// Computed by an independent program from the file: FNV-1a of the id, mixed, and mixed with the seed; below a
    /// half is training. 691 questions are, 628 are held out.
    @Test func `thresholds on the length of real questions`() throws {
        var options = PairOptions(source: "gsm8k_pairs.csv")
        options.prices = PairPrices(slmInput: 600_000, slmOutput: 600_000, llmInput: 10_000_000, llmOutput: 30_000_000)
        options.bootstrap.replicates = 0
        options.chosen = [ThresholdAim.share(0.3), .llmAccuracy(0.95), .cost(5), .accuracy(0.99), .cost(0.1)]
            .enumerated()
            .map { .init(name: "p\($0.offset)", column: "question_tokens", aim: $0.element) }
        let report = try PairAnalysis.report(PairTable(csv: Data(contentsOf: PairOracleTests.file)), options)
        #expect(
            report.coverage.contains {
                $0.name == "split" && $0.value == "by question_tokens, 691 requests to choose on, 628 held out"
            })
        let columns = [
            "threshold", "share_train", "share_held_out", "accuracy_train", "accuracy_held_out", "llm_held_out",
            "aim_held_out",
        ]
        #expect(
            try Self.texts(report, 0, columns) == [
                "67", "0.290883", "0.312102", "0.725036", "0.727707", "0.869427", "missed",
            ])
        #expect(
            try Self.texts(report, 1, columns) == [
                "47", "0.655572", "0.705414", "0.806078", "0.826433", "0.869427", "met",
            ])
        #expect(
            try Self.texts(report, 2, columns) == [
                "69", "0.254703", "0.288217", "0.714906", "0.721338", "0.869427", "missed",
            ])
        // Dollars, from pico-dollars.
        for (index, expected) in [("5.431315", "5.814696"), ("10.758242", "11.576320"), ("4.897803", "5.433579")]
            .enumerated()
        {
            let cells = try Self.row(report, index)
            for (name, wanted) in [("cost_train", expected.0), ("cost_held_out", expected.1)] {
                guard case .finding(let finding) = cells[name], case .exact(let pico) = finding.knowledge else {
                    throw Missing()
                }
                #expect(Decimals.text(pico * .ratio(1, 1_000_000_000_000), decimals: 6) == wanted)
            }
        }
        #expect(try Self.texts(report, 3, ["result"]) == ["no threshold meets the aim: the most accurate has 0.845152"])
        // The SLM alone costs 1.0449858 dollars for the 1,319 questions.
        let result = try #require(try Self.texts(report, 4, ["result"]).first ?? nil)
        #expect(result.hasPrefix("no threshold meets the aim: the cheapest costs $0.7"))
        #expect(report.warnings.allSatisfy { !$0.contains("routing collapse") })
    }
}
