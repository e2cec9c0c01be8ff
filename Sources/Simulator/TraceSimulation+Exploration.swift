/// Estimates where the log drew its policy, or ran models beside it.
extension TraceSimulation {
    var isExplored: Bool {
        exploration.estimates.contains { $0.count > 0 } || exploration.slm.sampled + exploration.llm.sampled > 0
    }

    /// Requests that could have told something and are in no estimate.
    var explorationExclusions: [Report.Exclusion] {
        guard isExplored else { return [] }
        return [
            ("with a propensity and no verdict: in no off-policy estimate from propensities", exploration.unjudged),
            (
                "with a run of the SLM beside them that nobody judged: in no estimate from shadow runs",
                exploration.slm.unjudged
            ),
            (
                "with a run of the LLM beside them that nobody judged: in no estimate from shadow runs",
                exploration.llm.unjudged
            ),
        ].filter { $0.1 > 0 }.map { Report.Exclusion($0.0, requests: $0.1) }
    }

    var explorationSection: Section? {
        guard isExplored else { return nil }
        let sums = exploration
        var table = Table(columns: [
            Table.Column("target", "policy"), Table.Column("estimator", "estimator"),
            Table.Column("accuracy", "accuracy", decimals: 4), Table.Column("sample", "requests"),
            Table.Column("effective", "effective sample", decimals: 1),
            Table.Column("weight", "largest weight", decimals: 2),
            Table.Column("mean_weight", "mean weight", decimals: 4), Table.Column("note", "note"),
        ])
        for index in sums.targets.indices where sums.estimates[index].count > 0 { explain(index, &table) }
        for (name, shadow) in [("SLM only", sums.slm), ("LLM only", sums.llm)] { explain(name, shadow, &table) }
        return Section(
            name: "off_policy", title: "Off-policy estimates",
            notes: ["Estimates, not bounds: right on average if the logged probabilities are."], table: table)
    }

    /// From shadow runs.
    private func explain(_ name: String, _ shadow: ShadowSums, _ table: inout Table) {
        if let reason = shadow.refusal {
            table.rows.append([
                .text(name), .text("Horvitz-Thompson"), .finding(.unknown(.share, reason: reason)),
                .count(shadow.sampled, .requests), .none, .none, .none, .text(reason),
            ])
        }
        guard let estimate = shadow.horvitzThompson else { return }
        let interval = estimate.standardError.map {
            Statistics.normal(mean: .real(estimate.value), standardError: $0, of: "design")
        }
        let unjudged =
            shadow.unjudged > 0
            ? "too low: \(shadow.unjudged) shadow runs that nobody judged count as not drawn; Hájek leaves them out"
            : ""
        for (estimator, value, interval, note) in [
            ("Horvitz-Thompson", Number.real(estimate.value), interval, unjudged),
            ("Hájek", shadow.hajek ?? .zero, nil, ""),
        ] {
            table.rows.append([
                .text(name), .text(estimator),
                .finding(.estimated(value, .share, estimator: estimator + " on shadow runs", interval: interval)),
                .count(shadow.sampled, .requests), .none, .none, .none, .text(note),
            ])
        }
    }

    /// With the verdicts of shadow runs as its model of values: one mean for each model.
    private func robust(_ index: Int) -> Finding {
        let sums = exploration
        let missing = [("SLM", sums.slm), ("LLM", sums.llm)].filter { $0.1.hajek == nil }.map(\.0)
        guard let slm = sums.slm.hajek?.double, let llm = sums.llm.hajek?.double,
            let estimate = sums.robust[index].estimate(slm: slm, llm: llm)
        else {
            return .unknown(
                .share,
                reason:
                    "no verdicts of shadow runs (counterfactual) of the \(missing.joined(separator: " and the ")) to "
                    + "take as a model of values")
        }
        let means = [slm, llm].map { Decimals.text($0, decimals: 4) }
        return .estimated(
            .real(estimate.value), .share,
            estimator: "doubly robust, with the means of shadow runs (Hájek) as the model of values: SLM \(means[0]), "
                + "LLM \(means[1])",
            interval: estimate.standardError.map {
                Statistics.normal(mean: .real(estimate.value), standardError: $0, of: "weighted terms")
            })
    }

    /// From logged propensities.
    private func explain(_ index: Int, _ table: inout Table) {
        let target = exploration.targets[index]
        let sums = exploration.estimates[index]
        func refuse(_ reason: String) {
            table.rows.append([
                .text(target.name), .text("IPS"), .finding(.unknown(.share, reason: reason)),
                .count(sums.count, .requests), .none, .none, .none, .text(reason),
            ])
        }
        if let reason = exploration.support[index].refusal { return refuse(reason) }
        do throws(OffPolicyEstimates.Refusal) {
            let estimates = try OffPolicyEstimates(sums)
            let warning = estimates.warnings.joined(separator: "; ")
            func plain(_ value: Double, _ name: String) -> (String, Finding) {
                (name, .estimated(.real(value), .share, estimator: name))
            }
            for (name, finding) in [
                plain(estimates.ips.value, "IPS"), plain(estimates.snips.value, "SNIPS"),
                plain(estimates.clipped, "IPS clipped at 5"), ("doubly robust", robust(index)),
            ] {
                table.rows.append([
                    .text(target.name), .text(name), .finding(finding),
                    .count(sums.count, .requests), .exact(.real(estimates.effectiveSampleSize), .requests),
                    .exact(.real(estimates.maximumWeight), .ratio), .exact(.real(estimates.meanWeight.value), .ratio),
                    .text(warning),
                ])
            }
        } catch {
            refuse(error.description)
        }
    }
}
