import Foundation
import Testing

@testable import Simulator

/// The reports that the command lays out.
@Suite struct PairReportTests {
    private func options() -> PairOptions {
        var options = PairOptions(source: "known.csv")
        options.prices = KnownPairs.prices
        options.scores = [PairOptions.Score(column: "score")]
        options.measured = [
            PairOptions.Measured(name: "good", accuracy: .ratio(3, 4), callRatio: .ratio(1, 10)),
            PairOptions.Measured(name: "unknown ratio", accuracy: .ratio(6, 10), callRatio: nil),
        ]
        options.groupBy = "site"
        options.bootstrap.replicates = 200
        return options
    }

    /// A number of a table, found by its section, row and column.
    private func number(_ report: Report, _ section: String, row: Int, _ column: String) throws -> Number {
        let table = try #require(report.sections.first { $0.name == section }?.table)
        let place = try #require(table.columns.firstIndex { $0.name == column })
        try #require(table.rows.indices.contains(row))
        guard case .finding(let finding) = table.rows[row][place], case .exact(let number) = finding.knowledge else {
            throw SimulationError(.data, column, "is not exact in row \(row) of \(section)")
        }
        return number.reduced
    }

    static func expectWellFormed(_ report: Report) {
        #expect(Set(report.sections.map(\.name)).count == report.sections.count)
        #expect(!report.coverage.isEmpty && !report.definitions.isEmpty && !report.warnings.isEmpty)
        #expect(Set(report.definitions.map(\.term)).count == report.definitions.count)
        for section in report.sections {
            #expect(section.table != nil || section.plot != nil, "\(section.name) is empty")
            let words = section.name.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789_".utf8.contains($0) }
            #expect(words, "\(section.name)")
            if let table = section.table {
                #expect(Set(table.columns.map(\.name)).count == table.columns.count, "\(section.name)")
                #expect(!table.rows.isEmpty, "\(section.name)")
                for row in table.rows { #expect(row.count == table.columns.count, "\(section.name)") }
            }
            for series in section.plot?.series ?? [] {
                #expect(!series.points.isEmpty, "\(section.name): \(series.name)")
                for point in series.points { #expect(point.x.isFinite && point.y.isFinite) }
            }
        }
    }

    @Test func `a report of known pairs`() throws {
        let report = try PairAnalysis.report(KnownPairs.table(), options())
        PairReportTests.expectWellFormed(report)
        #expect(
            report.sections.map(\.name) == [
                "models", "random_router", "oracle_router", "summary_metrics", "resource_equivalent", "measured",
                "cost",
                "money_frontier", "cascade", "threshold_router_score", "router_scores", "groups",
            ])
        #expect(report.coverage.contains { $0.name == "requests" && $0.value == "1000 of 1000" })
        #expect(try number(report, "random_router", row: 5, "accuracy") == .ratio(3, 5))
        // 0.5 · 30 / (0.5 · 30 + 0.5 · 10).
        #expect(try number(report, "random_router", row: 5, "token_share") == .ratio(3, 4))
        #expect(try number(report, "random_router", row: 5, "cost") == .whole(860_000))
        // A token share of 1/2 is a request share of 1/4.
        #expect(try number(report, "resource_equivalent", row: 4, "share") == .ratio(1, 4))
        #expect(try number(report, "resource_equivalent", row: 4, "accuracy") == .ratio(11, 20))
        #expect(try number(report, "resource_equivalent", row: 4, "accuracy_equated") == .ratio(3, 5))
        // 0.75 lies above the LLM's 0.7: p* = 0.25 / 0.2; by requests 0.5 + 0.1 · 0.2.
        #expect(try number(report, "measured", row: 0, "matched_share") == .ratio(5, 4))
        #expect(try number(report, "measured", row: 0, "random_by_requests") == .ratio(13, 25))
        // By tokens: p = 0.1·10 / (0.1·10 + 0.9·30) = 1/28.
        #expect(try number(report, "measured", row: 0, "random_by_tokens") == .ratio(1, 2) + .ratio(1, 140))
        #expect(try number(report, "measured", row: 1, "matched_share") == .ratio(1, 2))
        #expect(try number(report, "cost", row: 2, "cost") == .whole(564_000))
        #expect(try number(report, "cascade", row: 0, "accuracy") == .ratio(4, 5))
        // The perfect judge's bill, 920,000, is (920,000 − 120,000) / 1,480,000 = 20/37 of the way.
        #expect(
            try number(report, "cascade", row: 0, "random_accuracy_money") == .ratio(1, 2) + .ratio(4, 37))
        #expect(try number(report, "threshold_router_score", row: 1, "gain") == .ratio(6, 25))
        #expect(try number(report, "groups", row: 9, "requests") == .whole(100))
        #expect(try number(report, "groups", row: 9, "difference") == .ratio(1, 5))
    }

