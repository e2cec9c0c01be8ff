/// Sections about money, and about asking twice.
extension PairContext {
    var costSections: [Section] {
        guard let costs else { return [] }
        return [bills(costs), frontier(costs)]
    }

    private func bills(_ costs: PairCosts) -> Section {
        let union = counts.union
        let perfect = costs.cascade(falseAccept: .zero, falseReject: .zero)
        func row(_ name: String, _ accuracy: Number?, _ cost: Number) -> [Table.Cell] {
            [
                .text(name), .exact(accuracy, .share), .exact(cost, .picoDollars),
                .exact(cost.divided(by: .whole(costs.llmTotal)), .ratio),
            ]
        }
        let rows = [
            row("SLM only", slm, .whole(costs.slmTotal)), row("LLM only", llm, .whole(costs.llmTotal)),
            row("cheapest correct, LLMRouterBench's rule", union, .whole(costs.cheapestCorrect(payingForWrong: true))),
            row("cheapest correct, RouterBench's rule", union, .whole(costs.cheapestCorrect(payingForWrong: false))),
            row("cascade with a perfect judge", perfect.accuracy, perfect.cost),
        ]
        let segment = QualityCurve([
            QualityCurve.Point(cost: .whole(costs.slmTotal), accuracy: slm),
            QualityCurve.Point(cost: .whole(costs.llmTotal), accuracy: llm),
        ])
        func text(_ number: Number?) -> String { number.map { Decimals.text($0, decimals: 10) } ?? "undefined" }
        return Section(
            name: "cost", title: "What they cost",
            notes: [
                "AIQ of the random router between the models: \(text(segment.averageQuality)) by RouterBench's formula, "
                    + "\(text(segment.averageQualityOverDearest)) as its code has it",
                "cheapest correct and a perfect judge know which answers are right: they bound, they do not predict",
            ],
            table: Table(
                columns: [
                    Table.Column("policy", "policy"), Table.Column("accuracy", "accuracy", decimals: 10),
                    Table.Column("cost", "cost, $", decimals: 6),
                    Table.Column("cost_share", "of the LLM's bill", decimals: 12),
                ], rows: rows))
    }

    private func frontier(_ costs: PairCosts) -> Section {
        let points = costs.frontier(shares: options.shares)
        let rows: [[Table.Cell]] = zip(options.shares, points).map { share, point in
            [
                .exact(share, .share), .count(point.fixed, .requests), .exact(point.accuracy, .share),
                .exact(.whole(point.cost), .picoDollars),
                .exact(RandomRouter.accuracy(counts, share: share), .share),
            ]
        }
        func dollars(_ pico: Int128) -> Number { .real(Double(pico) * 1e-12) }
        let ends = QualityCurve([
            QualityCurve.Point(cost: dollars(costs.slmTotal), accuracy: slm),
            QualityCurve.Point(cost: dollars(costs.llmTotal), accuracy: llm),
        ])
        let oracle = QualityCurve(points.map { QualityCurve.Point(cost: dollars($0.cost), accuracy: $0.accuracy) })
        let judged = options.judges.map { judge in
            let cascade = costs.cascade(falseAccept: judge.falseAccept, falseReject: judge.falseReject)
            return Plot.Point(
                x: cascade.cost.double * 1e-12, y: cascade.accuracy.double,
                label: Decimals.text(judge.falseAccept, decimals: 2))
        }
        return Section(
            name: "money_frontier", title: "The oracle that knows prices",
            notes: [
                "of what the LLM's bill is above the SLM's, the share x is spent on requests that only the LLM gets "
                    + "right, cheapest first; matched: money"
            ],
            table: Table(
                columns: [
                    Table.Column("extra_share", "x", decimals: 4), Table.Column("fixed", "requests sent"),
                    Table.Column("accuracy", "accuracy", decimals: 10),
                    Table.Column("cost", "cost, $", decimals: 6),
                    Table.Column("random_accuracy", "random router for x", decimals: 10),
                ], rows: rows),
            plot: Plot(
                xTitle: "cost, $", yTitle: "accuracy",
                series: [
                    Plot.Series("random router", .dashedLine, ends),
                    Plot.Series("hull of the models", .line, ends.hull),
                    Plot.Series("oracle that knows prices", .steps, oracle),
                    Plot.Series("cascade, by judge's error", .points, judged),
                ]))
    }

    var cascade: Section {
        let costs = self.costs ?? PairCosts(countingCalls: table)
        let hasMoney = self.costs != nil
        let isPerfect = options.judges.contains { $0.falseAccept.reduced == .zero && $0.falseReject.reduced == .zero }
        let rows: [[Table.Cell]] = options.judges.map { judge in
            let cascade = costs.cascade(falseAccept: judge.falseAccept, falseReject: judge.falseReject)
            let share = cascade.llmCalls.divided(by: .whole(Int128(counts.requests)))
            let comparison = RouterComparison(accuracy: cascade.accuracy, slm: slm, llm: llm, llmShare: share)
            return [
                .exact(judge.falseAccept, .share), .exact(judge.falseReject, .share),
                .exact(cascade.accuracy, .share), .exact(cascade.llmCalls, .calls), .exact(share, .share),
                hasMoney ? .exact(cascade.cost, .picoDollars) : .none,
                .exact(comparison.resourceEquivalent, .share), hasMoney ? atCost(cascade.cost, costs) : .none,
                .share(comparison.match), .status(comparison.match),
            ]
        }
        return Section(
            name: "cascade", title: "SLM first, then the LLM when a judge says wrong",
            notes: [
                "expected values; the judge errs independently with these rates and costs nothing here",
                "random routers: one with the same share of requests for the LLM, one with the same bill",
            ]
                + (isPerfect
                    ? ["a judge that never errs knows what no judge knows: it bounds, it does not predict"] : []),
            table: Table(
                columns: [
                    Table.Column("false_accept", "accepts wrong", decimals: 4),
                    Table.Column("false_reject", "rejects right", decimals: 4),
                    Table.Column("accuracy", "expected accuracy", decimals: 10),
                    Table.Column("llm_calls", "LLM calls", decimals: 2),
                    Table.Column("share", "of requests", decimals: 10),
                    Table.Column("cost", "expected cost, $", decimals: 6),
                    Table.Column("random_accuracy", "random router, same requests", decimals: 10),
                    Table.Column("random_accuracy_money", "random router, same money", decimals: 10),
                    Table.Column("matched_share", "p*", decimals: 10), Table.Column("status", "case"),
                ], rows: rows))
    }

    /// The accuracy of the random router with this bill. One that costs more than either model has none.
    private func atCost(_ cost: Number, _ costs: PairCosts) -> Table.Cell {
        let share = MatchedCost.requestShare(
            cost: cost, slmCost: .whole(costs.slmTotal), llmCost: .whole(costs.llmTotal))
        guard let share, share >= .zero, share <= .one else {
            return .finding(.unknown(.share, reason: "no random router has this bill"))
        }
        return .exact(RandomRouter.accuracy(counts, share: share), .share)
    }
}
