/// Sections about accuracy.
extension PaperDerivation {
    func claimsSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for claim in data.claims {
            let unit: Unit = claim.unit == "ratio" ? .ratio : .percentagePoints
            let derived = try derived(claim)
            let rule =
                switch claim.rule {
                case .equals: ""
                case .below: "below "
                case .above: "above "
                }
            rows.append([
                .text(claim.claim), .text(claim.section), .text(rule + claim.published.text),
                .exact(derived, unit), derived.map { .text(PaperDerivation.verdict(claim.agrees($0))) } ?? .none,
            ])
        }
        return Section(
            name: "claims", title: "What the text says",
            notes: ["agrees: the derived number rounds to the last published digit, or lies on the side that is said"],
            table: Table(
                columns: [
                    Table.Column("claim", "claim"), Table.Column("section", "section"),
                    Table.Column("published", "published"), Table.Column("derived", "derived", decimals: 6),
                    Table.Column("agrees", ""),
                ], rows: rows))
    }

    func rowMeansSection() -> Section {
        let rows: [[Table.Cell]] = data.mathematics.map { system in
            let mean = rowMean(system)
            let cells = fractionless(system).map(\.title).joined(separator: " ")
            return [
                .text(system.title), .text(system.table), .exact(system.average?.number, .percentagePoints),
                .exact(mean, .percentagePoints),
                .exact(system.average.map { mean - $0.number }, .percentagePoints),
                system.average.map { .text(PaperDerivation.verdict($0.agrees(mean))) } ?? .none,
                cells.isEmpty ? .none : .text(cells),
            ]
        }
        return Section(
            name: "row_means", title: "Means of the rows",
            notes: [
                "a cell that is no k/n for the benchmark's n answers is a mean of several runs or of another sample"
            ],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("paper_table", "table"),
                    Table.Column("published", "published", decimals: 2),
                    Table.Column("derived", "mean of the row", decimals: 6),
                    Table.Column("difference", "difference", decimals: 6), Table.Column("agrees", ""),
                    Table.Column("not_k_over_n", "cells that are no k/n"),
                ], rows: rows))
    }

    func headlineSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for system in systems {
            rows.append(
                [.text(system.title), .exact(percent(system), .percentagePoints)]
                    + (try comparison(system)).cells(unit: .percentagePoints))
        }
        return Section(
            name: "headline", title: "Six benchmarks of mathematics",
            notes: ["matched: LLM-generated tokens; a router's share of requests stands for its share of tokens"],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("call_ratio", "call ratio, %", decimals: 2),
                ] + RouterComparison.columns(accuracyDecimals: 2), rows: rows),
            plot: try headlinePlot())
    }

    /// Call ratios above those of the systems are left out: the LLM stands at 100 %.
    private func headlinePlot() throws(SimulationError) -> Plot {
        var series: [Plot.Series] = []
        for slm in ["1.7B", "0.6B"] {
            let base = try data.system(slm + " Base")
            let measured = systems.filter { $0.slm == slm && $0.callRatio != nil }
            let origin = QualityCurve.Point(cost: .zero, accuracy: try published(base))
            var points = [origin]
            for system in measured {
                points.append(
                    QualityCurve.Point(cost: percent(system) ?? .zero, accuracy: try published(system)))
            }
            let curve = QualityCurve(points)
            let end = curve.points.last?.cost ?? .zero
            let slope = try published(llm) - origin.accuracy
            let random = QualityCurve([
                origin, QualityCurve.Point(cost: end, accuracy: origin.accuracy + end * slope * .ratio(1, 100)),
            ])
            series += [
                Plot.Series("random router, \(slm)", .dashedLine, random),
                Plot.Series("hull, \(slm)", .line, curve.hull),
                Plot.Series(
                    slm, .points,
                    zip(measured, points.dropFirst()).map { Plot.Point($1.cost, $1.accuracy, label: $0.name) }),
            ]
        }
        return Plot(xTitle: "call ratio, %", yTitle: "accuracy, %", series: series)
    }

    func benchmarksSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for system in systems {
            for (index, benchmark) in data.benchmarks.enumerated() {
                let comparison = try comparison(system, benchmark: index)
                rows.append([.text(system.title), .text(benchmark.title)] + comparison.cells(unit: .percentagePoints))
            }
        }
        return Section(
            name: "benchmarks", title: "Benchmark by benchmark",
            notes: [
                "call ratios of single benchmarks are unpublished; the average stands in, so that the random router, "
                    + "the gain and the reduction are approximations; p* is not"
            ],
            table: Table(
                columns: [Table.Column("system", "system"), Table.Column("benchmark", "benchmark")]
                    + RouterComparison.columns(accuracyDecimals: 2), rows: rows))
    }

    func benchmarkBars(_ title: String, name: String) throws(SimulationError) -> Section {
        let system = try data.system(title)
        var comparisons: [RouterComparison] = []
        for index in data.benchmarks.indices { comparisons.append(try comparison(system, benchmark: index)) }
        func bars(_ name: String, _ number: (RouterComparison) -> Number?) -> Plot.Series {
            Plot.Series(
                name, .bars,
                comparisons.enumerated().compactMap { index, comparison in
                    number(comparison).map { Plot.Point(x: Double(index), y: $0.double) }
                })
        }
        return Section(
            name: name, title: title,
            plot: Plot(
                xTitle: "benchmark", yTitle: "accuracy, %", categories: data.benchmarks.map(\.title),
                series: [
                    bars("SLM", { $0.slm }), bars("random at the call ratio", { $0.resourceEquivalent }),
                    bars(system.name, { $0.accuracy }), bars("LLM", { $0.llm }),
                ]))
    }

    func domainsSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for system in data.domains where system.name != "Base" && system.name != "LLM" {
            for (index, title) in data.domainTitles.enumerated() {
                let comparison = try domainComparison(system, domain: index)
                rows.append([
                    .text(system.title), .text(title), .exact(comparison.slm, .percentagePoints),
                    .exact(comparison.accuracy, .percentagePoints), .exact(comparison.llm, .percentagePoints),
                    .share(comparison.match), .status(comparison.match),
                ])
            }
        }
        return Section(
            name: "domains", title: "Other domains",
            notes: ["no call ratios are published, so nothing can be said at matched cost"],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("benchmark", "benchmark"),
                    Table.Column("slm", "SLM", decimals: 2), Table.Column("accuracy", "accuracy", decimals: 2),
                    Table.Column("llm", "LLM", decimals: 2),
                    Table.Column("matched_share", "p*", decimals: 10), Table.Column("status", "case"),
                ], rows: rows))
    }

    /// The call ratio in percent.
    func percent(_ system: PaperData.System) -> Number? { system.callRatio.map { $0 * .whole(100) } }

    static func verdict(_ agrees: Bool) -> String { agrees ? "agrees" : "differs" }
}
