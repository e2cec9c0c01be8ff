/// Accuracy against cost, on the requests whose answers by both models alone are known.
extension TraceSimulation {
    /// Steps in which the share of the random routers goes from 0 to 1.
    private static let routerSteps = 10

    func qualitySection(_ answers: [PolicyAnswer], _ sums: GroupSums, _ intervals: PolicyIntervals) -> Section {
        let money = plan.tables.firstIndex { $0.matches(.money) }
        let line = routers(sums, money)
        let points = answers.compactMap { answer -> (point: Plot.Point, interval: Interval?)? in
            if let leaf = answer.leaf, !plan.leaves[leaf].isOrdered {
                return point(totals(leaf, sums, paired: true), money, answer.name).map {
                    ($0, intervals.pairedAccuracy(leaf: leaf))
                }
            }
            guard answer.isPaired, let totals = answer.totals else { return nil }
            return point(totals, money, answer.name).map { ($0, intervals.accuracy(answer)) }
        }
        let hull = Plot.Series.hull(line.map(\.point) + points.map(\.point))
        let plot = Plot(
            xTitle: money.map { "dollars for 1,000 requests (\(plan.tables[$0].model.name))" } ?? "call ratio, pooled",
            yTitle: "accuracy",
            series: [
                Plot.Series(
                    "random router", .dashedLine,
                    line.map { item in
                        TraceSimulation.within(item.point, intervals.pairedAccuracy(share: item.share))
                    }), hull,
                Plot.Series("policies", .points, points.map { TraceSimulation.within($0.point, $0.interval) }),
            ])
        var notes = ["On the requests whose answers by both models alone are known."]
        if let absence = intervals.absence {
            notes.append(
                "Where accuracy is bounded, a policy's line has the bounds. There are no intervals: \(absence).")
        } else if plan.scenario.replicates > 0 {
            notes.append(
                "A policy's line from end to end and the band of random routers are 95 % bootstrap intervals, as in the "
                    + "tables; where accuracy is bounded, the line has the bounds.")
        }
        return Section(name: "quality", title: "Accuracy against cost", notes: notes, plot: plot)
    }

    /// Random routers from the SLM alone to the LLM alone.
    private func routers(_ sums: GroupSums, _ money: Int?) -> [(share: Number, point: Plot.Point)] {
        let slm = totals(ReplayPlan.slmOnly, sums, paired: true)
        let llm = totals(ReplayPlan.llmOnly, sums, paired: true)
        return (0...TraceSimulation.routerSteps).compactMap { step in
            let label = step == 0 ? "SLM only" : step == TraceSimulation.routerSteps ? "LLM only" : nil
            guard let share = Number.quotient(step, TraceSimulation.routerSteps),
                let point = point(PolicyTotals(llm, share, slm), money, label)
            else { return nil }
            return (share, point)
        }
    }

    /// Where a policy stands; nil where what it costs is not exact.
    private func point(_ totals: PolicyTotals, _ money: Int?, _ label: String?) -> Plot.Point? {
        guard let x = x(totals, money), let accuracy = totals.accuracy, let high = accuracy.high else { return nil }
        let isExact = accuracy.exact != nil
        return Plot.Point(
            x: x, y: isExact ? accuracy.low.double : (accuracy.low.double + high.double) / 2,
            low: isExact ? nil : accuracy.low.double, high: isExact ? nil : high.double, label: label)
    }

    private func x(_ totals: PolicyTotals, _ money: Int?) -> Double? {
        guard let money else { return totals.callRatio.exact?.double }
        guard totals.unpriced[money] == 0, totals.requests > 0 else { return nil }
        return totals[cost: money].exact.map { $0.double / 1e12 / Double(totals.requests) * 1000 }
    }

    /// With its interval, unless it has bounds.
    private static func within(_ point: Plot.Point, _ interval: Interval?) -> Plot.Point {
        guard point.low == nil, let interval else { return point }
        var point = point
        (point.low, point.high) = (interval.low.double, interval.high.double)
        return point
    }
}
