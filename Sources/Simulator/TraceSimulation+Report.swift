internal import Accounting

/// The report: what was asked of which requests, then the replayable fraction, then everything else.
extension TraceSimulation {
    package func report() -> Report {
        let sums = whole
        let answers = answers(sums)
        let intervals = PolicyIntervals(self)
        var report = Report(title: plan.scenario.title)
        report.coverage = coverage
        if outside > 0 { report.exclusions.append(Report.Exclusion("not selected", requests: outside)) }
        if unscored > 0 {
            report.exclusions.append(Report.Exclusion("without a score of a threshold", requests: unscored))
        }
        report.exclusions += explorationExclusions
        report.warnings = warnings(answers, sums)
        report.sections = [
            replayableSection(answers), policySection(answers, intervals), costSection(answers, sums),
            ratioSection(sums),
        ]
        if paired > 0 {
            report.sections += [matchedSection(answers, sums, intervals), qualitySection(answers, sums, intervals)]
        }
        if plan.scenario.groupBy != nil { report.sections.append(groupSection()) }
        let held = heldOut
        if paired > 0, let section = scoreSection(answers, sums, held?.table) { report.sections.append(section) }
        if let held {
            report.sections.append(held.section)
            report.coverage.append((name: "split", value: held.coverage))
            report.warnings += held.table.warnings
        }
        report.sections.append(positionSection)
        report.sections += budgetSections
        if let section = explorationSection { report.sections.append(section) }
        report.definitions = definitions(report.sections)
        return report
    }

    private var coverage: [(name: String, value: String)] {
        var coverage = [
            (name: "requests", value: "\(seen - outside) of \(seen)"),
            (name: "judged", value: "\(judged) of \(seen - outside)"),
            (name: "answers of both models alone known", value: "\(paired) of \(seen - outside)"),
        ]
        if let first, let last { coverage.append((name: "arrived", value: "\(first.rfc3339) to \(last.rfc3339)")) }
        let limits = plan.scenario.relay
        coverage.append(
            (
                name: "relay limits",
                value: "max_calls \(limits.calls), max_call_tokens \(limits.callTokens), max_malformed "
                    + "\(limits.malformed), max_tokens \(limits.answerTokens.map(String.init) ?? "none")"
                    + (limits.budgetsRefuse ? ", budgets may refuse" : "")
            ))
        coverage.append((name: "seed", value: String(plan.scenario.seed)))
        return coverage
    }

    /// Why requests have no cost under a cost model, with the first models that have no price.
    func unpricedReason(_ count: Int, _ index: Int) -> String {
        let models = met.unpricedModels(index)
        if models.isEmpty { return "\(count) requests have no prompt count" }
        if plan.tables[index].isRecorded { return "\(count) requests have no recorded cost of \(models)" }
        return "\(count) requests have no price of \(models) when they arrived, or no prompt count"
    }

    private func replayableSection(_ answers: [PolicyAnswer]) -> Section {
        var table = Table(columns: [
            Table.Column("policy", "policy"), Table.Column("replayable", "replayable", decimals: 4),
            Table.Column("requests", "requests"), Table.Column("rerun", "to run again"), Table.Column("why", "why"),
        ])
        for answer in answers {
            guard let totals = answer.totals else {
                table.rows.append([.text(answer.name), .none, .none, .none, .text(note(answer))])
                continue
            }
            let share = Number.quotient(totals.replayable, totals.requests)
            let rest = totals.requests - totals.replayable
            table.rows.append([
                .text(answer.name), .exact(share, .share), .count(totals.requests, .requests), .count(rest, .requests),
                .text(rest > 0 ? answer.reason : ""),
            ])
        }
        return Section(
            name: "replayable", title: "Replayable fraction",
            notes: ["Requests to run again are listed by --rerun-list."], table: table)
    }

    private func policySection(_ answers: [PolicyAnswer], _ intervals: PolicyIntervals) -> Section {
        var table = Table(columns: [
            Table.Column("policy", "policy"), Table.Column("basis", "requests"),
            Table.Column("accuracy", "accuracy", decimals: 4),
            Table.Column("accuracy_change", "change from as logged", decimals: 4),
            Table.Column("llm_tokens", "LLM tokens"), Table.Column("slm_tokens", "SLM tokens"),
            Table.Column("call_ratio", "call ratio, pooled", decimals: 6),
            Table.Column("mean_call_ratio", "call ratio, mean of ratios", decimals: 6),
            Table.Column("calls", "calls"), Table.Column("reached", "requests that asked the LLM", decimals: 4),
            Table.Column("refused", "refused"), Table.Column("degraded", "degraded"), Table.Column("note", "note"),
        ])
        let logged = [false, true].map { self.totals(ReplayPlan.asLogged, whole, paired: $0) }
        for answer in answers {
            guard let totals = answer.totals else {
                let unknown = Table.Cell.finding(.unknown(.share, reason: note(answer)))
                table.rows.append(
                    [.text(answer.name), .none, unknown] + Array(repeating: .none, count: 9) + [.text(note(answer))])
                continue
            }
            let why = answer.reason
            func cell(_ range: PolicyTotals.Range?, _ unit: Unit, _ interval: Interval? = nil) -> Table.Cell {
                range.map { .finding($0.finding(unit, reason: why, interval: interval)) } ?? .none
            }
            let base = logged[answer.isPaired ? 1 : 0].accuracy?.exact
            let change = totals.accuracy.flatMap { range in
                base.map { base in PolicyTotals.Range(low: range.low - base, high: range.high.map { $0 - base }) }
            }
            table.rows.append([
                .text(answer.name), .text(answer.isPaired ? "both models known" : "all"),
                cell(totals.accuracy, .share, intervals.accuracy(answer)),
                cell(change, .share, intervals.change(answer)),
                cell(totals[.llmTokens], .tokens), cell(totals[.slmTokens], .tokens),
                cell(totals.callRatio, .share, intervals.callRatio(answer)), cell(totals.meanCallRatio, .share),
                cell(totals[.calls], .calls), cell(totals.requestShare, .share), cell(totals[.refused], .requests),
                cell(totals[.degraded], .requests), .text(note(answer)),
            ])
        }
        return Section(
            name: "policies", title: "Policies",
            notes: intervals.absence.map { ["There are no intervals: \($0)."] } ?? [], table: table)
    }

