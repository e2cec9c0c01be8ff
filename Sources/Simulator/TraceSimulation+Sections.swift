internal import Accounting

/// The sections that stand where there is something to say in them.
extension TraceSimulation {
    /// Each policy beside random routers on the same requests.
    func matchedSection(_ answers: [PolicyAnswer], _ sums: GroupSums, _ intervals: PolicyIntervals) -> Section {
        let quantity = plan.scenario.matched
        var table = Table(columns: [
            Table.Column("policy", "policy"), Table.Column("accuracy", "accuracy", decimals: 4),
            Table.Column("share", "share of the random router at the same \(quantity.rawValue)", decimals: 6),
            Table.Column("random", "its accuracy", decimals: 4), Table.Column("gain", "gain", decimals: 4),
            Table.Column("p_star", "p* at the same accuracy", decimals: 6), Table.Column("status", "status"),
            Table.Column("reduction", "reduction", decimals: 6),
        ])
        let slm = totals(ReplayPlan.slmOnly, sums, paired: true).accuracy?.exact
        let llm = totals(ReplayPlan.llmOnly, sums, paired: true).accuracy?.exact
        for answer in answers {
            guard let leaf = answer.leaf, !plan.leaves[leaf].isOrdered, let slm, let llm else { continue }
            let policy = totals(leaf, sums, paired: true)
            guard let accuracy = policy.accuracy else { continue }
            guard let exact = accuracy.exact, let match = match(policy, sums) else {
                table.rows.append(
                    [.text(answer.name), .finding(accuracy.finding(.share, reason: answer.reason))]
                        + Array(repeating: .none, count: 4) + [.text("accuracy is not exact"), .none])
                continue
            }
            let share = matchedShare(quantity, policy, sums)
            let random = share.map { slm + $0 * (llm - slm) }
            let spent = quantity == .llmTokens ? policy.callRatio.exact : share
            table.rows.append([
                .text(answer.name), .exact(exact, .share, interval: intervals.pairedAccuracy(leaf: leaf)),
                .exact(share, .share), .exact(random, .share),
                .exact(
                    random.map { exact - $0 }, .share, interval: intervals.paired(leaf: leaf) { $0.gain(quantity) }),
                .share(match, interval: intervals.paired(leaf: leaf, \.match.share)), .status(match),
                .exact(
                    spent.flatMap { match.reduction(llmShare: $0) }, .share,
                    interval: intervals.paired(leaf: leaf) { $0.reduction(quantity) }),
            ])
        }
        return Section(
            name: "matched", title: "Matched cost: \(quantity.rawValue)",
            notes: [
                "On the \(paired) requests whose answers by both models alone are known.",
                quantity == .llmTokens
                    ? "The reduction compares the share of LLM tokens with p*, a share of requests, as the paper does."
                    : "The reduction compares the request share that costs the same with p*.",
            ] + intervals.matchedNotes(quantity), table: table)
    }

    /// Each group under each policy that is followed request by request.
    func groupSection() -> Section {
        var table = Table(columns: [
            Table.Column("group", plan.scenario.groupBy ?? ""), Table.Column("policy", "policy"),
            Table.Column("requests", "requests"), Table.Column("replayable", "replayable", decimals: 4),
            Table.Column("accuracy", "accuracy", decimals: 4), Table.Column("llm_tokens", "LLM tokens"),
            Table.Column("call_ratio", "call ratio, pooled", decimals: 6), Table.Column("note", "note"),
        ])
        let order = groups.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        for (name, sums) in order {
            for answer in answers(sums) {
                guard let totals = answer.totals else {
                    let unknown = Table.Cell.finding(.unknown(.share, reason: note(answer)))
                    table.rows.append(
                        [.text(name), .text(answer.name), .none, .none, unknown, .none, .none, .text(note(answer))])
                    continue
                }
                let why = answer.reason
                table.rows.append([
                    .text(name), .text(answer.name), .count(totals.requests, .requests),
                    .exact(Number.quotient(totals.replayable, totals.requests), .share),
                    totals.accuracy.map { .finding($0.finding(.share, reason: why)) } ?? .none,
                    .finding(totals[.llmTokens].finding(.tokens, reason: why)),
                    .finding(totals.callRatio.finding(.share, reason: why)), .text(note(answer)),
                ])
            }
        }
        let points = order.enumerated().compactMap { index, group -> Plot.Point? in
            let logged = PolicyTotals(group.value.all[ReplayPlan.asLogged], scale: 1)
            return logged.callRatio.exact.map { Plot.Point(x: Double(index), y: $0.double) }
        }
        let plot = Plot(
            xTitle: plan.scenario.groupBy ?? "", yTitle: "call ratio, pooled", categories: order.map(\.key),
            series: [Plot.Series("as logged", .bars, points)])
        return Section(
            name: "groups", title: "By \(plan.scenario.groupBy ?? "")", table: table,
            plot: order.count <= 40 ? plot : nil)
    }

    /// Where in the answers the calls fall.
    var positionSection: Section {
        var table = Table(columns: [
            Table.Column("place", "place in the answer"), Table.Column("calls", "calls"),
            Table.Column("tokens", "LLM tokens"),
        ])
        let names = (0..<LogSums.positions).map { "\($0 * 10)-\($0 * 10 + 10) %" }
        for (place, name) in names.enumerated() {
            table.rows.append([
                .text(name), .exact(.whole(log.calls[place]), .calls), .exact(.whole(log.callTokens[place]), .tokens),
            ])
        }
        let points = log.calls.enumerated().map { Plot.Point(x: Double($0), y: Double($1)) }
        return Section(
            name: "positions", title: "Where in the answers the calls fall",
            notes: ["By the visible tokens before the call, of all visible tokens of the answer; as logged."],
            table: table,
            plot: Plot(
                xTitle: "place in the answer", yTitle: "calls", categories: names,
                series: [Plot.Series("as logged", .bars, points)]))
    }
}
