import Testing

@testable import Simulator

@Suite struct SummaryRowsTests {
    @Test func `published rows are compared as the paper's are`() throws {
        let csv = """
            system,accuracy_percent,slm_accuracy_percent,llm_accuracy_percent,call_ratio_percent
            RelayLLM,49.52,42.50,54.12,1.07
            GRPO,44.06,42.50,54.12,
            better,60,42.50,54.12,5
            """
        let rows = try SummaryRows(csv: csv.utf8)
        let relay = rows.rows[0].comparison
        // 42.50 + 0.0107 · 11.62 = 42.624334; 7.02 / 11.62; 1 − 0.0107 / 0.6041308090.
        #expect(relay.resourceEquivalent.map { Decimals.text($0, decimals: 6) } == "42.624334")
        #expect(relay.match.share == .ratio(351, 581))
        #expect(relay.reduction.map { Decimals.text($0, decimals: 10) } == "0.9822886040")
        #expect(rows.rows[1].comparison.reduction == nil)
        #expect(rows.rows[2].comparison.match.status == "no_solution_above_llm")
        PairReportTests.expectWellFormed(rows.report(source: "rows.csv"))
        let shares = try SummaryRows(
            csv: "system,accuracy,slm_accuracy,llm_accuracy,call_ratio\nRelayLLM,0.4952,0.4250,0.5412,0.0107\n".utf8)
        #expect(shares.rows[0].comparison.match == relay.match)
        #expect(shares.rows[0].comparison.reduction == relay.reduction)
    }

    /// p* = (0.55 − 0.6) / (0.5 − 0.6): a router that gives the worse model less than a half saves nothing.
    @Test func `against a worse LLM there is no reduction`() throws {
        let rows = try SummaryRows(
            csv: "system,accuracy,slm_accuracy,llm_accuracy,call_ratio\nx,0.55,0.6,0.5,0.03\n".utf8)
        #expect(rows.rows[0].comparison.match.share == .ratio(1, 2))
        #expect(rows.rows[0].comparison.match.status == "llm_worse")
        #expect(rows.rows[0].comparison.reduction == nil)
    }

    @Test(
        arguments: [
            ("", nil, "the file is empty"),
            ("system,accuracy\nx,1\n", "slm_accuracy", "there is no such column"),
            ("system,accuracy,slm_accuracy,llm_accuracy,call_ratio\n", nil, "no rows"),
            ("system,accuracy,slm_accuracy,llm_accuracy,call_ratio\nx,1\n", nil, "line 2 has 2 fields"),
            (
                "system,accuracy,slm_accuracy,llm_accuracy,call_ratio\nx,49,0,1,0\n", "accuracy",
                "line 2: \"49\" is no number"
            ),
            (
                "system,accuracy,slm_accuracy,llm_accuracy,call_ratio\nx,,0,1,0\n", "accuracy",
                "line 2: \"\" is no number"
            ),
        ] as [(String, String?, String)])
    func `a bad file is refused by line and column`(_ csv: String, _ field: String?, _ says: String) {
        let error = #expect(throws: SimulationError.self) { try SummaryRows(csv: csv.utf8) }
        #expect(error?.field == field)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "none")")
    }
}