    /// Its share, where it has one, and what else is to be said of it.
    func note(_ answer: PolicyAnswer) -> String {
        let share = answer.share.map { "share \(Decimals.text($0.double, decimals: 6))" }
        return [share ?? "", answer.note].filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// The totals of every cost model, side by side.
    private func costSection(_ answers: [PolicyAnswer], _ sums: GroupSums) -> Section {
        var columns = [Table.Column("policy", "policy"), Table.Column("basis", "requests")]
        for (index, table) in plan.tables.enumerated() {
            let decimals = table.scale == 1 ? nil : 3
            columns.append(Table.Column("cost_\(index)", table.model.name, decimals: decimals))
            columns.append(Table.Column("cost_\(index)_of_logged", "of as logged", decimals: 4))
        }
        var table = Table(columns: columns)
        for answer in answers {
            guard let totals = answer.totals else { continue }
            var row: [Table.Cell] = [.text(answer.name), .text(answer.isPaired ? "both models known" : "all")]
            let logged = self.totals(ReplayPlan.asLogged, sums, paired: answer.isPaired)
            for (index, prices) in plan.tables.enumerated() {
                guard totals.unpriced[index] == 0 else {
                    let why = "\(prices.model.name): \(unpricedReason(totals.unpriced[index], index))"
                    row += [.finding(.unknown(prices.unit, reason: why)), .none]
                    continue
                }
                let range = totals[cost: index]
                let why =
                    prices.isRecorded && !answer.isAsLogged
                    ? "recorded costs are of what was served" : answer.costReason(totals, isOpen: range.high == nil)
                row.append(.finding(range.finding(prices.unit, reason: why, scale: prices.scale)))
                let isPriced = logged.unpriced[index] == 0
                let base = logged[cost: index].exact.flatMap { isPriced && $0 != .zero ? $0 : nil }
                let ratio = base.map { base in
                    PolicyTotals.Range(
                        low: range.low.divided(by: base) ?? .zero, high: range.high.flatMap { $0.divided(by: base) })
                }
                row.append(ratio.map { .finding($0.finding(.ratio, reason: why)) } ?? .none)
            }
            table.rows.append(row)
        }
        return Section(
            name: "costs", title: "Cost models side by side",
            notes: plan.tables.isEmpty ? ["The scenario has no cost model."] : [], table: table)
    }

    private func ratioSection(_ sums: GroupSums) -> Section {
        var table = Table(columns: [
            Table.Column("definition", "call ratio as logged"), Table.Column("value", "value", decimals: 6),
        ])
        let logged = totals(ReplayPlan.asLogged, sums, paired: false)
        let counted = Int128(logged.requests) - self.log.empty
        let requested = counted > 0 ? Number.quotient(self.log.requestedShare, counted * Quantity.shareScale) : nil
        for (name, value) in [
            ("pooled", logged.callRatio.exact), ("mean of ratios", logged.meanCallRatio?.exact),
            ("requested", requested), ("request share", Number.quotient(self.log.shared, Int128(logged.requests))),
        ] {
            table.rows.append([.text(name), .exact(value, .share)])
        }
        return Section(name: "call_ratios", title: "Call ratios, by definition", table: table)
    }
}

extension PolicyAnswer {
    var isAsLogged: Bool { counterfactual == .asLogged }

    /// Why a cost is not exact.
    ///
    /// - Parameter isOpen: whether it has no upper end, as where nothing limits how much a model writes.
    func costReason(_ totals: PolicyTotals, isOpen: Bool) -> String {
        // Where all answers are known, only what a cache held is not.
        let reason = totals.replayable < totals.requests ? reason : ReplayLeaf.unknownCache
        let open = isOpen ? "without an upper end for tokens (relay.max_tokens) costs have none" : ""
        return [reason, open].filter { !$0.isEmpty }.joined(separator: "; ")
    }
}
