/// The paper's numbers beside what follows from its own tables.
package enum PaperAnalysis {
    /// Derived from the tables that the program carries (`Simulations/paper`); nothing is read.
    package static func report() throws(SimulationError) -> Report {
        let paper = try PaperDerivation(PaperData())
        var report = Report(title: "RelayLLM: published and derived")
        report.coverage = [
            (
                name: "source",
                value: "Tables 1 to 6 of \"RelayLLM: Efficient Reasoning via Collaborative Decoding\" (Huang et al.)"
            ),
            (
                name: "rows",
                value: "\(paper.data.mathematics.count) of mathematics, \(paper.data.domains.count) of others"
            ),
            (
                name: "arithmetic",
                value: "exact; half is rounded away from zero; intervals need answers, none are published"
            ),
        ]
        report.definitions = [
            Report.Definition("call ratio", "LLM-generated tokens / all generated tokens, as published (paper, 3.2.3)"),
            MetricDefinitions.randomRouter, MetricDefinitions.resourceEquivalent, MetricDefinitions.matched,
            MetricDefinitions.reduction, MetricDefinitions.timeShare, MetricDefinitions.activatedParameters,
        ]
        report.warnings = try warnings(paper)
        report.sections = try [
            paper.claimsSection(), paper.rowMeansSection(), paper.headlineSection(), paper.benchmarksSection(),
            paper.benchmarkBars("1.7B RelayLLM-Difficulty", name: "benchmarks_1_7b"),
            paper.benchmarkBars("0.6B RelayLLM-Difficulty", name: "benchmarks_0_6b"),
            paper.domainsSection(), paper.fixedLengthSection(), paper.ablationsSection(), paper.easyHardSection(),
            paper.trainedBaselineSection(), paper.costModelsSection(), paper.billsSection(),
            paper.aggregationSection(), paper.samplingSection(),
        ]
        return report
    }

    private static func warnings(_ paper: PaperDerivation) throws(SimulationError) -> [String] {
        let matches = try paper.aggregations().compactMap { $0.match.share }
        let low = matches.min { $0 < $1 } ?? .zero
        let high = matches.max { $0 < $1 } ?? .zero
        var warnings = [
            "98.2 % counts LLM-generated tokens against a router matched on average accuracy over six benchmarks; it "
                + "is not money (sections cost_models and bills)",
            "the call ratio is a share of tokens and p* a share of requests; the paper equates them, which holds only "
                + "when both models' answers are equally long",
            "how benchmarks are averaged moves p* from \(Decimals.text(low, decimals: 2)) to "
                + "\(Decimals.text(high, decimals: 2)) on the paper's own numbers (section aggregation)",
            "the random router's SLM is the untrained base model; against the trained one without its teacher the gain "
                + "is smaller (section trained_baseline)",
            "call ratios of single benchmarks are unpublished; the average stands in for them",
            "p* above the LLM or below the SLM is a result: no random router is so good, or so bad",
            "systems with fixed lengths were retrained; they do not say what RelayLLM would do with that length",
            "answers that the first judge called wrong were judged again, and only those, which can only raise accuracy",
        ]
        for claim in paper.data.claims {
            guard let derived = try paper.derived(claim), !claim.agrees(derived) else { continue }
            warnings.append(
                "section \(claim.section) says \"\(claim.claim)\"; derived: "
                    + Decimals.text(derived, decimals: claim.published.decimals + 2))
        }
        return warnings
    }
}
