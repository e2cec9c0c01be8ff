/// Sections that need further columns of the table.
extension PairContext {
    func thresholds() throws(SimulationError) -> [Section] {
        var sections: [Section] = []
        for score in options.scores { sections.append(try threshold(score)) }
        return sections
    }

    private func threshold(_ score: PairOptions.Score) throws(SimulationError) -> Section {
        var scores: [Double] = []
        for (text, row) in zip(try table.column(score.column, for: "score"), table.rows) {
            guard let value = Decimals.double(text) else {
                throw SimulationError(
                    .data, score.column,
                    "line \(row.line): \"\(text.prefix(40))\" is no number; a score is needed in every row")
            }
            scores.append(value)
        }
        let router = ThresholdRouter(
            scores: scores, verdicts: table.rows.map { ($0.slmCorrect, $0.llmCorrect) })
        // A threshold that is given is printed as it is, not as the next score above it: on other requests they differ.
        let points =
            score.thresholds.isEmpty
            ? router.deciles
            : score.thresholds.compactMap { threshold in
                router.point(threshold: threshold).map { point in
                    var point = point
                    point.threshold = threshold
                    return point
                }
            }
        let rows: [[Table.Cell]] = points.map { point in
            let share = router.share(point) ?? .zero
            let random = RandomRouter.accuracy(counts, share: share) ?? .zero
            let accuracy = router.accuracy(point) ?? .zero
            return [
                .threshold(point.threshold),
                .exact(share, .share), .exact(accuracy, .share), .exact(random, .share),
                .exact(accuracy - random, .share),
            ]
        }
        let curve = router.curve
        func text(_ number: Number?) -> String { number.map { Decimals.text($0, decimals: 10) } ?? "undefined" }
        let crossings = options.gapParts.map {
            "CPT(\(Decimals.text($0 * .whole(100), decimals: 0)) %) "
                + text(curve.costOfGapRecovered($0, slm: slm, llm: llm))
        }
        return Section(
            name: "threshold_router_" + PairContext.identifier(score.column),
            title: "Threshold router on \(score.column)",
            notes: [
                "over all \(router.points.count) thresholds: APGR "
                    + text(curve.averageGapRecovered(slm: slm, llm: llm)) + ", " + crossings.joined(separator: ", "),
                "matched: requests that the LLM answers",
            ],
            table: Table(
                columns: [
                    Table.Column("threshold", "threshold"),
                    Table.Column("share", "share of requests", decimals: 10),
                    Table.Column("accuracy", "accuracy", decimals: 10),
                    Table.Column("random_accuracy", "random router", decimals: 10),
                    Table.Column("gain", "gain", decimals: 10),
                ], rows: rows),
            plot: Plot(
                xTitle: "share of requests to the LLM", yTitle: "accuracy",
                series: [
                    Plot.Series(
                        "random router", .dashedLine,
                        OracleRouter.curve([.zero, .one]) { RandomRouter.accuracy(counts, share: $0) }),
                    Plot.Series("threshold on \(score.column)", .line, curve),
                    Plot.Series("hull", .line, curve.hull),
                ]))
    }

    var labelNoise: Section? {
        guard let noise = table.labelNoise else { return nil }
        func row(_ name: String, _ strict: Number?, _ lenient: Number?, changes: Int?) -> [Table.Cell] {
            [
                .text(name), .exact(strict, .share), .exact(lenient, .share),
                changes.map { .count($0, .requests) } ?? .none,
            ]
        }
        return Section(
            name: "label_noise", title: "The same answers judged by another rule",
            table: Table(
                columns: [
                    Table.Column("model", "model"),
                    Table.Column("accuracy", "accuracy", decimals: 10),
                    Table.Column("accuracy_lenient", "by the second rule", decimals: 10),
                    Table.Column("changes", "verdicts that change"),
                ],
                rows: [
                    row("SLM", noise.strict.slmAccuracy, noise.lenient.slmAccuracy, changes: noise.slmChanges),
                    row("LLM", noise.strict.llmAccuracy, noise.lenient.llmAccuracy, changes: noise.llmChanges),
                    row("LLM − SLM", noise.strict.difference, noise.lenient.difference, changes: nil),
                ]))
    }

    func groups() throws(SimulationError) -> Section? {
        guard let name = options.groupBy else { return nil }
        var groups: [String: PairCounts] = [:]
        for (value, row) in zip(try table.column(name, for: "group_by"), table.rows) {
            groups[value, default: PairCounts()].add(slm: row.slmCorrect, llm: row.llmCorrect)
        }
        let names = groups.keys.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
        let level = options.bootstrap.level
        let rows: [[Table.Cell]] = names.compactMap { name in
            guard let counts = groups[name], let slm = counts.slmAccuracy, let llm = counts.llmAccuracy else {
                return nil
            }
            func wilson(_ correct: Int) -> Interval? {
                Statistics.wilson(successes: correct, trials: counts.requests, level: level)
            }
            return [
                .text(name), .count(counts.requests, .requests),
                .exact(slm, .share, interval: wilson(counts.slmCorrect)),
                .exact(llm, .share, interval: wilson(counts.llmCorrect)), .exact(llm - slm, .share),
                .exact(counts.union, .share),
            ]
        }
        func bars(_ title: String, _ accuracy: (PairCounts) -> Number?) -> Plot.Series {
            Plot.Series(
                title, .bars,
                names.enumerated().compactMap { index, name in
                    groups[name].flatMap(accuracy).map { Plot.Point(x: Double(index), y: $0.double) }
                })
        }
        return Section(
            name: "groups", title: "By \(name)",
            notes: ["intervals of single groups: Wilson; many groups make some differences look large by chance"],
            table: Table(
                columns: [
                    Table.Column("group", name), Table.Column("requests", "requests"),
                    Table.Column("slm_accuracy", "SLM", decimals: 6),
                    Table.Column("llm_accuracy", "LLM", decimals: 6),
                    Table.Column("difference", "LLM − SLM", decimals: 6),
                    Table.Column("union", "either", decimals: 6),
                ], rows: rows),
            plot: Plot(
                xTitle: name, yTitle: "accuracy", categories: names,
                series: [bars("SLM", { $0.slmAccuracy }), bars("LLM", { $0.llmAccuracy })]))
    }

    /// Lower-case letters, digits and underscores.
    private static func identifier(_ name: String) -> String {
        String(
            name.lowercased().unicodeScalars.map { scalar in
                scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                    ? Character(scalar) : "_"
            })
    }
}
