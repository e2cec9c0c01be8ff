/// Sections about routers that see nothing, or everything.
extension PairContext {
    var models: Section {
        let level = options.bootstrap.level
        func row(_ name: String, correct: Int, accuracy: Number, _ bootstrap: Interval?) -> [Table.Cell] {
            let wilson = Statistics.wilson(successes: correct, trials: counts.requests, level: level)
            return [
                .text(name), .count(correct, .requests), .exact(accuracy, .share, interval: bootstrap),
                .exact(accuracy, .share, interval: wilson),
            ]
        }
        var rows = [
            row("SLM", correct: counts.slmCorrect, accuracy: slm, interval(slm: .one, llm: .zero)),
            row("LLM", correct: counts.llmCorrect, accuracy: llm, interval(slm: .zero, llm: .one)),
            row("either (union)", correct: counts.requests - counts.neither, accuracy: counts.union ?? .zero, nil),
            row("both", correct: counts.both, accuracy: counts.intersection ?? .zero, nil),
        ]
        let normal = counts.pairedStandardError.map {
            Statistics.normal(mean: llm - slm, standardError: $0, level: level, of: "paired standard error")
        }
        rows.append([
            .text("LLM − SLM"), .none, .exact(llm - slm, .share, interval: interval(slm: .zero - .one, llm: .one)),
            .exact(llm - slm, .share, interval: normal),
        ])
        return Section(
            name: "models", title: "The models alone", notes: pairNotes,
            table: Table(
                columns: [
                    Table.Column("model", "model"), Table.Column("correct", "right"),
                    Table.Column("accuracy", "accuracy, bootstrap", decimals: 10),
                    Table.Column("accuracy_formula", "accuracy, by formula", decimals: 10),
                ], rows: rows))
    }

    private var pairNotes: [String] {
        var notes = [
            "of \(counts.requests): both right \(counts.both), only the SLM \(counts.slmOnly), only the LLM "
                + "\(counts.llmOnly), neither \(counts.neither)"
        ]
        if let paired = counts.pairedStandardError, let unpaired = counts.unpairedStandardError {
            notes.append(
                "standard error of the difference: \(Decimals.text(paired, decimals: 10)) paired, "
                    + "\(Decimals.text(unpaired, decimals: 10)) were they two samples")
        }
        if let test = Statistics.McNemar(firstOnly: counts.slmOnly, secondOnly: counts.llmOnly) {
            notes.append(
                "McNemar: \(Decimals.text(test.corrected, decimals: 4)) with the continuity correction, "
                    + "\(Decimals.text(test.statistic, decimals: 4)) without; the models "
                    + (test.differs ? "differ" : "cannot be told apart") + " at 95 %")
        }
        if let intervalAbsence { notes.append("no bootstrap interval: \(intervalAbsence)") }
        return notes
    }

    var randomRouter: Section {
        let columns =
            [
                Table.Column("share", "p", decimals: 4),
                Table.Column("accuracy", "expected accuracy", decimals: 10),
                Table.Column("deviation_coin", "sd (coin)", decimals: 10),
                Table.Column("deviation_fixed", "sd (fixed m)", decimals: 10),
                Table.Column("token_share", "LLM token share", decimals: 12),
            ]
            + (costs == nil
                ? []
                : [
                    Table.Column("cost", "expected cost, $", decimals: 6),
                    Table.Column("cost_share", "of the LLM's bill", decimals: 12),
                ])
        let rows = zip(options.shares, randomIntervals).map { share, interval in
            var row: [Table.Cell] = [
                .exact(share, .share),
                .exact(RandomRouter.accuracy(counts, share: share), .share, interval: interval),
                .exact(RandomRouter.coinDeviation(counts, share: share), .share),
                .exact(RandomRouter.fixedDeviation(counts, share: share), .share),
                .exact(tokenShare(share), .share),
            ]
            if let costs {
                let cost = costs.random(share: share)
                row += [.exact(cost, .picoDollars), .exact(cost.divided(by: .whole(costs.llmTotal)), .ratio)]
            }
            return row
        }
        return Section(
            name: "random_router", title: "Random router",
            notes: ["p is the share of requests; expected values in closed form, so no draw is in them"],
            table: Table(columns: columns, rows: rows))
    }

    var oracleRouter: Section {
        let columns = [
            Table.Column("share", "q", decimals: 4),
            Table.Column("flat", "oracle, at most q", decimals: 10),
            Table.Column("forced", "oracle, exactly q", decimals: 10),
            Table.Column("worst", "worst, exactly q", decimals: 10),
        ]
        let rows: [[Table.Cell]] = options.shares.map { share in
            [
                .exact(share, .share), .exact(OracleRouter.flat(counts, share: share), .share),
                .exact(OracleRouter.forced(counts, share: share), .share),
                .exact(OracleRouter.worst(counts, share: share), .share),
            ]
        }
        let shares = [Number.zero, .one]
        let random = OracleRouter.curve(shares) { RandomRouter.accuracy(counts, share: $0) }
        let plot = Plot(
            xTitle: "share of requests to the LLM", yTitle: "accuracy",
            series: [
                Plot.Series("random router", .dashedLine, random),
                Plot.Series("oracle, at most q", .line, OracleRouter.flatCurve(counts)),
                Plot.Series("worst, exactly q", .line, worstCurve),
                Plot.Series(
                    "random router, intervals", .points,
                    zip(options.shares, randomIntervals).compactMap { share, interval in
                        RandomRouter.accuracy(counts, share: share).map {
                            Plot.Point(share, $0, interval: interval)
                        }
                    }),
            ])
        return Section(
            name: "oracle_router", title: "Bounds of every router",
            notes: ["oracles know which answers are right, as no router does: they bound, they do not predict"],
            table: Table(columns: columns, rows: rows),
            plot: plot)
    }

