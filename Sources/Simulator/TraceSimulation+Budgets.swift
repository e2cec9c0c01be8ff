internal import Accounting

/// The sections of policies of budgets.
extension TraceSimulation {
    /// What became of each budget, and when.
    var budgetSections: [Section] {
        plan.scenario.policies.compactMap { policy in
            guard case .budgets(let rules) = policy.counterfactual,
                let leaf = plan.leaves.firstIndex(of: .budgets(rules)), let replay = budgets[leaf]
            else { return nil }
            let burnDown = BurnDownPlot(replay, until: last?.microseconds ?? 0)
            return Section(
                name: "budgets_"
                    + policy.name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0.lowercased() : "_" }
                    .joined(), title: "Budgets: \(policy.name)",
                notes: [
                    "Requests are taken one after the other, in the order of arrival; nobody tries again, and nobody "
                        + "leaves because of a refusal."
                ] + burnDown.notes, table: budgetTable(replay), plot: burnDown.plot)
        }
    }

    private func budgetTable(_ replay: BudgetReplay) -> Table {
        var table = Table(columns: [
            Table.Column("tenant", "tenant"), Table.Column("window", "window"), Table.Column("start", "from"),
            Table.Column("limit", "limit"), Table.Column("used", "used"), Table.Column("requests", "requests"),
            Table.Column("refused", "refused"), Table.Column("degraded", "degraded"),
            Table.Column("exhausted", "used up"),
        ])
        for (key, period) in replay.periods.sorted(by: { $0.key < $1.key }) {
            let rule = replay.rules[key.rule]
            func count(_ extent: Extent, _ unit: Unit) -> Table.Cell {
                .finding(
                    .bounded(
                        .whole(extent.low), .whole(extent.high), unit,
                        reason: "a call that the log refused might be made, and what follows a cut was never written"))
            }
            table.rows.append([
                .text(key.tenant), .text(rule.window.rawValue),
                .text(rule.window == .total ? "" : Timestamp(microseconds: key.start).rfc3339),
                .count(rule.tokens, .tokens), count(period.used, .tokens), .count(period.requests, .requests),
                count(period.refused, .requests), count(period.degraded, .requests),
                period.exhausted.map { .text(Timestamp(microseconds: $0).rfc3339) } ?? .none,
            ])
        }
        return table
    }
}

/// What is left of each budget in the course of its windows.
struct BurnDownPlot {
    /// Lines beyond which a plot cannot be read.
    static let lineLimit = 8
    private(set) var plot: Plot?
    private(set) var notes: [String] = []

    /// One budget of one tenant, its windows in order.
    private struct Line {
        let tenant: String
        let rule: BudgetRule
        var used: Int128 = 0
        var periods: [(start: Int64, period: BudgetReplay.Period)] = []

        /// When a window begins to be drawn: a budget without windows shortly before its first request.
        func begin(_ item: (start: Int64, period: BudgetReplay.Period)) -> Int64 {
            let burnDown = item.period.burnDown
            guard rule.window == .total, let first = burnDown.points.first else { return item.start }
            return (first.place - 1) * burnDown.unit
        }
    }

    /// - Parameter end: the last arrival, in microseconds, where a budget without windows ends.
    init(_ replay: BudgetReplay, until end: Int64) {
        let lines = BurnDownPlot.lines(replay)
        var shown = Array(lines.prefix(BurnDownPlot.lineLimit))
        guard !shown.isEmpty else { return }
        if lines.count > shown.count {
            notes.append(
                "The plot has the \(shown.count) budgets of which most was used; the other \(lines.count - shown.count) are "
                    + "in the table.")
        }
        let windows = BudgetReplay.windowLimit
        if shown.contains(where: { $0.periods.count > windows }) {
            notes.append("The plot has the last \(windows) windows of a budget in which something was asked of it.")
            for index in shown.indices { shown[index].periods = shown[index].periods.suffix(windows) }
        }
        let origin = shown.compactMap { line in line.periods.first.map { line.begin($0) } }.min() ?? 0
        let severalRules = replay.rules.count > 1
        plot = Plot(
            xTitle: "hours from \(Timestamp(microseconds: origin).rfc3339)", yTitle: "share of the budget that is left",
            series: shown.map { line in
                let name = "\(line.tenant), \(line.rule.tokens) \(BurnDownPlot.word(line.rule.window))"
                return Plot.Series(severalRules ? name : line.tenant, .steps, BurnDownPlot.points(line, origin, end))
            })
    }

    private static func word(_ window: BudgetRule.Window) -> String {
        window == .total ? "in all" : "a \(window.rawValue)"
    }

    /// Those of which most was used first; then in the order of names and rules.
    private static func lines(_ replay: BudgetReplay) -> [Line] {
        var lines: [Line] = []
        var last: (tenant: String, rule: Int)?
        for (key, period) in replay.periods.sorted(by: { $0.key < $1.key }) where replay.rules[key.rule].tokens > 0 {
            if last?.tenant != key.tenant || last?.rule != key.rule {
                lines.append(Line(tenant: key.tenant, rule: replay.rules[key.rule]))
                last = (key.tenant, key.rule)
            }
            lines[lines.count - 1].used += period.used.low
            lines[lines.count - 1].periods.append((key.start, period))
        }
        let order = lines.enumerated().sorted { ($1.element.used, $0.offset) < ($0.element.used, $1.offset) }
        return order.map(\.element)
    }

    private static func points(_ line: Line, _ origin: Int64, _ end: Int64) -> [Plot.Point] {
        func left(_ used: Int128) -> Double { max(0, 1 - Double(used) / Double(line.rule.tokens)) }
        func point(_ moment: Int64, _ used: Extent) -> Plot.Point {
            let most = left(used.low)
            return Plot.Point(
                x: Double(moment - origin) / 3_600_000_000, y: most, low: used.isExact ? nil : left(used.high),
                high: used.isExact ? nil : most)
        }
        var points: [Plot.Point] = []
        for (index, item) in line.periods.enumerated() {
            let (start, period) = item
            points.append(point(line.begin(item), .zero))
            for one in period.burnDown.points {
                points.append(point(start + one.place * period.burnDown.unit, one.used))
            }
            // It is full again when its window ends; behind the last one nothing is known.
            let close = line.rule.window.end(from: start) ?? max(end, start)
            let isLast = index == line.periods.count - 1
            if let here = points.last, here.x < Double(close - origin) / 3_600_000_000 || !isLast {
                points.append(point(close, isLast ? period.used : .zero))
            }
        }
        return points
    }
}
