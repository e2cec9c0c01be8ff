/// Sections that need further columns of the table.
extension PairContext {
    func thresholds() -> [Section] {
        var sections: [Section] = []
        for (score, part) in zip(options.scores, scoreParts) { sections.append(threshold(score, part)) }
        return sections
    }

    /// All rows by a score, which each must have.
    static func part(
        _ table: PairTable, _ column: String, _ costs: PairCosts?
    ) throws(SimulationError) -> ScoredPart {
        var scored: [(score: Double, sums: ScoreSums)] = []
        for (index, text) in try table.column(column, for: "score").enumerated() {
            guard let score = try score(text, column, line: table.rows[index].line) else {
                throw SimulationError(
                    .data, column, "line \(table.rows[index].line): is empty; a score is needed in every row")
            }
            scored.append((score, sums(table, index, costs)))
        }
        return ScoredPart(rows: scored)
    }

    /// One row, as a threshold counts it.
    static func sums(_ table: PairTable, _ index: Int, _ costs: PairCosts?) -> ScoreSums {
        let (row, entry) = (table.rows[index], costs?.entries[index])
        return ScoreSums(slm: (row.slmCorrect, entry?.slm ?? 0), llm: (row.llmCorrect, entry?.llm ?? 0))
    }

    private func threshold(_ score: PairOptions.Score, _ part: ScoredPart) -> Section {
        let points = score.thresholds.isEmpty ? part.deciles : score.thresholds.map { part.routed($0) }
        let rows: [[Table.Cell]] = points.map { point in
            let share = point.share ?? .zero
            let random = RandomRouter.accuracy(counts, share: share) ?? .zero
            let accuracy = point.accuracy ?? .zero
            return [
                .threshold(point.threshold),
                .exact(share, .share), .exact(accuracy, .share), .exact(random, .share),
                .exact(accuracy - random, .share),
            ]
        }
        let curve = part.curve
        func text(_ number: Number?) -> String { number.map { Decimals.text($0, decimals: 10) } ?? "undefined" }
        let crossings = options.gapParts.map {
            "CPT(\(Decimals.text($0 * .whole(100), decimals: 0)) %) "
                + text(curve.costOfGapRecovered($0, slm: slm, llm: llm))
        }
        return Section(
            name: "threshold_router_" + PairContext.identifier(score.column),
            title: "Threshold router on \(score.column)",
            notes: [
                "over all \(part.points.count) thresholds: APGR "
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