    @Test func `the same table and options give the same report`() throws {
        #expect(
            try PairAnalysis.report(KnownPairs.table(), options()) == PairAnalysis.report(KnownPairs.table(), options())
        )
        var other = options()
        other.bootstrap.seed += 1
        #expect(
            try PairAnalysis.report(KnownPairs.table(), options()) != PairAnalysis.report(KnownPairs.table(), other))
    }

    @Test func `a report of real questions`() throws {
        let table = try PairTable(csv: Data(contentsOf: PairOracleTests.file))
        var options = PairOptions(source: "gsm8k_pairs.csv")
        options.prices = PairPrices(slmInput: 600_000, slmOutput: 600_000, llmInput: 10_000_000, llmOutput: 30_000_000)
        options.scores = [PairOptions.Score(column: "question_tokens", thresholds: [50])]
        options.cluster = .tag("contaminated")
        options.bootstrap.replicates = 200
        options.groupBy = "contaminated"
        let report = try PairAnalysis.report(table, options)
        PairReportTests.expectWellFormed(report)
        #expect(report.warnings.contains { $0.contains("5 verdicts of the SLM and 42 of the LLM") })
        #expect(report.warnings.contains { $0.contains("one cluster holds") })
        // "Strong iff at least 50 tokens", as in the table of off-policy targets.
        let accuracy = try number(report, "threshold_router_question_tokens", row: 0, "accuracy")
        #expect(Decimals.text(accuracy, decimals: 10) == "0.8036391205")
    }

    @Test func `what is missing is said and not made up`() throws {
        let table = try PairTable(csv: "slm_correct,llm_correct\n1,0\n0,1\n".utf8)
        let report = try PairAnalysis.report(table, PairOptions(source: "two"))
        PairReportTests.expectWellFormed(report)
        #expect(
            report.sections.map(\.name) == ["models", "random_router", "oracle_router", "summary_metrics", "cascade"])
        #expect(report.warnings.contains { $0.contains("right equally often") })
        #expect(report.warnings.contains { $0.contains("is noise; there are 2") })
        #expect(throws: SimulationError.self) { try number(report, "cascade", row: 0, "matched_share") }
    }

    @Test func `options that cannot be are refused by name`() throws {
        let table = try KnownPairs.table()
        func field(_ change: (inout PairOptions) -> Void) -> String? {
            var options = PairOptions(source: "known")
            options.bootstrap.replicates = 0
            change(&options)
            let error = #expect(throws: SimulationError.self) { try PairAnalysis.report(table, options) }
            return error?.field
        }
        #expect(field { $0.shares = [.ratio(11, 10)] } == "random_router")
        #expect(field { $0.tokenShares = [.real(.nan)] } == "token_shares")
        #expect(field { $0.judges = [PairOptions.Judge(falseAccept: .whole(-1), falseReject: .zero)] } == "judge")
        #expect(
            field { $0.prices = PairPrices(slmInput: -1, slmOutput: 0, llmInput: 0, llmOutput: 0) } == "prices")
        #expect(field { $0.scores = [PairOptions.Score(column: "score", thresholds: [.nan])] } == "threshold")
        #expect(field { $0.scores = [PairOptions.Score(column: "scor")] } == "score")
        #expect(field { $0.scores = [PairOptions.Score(column: "site")] } == "site")
        #expect(field { $0.bootstrap.replicates = 1_000_001 } == "replicates")
        #expect(field { $0.groupBy = "no" } == "group_by")
        #expect(field { $0.cluster = .tenant } == "cluster")
    }

    @Test func `the paper's report`() throws {
        let report = try PaperAnalysis.report()
        PairReportTests.expectWellFormed(report)
        let claims = try #require(report.sections.first { $0.name == "claims" }?.table)
        #expect(
            claims.rows.map { $0.last } == [
                .text("agrees"), .text("agrees"), .text("agrees"), .text("agrees"), .text("differs"), .text("agrees"),
                .text("agrees"),
            ])
        // 1.07 % is not "less than 1 %".
        #expect(report.warnings.contains { $0.contains("less than 1 %") && $0.contains("1.07") })
        for name in ["row_means", "easy_hard"] {
            let table = try #require(report.sections.first { $0.name == name }?.table)
            let place = try #require(table.columns.firstIndex { $0.name == "agrees" })
            #expect(table.rows.allSatisfy { $0[place] == .text("agrees") }, "\(name)")
        }
    }

    /// Numbers of the definitions (section ii) that `oracles.json` does not have.
    @Test func `what moves the paper's numbers`() throws {
        let paper = try PaperDerivation(PaperData())
        let shares = try paper.aggregations().map { $0.match.share.map { Decimals.text($0, decimals: 6) } }
        #expect(shares == ["0.604131", "0.604448", "0.594376", "0.602480", "0.531059"])
        let last = try #require(try paper.aggregations().last?.reduction)
        #expect(Decimals.text(last * .whole(100), decimals: 2) == "97.99")
        let errors = try paper.data.benchmarks.indices.map {
            Decimals.text(try paper.standardError(paper.relay, benchmark: $0), decimals: 2)
        }
        #expect(errors == ["3.01", "1.74", "0.95", "1.91", "6.08", "6.90"])
        // 49.52 + 1.80 · 1.65/4.30.
        let (middle, longest) = try (paper.data.system("1.7B Fixed-100"), paper.data.system("1.7B Fixed-500"))
        let mixed = try #require(try paper.timeShared(paper.relay, longest, like: middle))
        #expect(Decimals.text(mixed, decimals: 4) == "50.2107")
        // Rows that two tables repeat are the same.
        for row in paper.data.ablations where row.table == "5" {
            let name = row.name == "RelayLLM" ? "1.7B RelayLLM-Difficulty" : row.title
            let other = try paper.data.system(name)
            #expect(row.average == other.average && row.callRatio == other.callRatio, "\(row.name)")
        }
    }
}
