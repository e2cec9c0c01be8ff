import Testing

@testable import Simulator

/// Which rows of a pair table thresholds are chosen on, and what their report says of it.
@Suite struct HeldOutRowsTests {
    private static func report(
        _ csv: String, _ columns: [String] = ["score"], share: Double = 1,
        _ change: (inout PairOptions) -> Void = { _ in }
    ) throws -> Report {
        var options = PairOptions(source: "table")
        options.chosen = columns.map { .init(name: "by \($0)", column: $0, aim: .share(share)) }
        options.train = TrainSplit(share: 0.5, order: .file)
        options.bootstrap.replicates = 100
        change(&options)
        let report = try PairAnalysis.report(PairTable(csv: csv.utf8), options)
        PairReportTests.expectWellFormed(report)
        return report
    }

    private static func section(_ report: Report) throws -> Section {
        try #require(report.sections.first { $0.name == "held_out" })
    }

    private static func cells(_ report: Report, _ row: Int = 0) throws -> [String: Table.Cell] {
        let table = try #require(section(report).table)
        return Dictionary(uniqueKeysWithValues: zip(table.columns.map(\.name), table.rows[row]))
    }

    private static func finding(_ cell: Table.Cell?) throws -> Finding {
        guard case .finding(let finding) = cell else { throw Missing() }
        return finding
    }

    private struct Missing: Error {}

    private static func split(_ report: Report) -> String? { report.coverage.first { $0.name == "split" }?.value }

    /// The LLM alone is right, so that all is sent, from the lowest score on.
    private static func table(_ scores: [String]) -> String {
        "slm_correct,llm_correct,score\n" + scores.map { "0,1,\($0)\n" }.joined()
    }

    // MARK: Thresholds

    @Test(arguments: [0.500696, 0.7150123456789012, 1e-21, 67, 1e130])
    func `a threshold is the number that was logged`(_ score: Double) throws {
        let report = try Self.report(Self.table(Array(repeating: "\(score)", count: 4))) {
            $0.scores = [.init(column: "score")]
        }
        #expect(try Self.finding(Self.cells(report)["threshold"]) == .exact(.real(score), .score))
        let curve = try #require(report.sections.first { $0.name == "threshold_router_score" }?.table)
        #expect(curve.rows.last?.first == .finding(.exact(.real(score), .score)))
        #expect(curve.columns[0].decimals == nil)
    }

