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
                .text(answer.name), .exact(exact, .share), .exact(share, .share), .exact(random, .share),
                .exact(random.map { exact - $0 }, .share), .share(match), .status(match),
                .exact(spent.flatMap { match.reduction(llmShare: $0) }, .share),
            ])
        }
        return Section(
            name: "matched", title: "Matched cost: \(quantity.rawValue)",
            notes: [
                "On the \(paired) requests whose answers by both models alone are known.",
                quantity == .llmTokens
                    ? "The reduction compares the share of LLM tokens with p*, a share of requests, as the paper does."
                    : "The reduction compares the request share that costs the same with p*.",
            ], table: table)
    }

    /// Each group under each policy that is followed request by request.
    func groupSection() -> Section {
        var table = Table(columns: [
            Table.Column("group", plan.scenario.groupBy ?? ""), Table.Column("policy", "policy"),
            Table.Column("requests", "requests"), Table.Column("replayable", "replayable", decimals: 4),
            Table.Column("accuracy", "accuracy", decimals: 4), Table.Column("llm_tokens", "LLM tokens"),
            Table.Column("call_ratio", "call ratio, pooled", decimals: 6),
        ])
        let order = groups.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        for (name, sums) in order {
            for answer in answers(sums) {
                guard let totals = answer.totals, totals.requests > 0 else { continue }
                let why = answer.reason
                table.rows.append([
                    .text(name), .text(answer.name), .count(totals.requests, .requests),
                    .exact(Number.quotient(totals.replayable, totals.requests), .share),
                    totals.accuracy.map { .finding($0.finding(.share, reason: why)) } ?? .none,
                    .finding(totals[.llmTokens].finding(.tokens, reason: why)),
                    .finding(totals.callRatio.finding(.share, reason: why)),
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

    /// Estimates where the log drew its policy, or ran models beside it.
    var explorationSection: Section? {
        let sums = exploration
        guard sums.estimates.contains(where: { $0.count > 0 }) || sums.slm.sampled + sums.llm.sampled > 0 else {
            return nil
        }
        var table = Table(columns: [
            Table.Column("target", "policy"), Table.Column("estimator", "estimator"),
            Table.Column("accuracy", "accuracy", decimals: 4), Table.Column("sample", "requests"),
            Table.Column("effective", "effective sample", decimals: 1),
            Table.Column("weight", "largest weight", decimals: 2), Table.Column("note", "note"),
        ])
        for (index, target) in sums.targets.enumerated() where sums.estimates[index].count > 0 {
            explain(target, sums.estimates[index], sums.matching[index], robust(index), &table)
        }
        for (name, shadow) in [("SLM only", sums.slm), ("LLM only", sums.llm)] {
            if let reason = shadow.refusal {
                table.rows.append([
                    .text(name), .text("Horvitz-Thompson"), .finding(.unknown(.share, reason: reason)),
                    .count(shadow.sampled, .requests), .none, .none, .text(reason),
                ])
            }
            guard let estimate = shadow.horvitzThompson else { continue }
            let interval = estimate.standardError.map {
                Statistics.normal(mean: .real(estimate.value), standardError: $0, of: "design")
            }
            for (estimator, value, interval) in [
                ("Horvitz-Thompson", Number.real(estimate.value), interval), ("Hájek", shadow.hajek ?? .zero, nil),
            ] {
                table.rows.append([
                    .text(name), .text(estimator),
                    .finding(.estimated(value, .share, estimator: estimator + " on shadow runs", interval: interval)),
                    .count(shadow.sampled, .requests), .none, .none, .none,
                ])
            }
        }
        return Section(
            name: "off_policy", title: "Off-policy estimates",
            notes: ["Estimates, not bounds: right on average if the logged probabilities are."], table: table)
    }

    /// With the verdicts of shadow runs as its model of values: one mean for each model.
    private func robust(_ index: Int) -> Finding {
        let sums = exploration
        let missing = [("SLM", sums.slm), ("LLM", sums.llm)].filter { $0.1.hajek == nil }.map(\.0)
        guard let slm = sums.slm.hajek?.double, let llm = sums.llm.hajek?.double,
            let estimate = sums.robust[index].estimate(slm: slm, llm: llm)
        else {
            return .unknown(
                .share,
                reason:
                    "no verdicts of shadow runs (counterfactual) of the \(missing.joined(separator: " and the ")) to "
                    + "take as a model of values")
        }
        let means = [slm, llm].map { Decimals.text($0, decimals: 4) }
        return .estimated(
            .real(estimate.value), .share,
            estimator: "doubly robust, with the means of shadow runs (Hájek) as the model of values: SLM \(means[0]), "
                + "LLM \(means[1])",
            interval: estimate.standardError.map {
                Statistics.normal(mean: .real(estimate.value), standardError: $0, of: "weighted terms")
            })
    }

    private func explain(
        _ target: ExplorationSums.Target, _ sums: OffPolicySums, _ matching: Int, _ robust: Finding,
        _ table: inout Table
    ) {
        func refuse(_ reason: String) {
            table.rows.append([
                .text(target.name), .text("IPS"), .finding(.unknown(.share, reason: reason)),
                .count(sums.count, .requests), .none, .none, .text(reason),
            ])
        }
        guard matching > 0 else { return refuse("no logged request took an action of this policy") }
        do throws(OffPolicyEstimates.Refusal) {
            let estimates = try OffPolicyEstimates(sums)
            let warning = estimates.warnings.joined(separator: "; ")
            func plain(_ value: Double, _ name: String) -> (String, Finding) {
                (name, .estimated(.real(value), .share, estimator: name))
            }
            for (name, finding) in [
                plain(estimates.ips.value, "IPS"), plain(estimates.snips.value, "SNIPS"),
                plain(estimates.clipped, "IPS clipped at 5"), ("doubly robust", robust),
            ] {
                table.rows.append([
                    .text(target.name), .text(name), .finding(finding),
                    .count(sums.count, .requests), .exact(estimates.effectiveSampleSize, .requests),
                    .exact(estimates.maximumWeight, .ratio), .text(warning),
                ])
            }
        } catch {
            refuse(error.description)
        }
    }
}
