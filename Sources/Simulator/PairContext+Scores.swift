/// CostSave and RouterArena's score, where prices are given.
extension PairContext {
    /// Nil without prices.
    ///
    /// - Parameter heldOut: thresholds that were chosen on other rows.
    func routerScores(_ heldOut: HeldOutTable?) -> Section? {
        guard let costs else { return nil }
        let thousand = Number.quotient(1000, Int128(counts.requests)) ?? .zero
        func bill(_ accuracy: Number?, _ cost: Number) -> RouterScore.Bill? {
            accuracy.map { RouterScore.Bill(accuracy: $0, cost: cost * thousand) }
        }
        let alone = [bill(slm, .whole(costs.slmTotal)), bill(llm, .whole(costs.llmTotal))]
        let best = alone[0].flatMap { slm in alone[1].map { RouterScore.best(slm, $0) } }
        var rows: [RouterScore.Row] = []
        func add(_ policy: String, _ bill: RouterScore.Bill?, _ note: String = "") {
            rows.append(RouterScore.Row(policy: policy, basis: "all", bill: bill, best: best, note: note))
        }
        add("SLM only", alone[0])
        add("LLM only", alone[1])
        let bound = "a bound: it knows which answers are right"
        for (rule, payingForWrong) in [("LLMRouterBench's rule", true), ("RouterBench's rule", false)] {
            let cost = costs.cheapestCorrect(payingForWrong: payingForWrong)
            add("cheapest correct, \(rule)", bill(counts.union, .whole(cost)), bound)
        }
        for judge in options.judges {
            let cascade = costs.cascade(falseAccept: judge.falseAccept, falseReject: judge.falseReject)
            let rates = [judge.falseAccept, judge.falseReject].map { Decimals.text($0, decimals: 2) }
            let isPerfect = [judge.falseAccept, judge.falseReject].allSatisfy { $0.reduced == .zero }
            add(
                "cascade, judge \(rates[0])/\(rates[1])", bill(cascade.accuracy, cascade.cost),
                isPerfect ? "a bound: its judge does not err" : "")
        }
        for (score, part) in zip(options.scores, scoreParts) { rows += thresholds(score, part, best) }
        if let heldOut { rows += RouterScore.rows(heldOut) }
        let left = table.missing.reduce(0) { $0 + $1.requests }
        var notes = ["The best single model is the more accurate of the two on the same requests."]
        if left > 0 {
            notes.append("\(left) requests without a verdict or a count are in neither accuracy nor cost.")
        }
        return RouterScore.section(rows, notes: notes)
    }

    /// The thresholds that are given, and the one that saves most while it is as accurate as the best single model.
    private func thresholds(
        _ score: PairOptions.Score, _ part: ScoredPart, _ best: RouterScore.Bill?
    ) -> [RouterScore.Row] {
        var rows = score.thresholds.map { threshold in
            RouterScore.row(
                "threshold on \(score.column), from \(Number.plain(threshold)) on", "all", part.routed(threshold), "")
        }
        // Either model alone is among the points, so that one of them is as accurate.
        let enough = part.points.filter { point in best.map { (point.accuracy ?? .zero) >= $0.accuracy } ?? false }
        guard let cheapest = enough.min(by: { $0.answers.costLow < $1.answers.costLow }) else { return rows }
        let place = cheapest.threshold.map { "from \(Number.plain($0)) on" } ?? "none is sent"
        rows.append(
            RouterScore.row(
                "threshold on \(score.column), largest saving", "all", cheapest,
                "\(place), chosen on these very requests"))
        return rows
    }
}
