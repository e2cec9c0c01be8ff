/// What follows from two models' answers to the same questions.
package enum PairAnalysis {
    /// Every number is exact for these questions; intervals say how sure they make us of others.
    ///
    /// Throws `SimulationError` for options that cannot be, such as shares above 1 or columns that are not there.
    package static func report(_ table: PairTable, _ options: PairOptions) throws(SimulationError) -> Report {
        try options.validate()
        let context = try PairContext(table, options)
        var report = Report(title: "Two models on the same questions")
        report.coverage = coverage(context)
        report.exclusions = table.missing.map {
            Report.Exclusion("the field \($0.column) is empty", requests: $0.requests)
        }
        report.definitions = definitions(context)
        report.warnings = try context.warnings()
        report.sections = [context.models, context.randomRouter, context.oracleRouter, context.summary]
        if let tokens = context.resourceEquivalent { report.sections.append(tokens) }
        if let measured = context.measured { report.sections.append(measured) }
        report.sections += context.costSections
        report.sections.append(context.cascade)
        report.sections += context.thresholds()
        let held = try context.heldOut()
        if let held {
            report.sections.append(held.section)
            report.exclusions += held.exclusions
            report.coverage.append((name: "split", value: held.coverage))
            report.warnings += held.table.warnings + held.warnings
        }
        if let scores = context.routerScores(held?.table) { report.sections.append(scores) }
        if let noise = context.labelNoise { report.sections.append(noise) }
        if let groups = try context.groups() { report.sections.append(groups) }
        return report
    }

    private static func coverage(_ context: PairContext) -> [(name: String, value: String)] {
        let table = context.table
        let left = table.missing.reduce(0) { $0 + $1.requests }
        let roles = PairColumns.Role.allCases.compactMap { role in
            table.roles[role].map { "\(role.rawValue) = \($0)" }
        }
        var coverage = [
            (name: "source", value: context.options.source),
            (name: "requests", value: "\(table.rows.count) of \(table.rows.count + left)"),
            (name: "columns", value: roles.joined(separator: ", ")),
            (name: "intervals", value: context.intervalMethod),
        ]
        if let prices = context.options.prices {
            func text(_ pico: Int) -> String { Decimals.text(.ratio(Int128(pico), 1_000_000), decimals: 2) }
            coverage.append(
                (
                    name: "prices, $ for a million tokens",
                    value: "SLM \(text(prices.slmInput)) in, \(text(prices.slmOutput)) out; "
                        + "LLM \(text(prices.llmInput)) in, \(text(prices.llmOutput)) out; no cache"
                ))
        }
        return coverage
    }

    private static func definitions(_ context: PairContext) -> [Report.Definition] {
        var definitions = [
            MetricDefinitions.randomRouter, MetricDefinitions.coin, MetricDefinitions.fixed, MetricDefinitions.oracle,
            MetricDefinitions.apgr, MetricDefinitions.cpt, MetricDefinitions.cascade, MetricDefinitions.wilson,
            MetricDefinitions.mcnemar, MetricDefinitions.bootstrap,
        ]
        if context.table.hasTokens {
            definitions += [MetricDefinitions.tokenShare, MetricDefinitions.resourceEquivalent]
        }
        if !context.options.measured.isEmpty {
            definitions += [MetricDefinitions.matched, MetricDefinitions.reduction]
        }
        if context.costs != nil {
            definitions += [MetricDefinitions.aiq, MetricDefinitions.cheapestCorrect] + MetricDefinitions.routerScores
        }
        if !context.options.scores.isEmpty { definitions.append(MetricDefinitions.threshold) }
        if !context.options.chosen.isEmpty { definitions += MetricDefinitions.chosenThreshold }
        return definitions
    }
}