    /// With its two corners.
    private var worstCurve: QualityCurve {
        let n = counts.requests
        let corners = [0, counts.slmOnly, n - counts.llmOnly, n].compactMap { Number.quotient($0, n) }
        return OracleRouter.curve(corners) { OracleRouter.worst(counts, share: $0) }
    }

    var summary: Section {
        let tenths = (0...10).map { Number.ratio($0, 10) }
        let grids: [(String, QualityCurve)] = [
            ("random router", OracleRouter.curve(tenths) { RandomRouter.accuracy(counts, share: $0) }),
            ("oracle, at most q, 11 points", OracleRouter.curve(tenths) { OracleRouter.flat(counts, share: $0) }),
            ("oracle, at most q, exact integral", OracleRouter.flatCurve(counts)),
            ("oracle, exactly q, 11 points", OracleRouter.curve(tenths) { OracleRouter.forced(counts, share: $0) }),
            ("worst, exactly q, 11 points", OracleRouter.curve(tenths) { OracleRouter.worst(counts, share: $0) }),
        ]
        let rows = grids.map { name, curve in
            [.text(name), .exact(curve.area, .share)] + gapCells(curve)
        }
        return Section(
            name: "summary_metrics", title: "Curves in one number",
            notes: ["APGR is 0.5 for the random router by construction, and above 1 is possible"],
            table: Table(
                columns: [
                    Table.Column("router", "router"), Table.Column("area", "area", decimals: 10),
                ] + gapColumns, rows: rows))
    }

    var gapColumns: [Table.Column] {
        [Table.Column("apgr", "APGR", decimals: 10)]
            + options.gapParts.map { part in
                let percent = Decimals.text(part * .whole(100), decimals: 0)
                return Table.Column("cpt_\(percent)", "CPT(\(percent) %)", decimals: 10)
            }
    }

    func gapCells(_ curve: QualityCurve) -> [Table.Cell] {
        [.exact(curve.averageGapRecovered(slm: slm, llm: llm), .ratio)]
            + options.gapParts.map { .exact(curve.costOfGapRecovered($0, slm: slm, llm: llm), .share) }
    }

    /// The LLM's part of the tokens of a random router; nil without tokens.
    func tokenShare(_ share: Number) -> Number? {
        guard table.hasTokens else { return nil }
        return MatchedCost.tokenShare(
            requestShare: share, slmTokens: .whole(table.slmTokens), llmTokens: .whole(table.llmTokens))
    }

    private func requestShare(_ tokens: Number) -> Number? {
        guard table.hasTokens else { return nil }
        return MatchedCost.requestShare(
            tokenShare: tokens, slmTokens: .whole(table.slmTokens), llmTokens: .whole(table.llmTokens))
    }

    var resourceEquivalent: Section? {
        guard table.hasTokens, !options.tokenShares.isEmpty else { return nil }
        let rows: [[Table.Cell]] = options.tokenShares.map { tokens in
            let share = requestShare(tokens)
            let accuracy = share.flatMap { RandomRouter.accuracy(counts, share: $0) }
            let naive = RandomRouter.accuracy(counts, share: tokens)
            return [
                .exact(tokens, .share), .exact(share, .share),
                .exact(accuracy, .share, interval: share.flatMap(randomInterval)), .exact(naive, .share),
            ]
        }
        return Section(
            name: "resource_equivalent", title: "Random router with a given share of LLM tokens",
            notes: [
                "matched: LLM-generated tokens over all generated tokens; the models' answers have "
                    + "\(table.slmTokens) and \(table.llmTokens) tokens in all"
            ],
            table: Table(
                columns: [
                    Table.Column("token_share", "LLM token share", decimals: 4),
                    Table.Column("share", "share of requests", decimals: 12),
                    Table.Column("accuracy", "expected accuracy", decimals: 10),
                    Table.Column("accuracy_equated", "were the shares equal", decimals: 10),
                ], rows: rows))
    }

    var measured: Section? {
        guard !options.measured.isEmpty else { return nil }
        let rows: [[Table.Cell]] = options.measured.map { system in
            let plain = RouterComparison(accuracy: system.accuracy, slm: slm, llm: llm, llmShare: system.callRatio)
            let share = system.callRatio.flatMap(requestShare)
            let byTokens = RouterComparison(accuracy: system.accuracy, slm: slm, llm: llm, llmShare: share)
            return [
                .text(system.name), .exact(system.accuracy, .share), .exact(system.callRatio, .share),
                .exact(plain.resourceEquivalent, .share), .exact(plain.gain, .share),
                .exact(byTokens.resourceEquivalent, .share), .exact(byTokens.gain, .share),
                .share(plain.match), .status(plain.match), .exact(plain.reduction, .ratio),
            ]
        }
        return Section(
            name: "measured", title: "Measured systems beside random routers",
            notes: [
                "matched as requests: the router's share of requests is the call ratio, as the paper equates them",
                "matched as tokens: its share of LLM tokens is the call ratio",
            ],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("accuracy", "accuracy", decimals: 6),
                    Table.Column("call_ratio", "call ratio", decimals: 6),
                    Table.Column("random_by_requests", "random, matched as requests", decimals: 10),
                    Table.Column("gain_by_requests", "gain", decimals: 10),
                    Table.Column("random_by_tokens", "random, matched as tokens", decimals: 10),
                    Table.Column("gain_by_tokens", "gain", decimals: 10),
                    Table.Column("matched_share", "p*", decimals: 10), Table.Column("status", "case"),
                    Table.Column("reduction", "reduction", decimals: 10),
                ], rows: rows))
    }
}
