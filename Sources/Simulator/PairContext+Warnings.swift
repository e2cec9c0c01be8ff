/// What a reader must know before using the numbers of a pair table.
extension PairContext {
    func warnings() throws(SimulationError) -> [String] {
        var warnings = dataWarnings + labelWarnings
        if !options.scores.isEmpty {
            warnings.append(
                "thresholds are scored on the requests that they are chosen from; score a chosen one on others (FrugalGPT: "
                    + "1.4 points), as threshold:COLUMN@share=0.3 does")
        }
        warnings += collapseWarnings
        if let share = largestCluster,
            let warning = ReportWarnings.largeCluster(share, by: clusterName, isFolded: false)
        {
            warnings.append(warning)
        }
        if let warning = try tenantWarning() { warnings.append(warning) }
        warnings += try macroWarnings()
        if let warning = ReportWarnings.unmatched(unmatched) { warnings.append(warning) }
        if costs != nil {
            warnings.append("prices age and no cache is assumed: both are said above and belong to the result")
        }
        return warnings
    }

    private var dataWarnings: [String] {
        var warnings: [String] = []
        if table.rows.count < ReportWarnings.fewRequests {
            warnings.append(
                "below about 1,000 requests a difference of three points is noise; there are \(table.rows.count)")
        }
        if !table.missing.isEmpty {
            warnings.append(
                "requests with an empty verdict or count are left out whole; verdicts are seldom missing at random, "
                    + "as users rate when they are angry")
        }
        if table.hasTokens, table.slmTokens != table.llmTokens {
            warnings.append(
                "a share of requests is not a share of tokens: the models' answers differ in length, and tokens of "
                    + "different tokenizers are not one currency")
        }
        if counts.llmOnly == counts.slmOnly {
            warnings.append("both models are right equally often: p*, PGR, APGR and CPT are undefined")
        } else if counts.llmOnly < counts.slmOnly {
            warnings.append(
                "the SLM is right more often than the LLM: shares of the gap are of a loss, and CPT is undefined")
        }
        return warnings
    }

    /// What verdicts depend on, where the table can tell.
    private var labelWarnings: [String] {
        var warnings: [String] = []
        if let noise = table.labelNoise, noise.slmChanges + noise.llmChanges > 0 {
            warnings.append(
                "labels depend on the rule: the second one changes \(noise.slmChanges) verdicts of the SLM and "
                    + "\(noise.llmChanges) of the LLM (section label_noise)")
            let raised = [
                ("SLM", noise.lenient.slmCorrect - noise.strict.slmCorrect, noise.slmChanges),
                ("LLM", noise.lenient.llmCorrect - noise.strict.llmCorrect, noise.llmChanges),
            ].filter { $0.1 == $0.2 && $0.2 > 0 }
            if !raised.isEmpty {
                warnings.append(
                    "every verdict of the \(raised.map(\.0).joined(separator: " and of the ")) that the second rule changes "
                        + "becomes right: judging again what was wrong can only raise accuracy")
            }
        }
        if let place = table.header.firstIndex(of: "contaminated") {
            let marked = table.rows.count { ["1", "true", "True"].contains($0.fields[place]) }
            if marked > 0 {
                warnings.append(
                    "\(marked) requests are marked contaminated, seen in training perhaps; group_by: contaminated shows "
                        + "them apart")
            }
        }
        return warnings
    }

    /// Given thresholds that send all requests, or none.
    private var collapseWarnings: [String] {
        zip(options.scores, scoreParts).flatMap { score, part in
            score.thresholds.compactMap { threshold in
                let sent = part.routed(threshold).sent
                guard sent == 0 || sent == part.total.usable else { return nil }
                return RoutingCollapse.text(
                    "threshold:\(score.column)>=\(Number.plain(threshold))", isLLM: sent > 0)
            }
        }
    }

    /// Of the LLM's bill, without prices of its tokens, and of the requests where there are none, in a table that has
    /// tenants. Rows without a tenant are nobody's.
    private func tenantWarning() throws(SimulationError) -> String? {
        guard table.header.contains("tenant") else { return nil }
        var spend = TenantSpend()
        for (index, tenant) in try table.column("tenant", for: "cluster").enumerated() {
            let tokens = table.hasTokens ? Int128(table.rows[index].llmTokens) : 1
            spend.add(tenant, llmTokens: tokens, money: costs?.entries[index].llm ?? 0)
        }
        let what = costs != nil ? "the LLM's bill" : table.hasTokens ? "the LLM's tokens" : "the requests"
        return ReportWarnings.largeTenant(
            spend, isMoney: costs != nil, of: what, isClustered: options.cluster == .tenant)
    }

    private func macroWarnings() throws(SimulationError) -> [String] {
        guard let name = options.groupBy else { return [] }
        var groups: [String: PairCounts] = [:]
        for (value, row) in zip(try table.column(name, for: "group_by"), table.rows) {
            groups[value, default: PairCounts()].add(slm: row.slmCorrect, llm: row.llmCorrect)
        }
        let order = groups.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map(\.value)
        return [
            ReportWarnings.macro("accuracy of the SLM, by \(name)", order.map { ($0.slmAccuracy, $0.requests) }),
            ReportWarnings.macro("accuracy of the LLM, by \(name)", order.map { ($0.llmAccuracy, $0.requests) }),
        ].compactMap { $0 }
    }

    /// Cascades that were asked for and measured systems beyond either model.
    private var unmatched: [String] {
        func isBeyond(_ accuracy: Number) -> Bool {
            PerformanceMatch(accuracy: accuracy, slm: slm, llm: llm).hasNoSolution
        }
        let costs = self.costs ?? PairCosts(countingCalls: table)
        let cascades = (options.hasUsualJudges ? [] : options.judges).filter { judge in
            isBeyond(costs.cascade(falseAccept: judge.falseAccept, falseReject: judge.falseReject).accuracy)
        }.map { judge in
            "cascade "
                + [judge.falseAccept, judge.falseReject].map { Decimals.text($0, decimals: 2) }.joined(separator: "/")
        }
        return cascades + options.measured.filter { isBeyond($0.accuracy) }.map(\.name)
    }
}