    @Test func `a threshold that is given is printed as it was given`() throws {
        let report = try Self.report(Self.table(["1", "2", "3", "4"])) {
            $0.scores = [.init(column: "score", thresholds: [2.5, 9])]
        }
        let curve = try #require(report.sections.first { $0.name == "threshold_router_score" }?.table)
        // Two of four from 2.5 on, none from 9 on.
        #expect(curve.rows.map { $0[0] } == [2.5, 9].map { .finding(.exact(.real($0), .score)) })
        #expect(
            try curve.rows.map { row in
                guard case .exact(let share) = try Self.finding(row[1]).knowledge else { throw Missing() }
                return share.double
            } == [0.5, 0])
    }

    @Test(arguments: ["0x10", "inf", "nan", "1e400", " 1", "1,5"])
    func `a score is a decimal`(_ text: String) {
        let csv = "slm_correct,llm_correct,score\n0,1,1\n0,1,\"\(text)\"\n"
        let error = #expect(throws: SimulationError.self) { try Self.report(csv) }
        #expect(error?.message == "line 3: \"\(text)\" is no number; a score is one, or empty")
    }

    // MARK: Rows without a score

    /// Eight rows have both verdicts; `late` begins in the fifth of them, and `some` stands in three.
    private static let sparse = """
        slm_correct,llm_correct,late,some
        0,1,,1
        0,1,,
        0,1,,
        0,1,,2
        0,1,1,
        1,,1,9
        0,1,2,
        0,1,3,
        0,1,4,3
        """

    @Test func `the first rows are those of the ones that have the score`() throws {
        let report = try Self.report(Self.sparse, ["late", "some"])
        // Half of four, and half of three rounded down; the row with a verdict missing is not counted.
        #expect(
            Self.split(report)
                == "by late, 2 requests to choose on, 2 held out; by some, 1 requests to choose on, 2 held out")
        #expect(try Self.cells(report, 0)["result"] == .text("chosen"))
        #expect(try Self.finding(Self.cells(report, 0)["threshold"]) == .exact(.real(1), .score))
        #expect(report.warnings.contains { $0.hasPrefix("2 requests are held out: ") })
        let exclusions = Dictionary(uniqueKeysWithValues: report.exclusions.map { ($0.reason, $0.requests) })
        #expect(exclusions["the score late is empty: in no threshold that is chosen by it"] == 4)
        #expect(exclusions["the score some is empty: in no threshold that is chosen by it"] == 5)
    }

    @Test func `the warning says how many are held out by each score`() throws {
        let report = try Self.report(Self.sparse, ["late", "some"]) { $0.train.share = 0.34 }
        // A third of four is one, a third of three (1.02) is one.
        #expect(
            Self.split(report)
                == "by late, 1 requests to choose on, 3 held out; by some, 1 requests to choose on, 2 held out")
        #expect(
            report.warnings.contains {
                $0.hasPrefix("by late, 3 requests are held out; by some, 2 requests are held out: ")
            })
    }

    @Test func `a random split counts the rows that have the score`() throws {
        let csv = "slm_correct,llm_correct,score\n" + (0..<40).map { "0,1,\($0 % 4 == 0 ? "" : "\($0)")\n" }.joined()
        let report = try Self.report(csv) { $0.train.order = .random }
        let words = try #require(Self.split(report)).split(separator: " ").compactMap { Int($0) }
        #expect(words.count == 2 && words.reduce(0, +) == 30)
        #expect(report.warnings.contains { $0.hasPrefix("\(words[1]) requests are held out") })
    }

    // MARK: Clusters

    private static let tenants =
        "slm_correct,llm_correct,score,tenant\n0,1,1,a\n1,1,2,b\n0,1,1,c\n1,1,2,c\n0,1,3,c\n1,1,4,c\n"

    @Test func `a held-out part of one cluster has no interval`() throws {
        // Two rows to choose on, of a and b, and four of c.
        let report = try Self.report(Self.tenants) {
            $0.cluster = .tenant
            $0.train.share = 0.34
        }
        #expect(Self.split(report) == "by score, 2 requests to choose on, 4 held out")
        #expect(try Self.finding(Self.cells(report)["accuracy_held_out"]).interval == nil)
        let notes = try Self.section(report).notes
        #expect(
            notes.contains(
                "By score, the accuracy held out has no interval: all held-out requests are of one cluster (tenant)."))
        // The uncertainty of the optimism is not said by an interval that is not there.
        #expect(notes.allSatisfy { !$0.contains("as its interval says") })
        #expect(notes.contains { $0.hasPrefix("Optimism has no interval here: ") })
        // Without clusters there are both.
        let plain = try Self.report(Self.tenants) { $0.train.share = 0.34 }
        #expect(try Self.finding(Self.cells(plain)["accuracy_held_out"]).interval != nil)
        #expect(try Self.section(plain).notes.contains { $0.contains("as its interval says") })
        #expect(try Self.section(plain).notes.allSatisfy { !$0.contains("no interval") })
    }

    @Test func `a table of one cluster has no bootstrap interval`() throws {
        func intervals(_ csv: String) throws -> (methods: [String], report: Report) {
            let report = try Self.report(csv) { $0.cluster = .tenant }
            let methods = report.sections.flatMap { $0.table?.rows.joined().map { $0 } ?? [] }.compactMap { cell in
                if case .finding(let finding) = cell { finding.interval?.method } else { nil }
            }
            return (methods.filter { $0.contains("bootstrap") }, report)
        }
        #expect(try !intervals(Self.tenants).methods.isEmpty)
        let one = try intervals("slm_correct,llm_correct,score,tenant\n0,1,1,a\n1,1,2,a\n0,1,1,a\n1,1,2,a\n")
        #expect(one.methods.isEmpty)
        #expect(
            one.report.coverage.contains {
                $0.name == "intervals" && $0.value == "none: all requests are of one cluster (tenant)"
            })
        #expect(
            one.report.sections.first { $0.name == "models" }?.notes.last
                == "no bootstrap interval: all requests are of one cluster (tenant)")
    }

    // MARK: Equal scores

    @Test func `equal scores are said`() throws {
        func result(_ scores: [String], _ share: Double = 1) throws -> Table.Cell? {
            try Self.cells(Self.report(Self.table(scores), share: share))["result"]
        }
        #expect(try result(["5", "5", "5", "5"]) == .text("chosen; all scores are equal: all or none is sent"))
        #expect(try result(["5", "5", "5", "5"], 0.3) == .text("chosen; all scores are equal: all or none is sent"))
        let own = "chosen; all scores it was chosen on are equal: all or none is sent"
        #expect(try result(["5", "5", "5", "4"]) == .text(own))
        #expect(try result(["5", "5", "4", "4"]) == .text(own))
        #expect(try result(["5", "4", "4", "4"]) == .text("chosen"))
        // One request has no other to be equal to.
        #expect(try result(["5", "5"]) == .text("chosen"))
    }

    // MARK: Ids

    @Test func `rows without an id are rows of their own`() throws {
        let rows = (0..<60).map { "0,1,\($0),\($0 < 30 ? "" : "q\($0)")\n" }.joined()
        let csv = "slm_correct,llm_correct,score,id\n" + rows
        let report = try Self.report(csv) { $0.train.order = .random }
        // By the hash of the line, which is two more than the number, or of the id.
        let training = (0..<60).count {
            TrainSplit().isTraining(hash: stableHash($0 < 30 ? "\($0 + 2)" : "q\($0)"), seed: 20_260_108)
        }
        let alone = (0..<30).count { TrainSplit().isTraining(hash: stableHash("\($0 + 2)"), seed: 20_260_108) }
        #expect(alone > 0 && alone < 30)
        #expect(Self.split(report) == "by score, \(training) requests to choose on, \(60 - training) held out")
        #expect(report.warnings.allSatisfy { !$0.contains("more than one row") })
    }

    @Test func `repeated ids are said`() throws {
        let csv = "slm_correct,llm_correct,score,id\n0,1,1,a\n0,1,2,a\n0,1,3,b\n0,1,4,b\n0,1,5,b\n0,1,6,c\n"
        let report = try Self.report(csv) { $0.train.order = .random }
        #expect(report.warnings.contains { $0.hasPrefix("ids that stand in more than one row: 2, in 5 rows; ") })
        // By the file's order ids do not matter.
        #expect(try Self.report(csv).warnings.allSatisfy { !$0.contains("more than one row") })
    }
}
