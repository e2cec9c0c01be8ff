/// Sections about lengths, parts of the method, cost and doubt.
extension PaperDerivation {
    func fixedLengthSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for system in data.mathematics where system.table == "6" {
            guard let fixed = try fixedLength(system) else { continue }
            rows.append([
                .text(system.title), .exact(system.average?.number, .percentagePoints),
                .exact(percent(system), .percentagePoints), .exact(fixed.accuracyDifference, .percentagePoints),
                .exact(fixed.callRatioMultiple, .ratio), .exact(fixed.saving, .share),
                .exact(fixed.timeShare, .share), .exact(fixed.timeSharedAccuracy, .percentagePoints),
                .exact(fixed.gainAtMatchedCost, .percentagePoints), .exact(fixed.pointsPerPercent, .ratio),
            ])
        }
        rows.append([
            .text(relay.title), .exact(relay.average?.number, .percentagePoints),
            .exact(percent(relay), .percentagePoints), .none, .none, .none, .none, .none, .none,
            .exact(try pointsPerPercent(relay), .ratio),
        ])
        let (middle, longest) = try (data.system("1.7B Fixed-100"), data.system("1.7B Fixed-500"))
        let marginal = try marginalPointsPerPercent(longest)
        let mixed = try timeShared(relay, longest, like: middle)
        return Section(
            name: "fixed_length", title: "Fixed lengths of delegation",
            notes: [
                "matched: LLM-generated tokens, by serving the share λ of requests with the fixed length and the rest "
                    + "with Base",
                "from RelayLLM to Fixed-500: "
                    + (marginal.map { Decimals.text($0, decimals: 10) } ?? "undefined")
                    + " points for each further percent of LLM tokens",
                "RelayLLM and Fixed-500, time-shared at the call ratio of Fixed-100: "
                    + (mixed.map { Decimals.text($0, decimals: 4) } ?? "undefined") + " against its "
                    + (middle.average?.text ?? "undefined"),
            ],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("accuracy", "accuracy", decimals: 2),
                    Table.Column("call_ratio", "call ratio, %", decimals: 2),
                    Table.Column("accuracy_difference", "RelayLLM's accuracy above it", decimals: 2),
                    Table.Column("call_ratio_multiple", "call ratio over RelayLLM's", decimals: 10),
                    Table.Column("saving", "LLM tokens RelayLLM saves", decimals: 10),
                    Table.Column("time_share", "λ", decimals: 10),
                    Table.Column("time_shared_accuracy", "accuracy at RelayLLM's call ratio", decimals: 10),
                    Table.Column("gain_at_matched_cost", "RelayLLM's gain", decimals: 10),
                    Table.Column("points_per_percent", "points for each % of LLM tokens", decimals: 10),
                ], rows: rows))
    }

    func ablationsSection() -> Section {
        let rows: [[Table.Cell]] = data.ablations.map { system in
            let difference = system.average.flatMap { own in relay.average.map { own.number - $0.number } }
            return [
                .text(system.name), .text(system.table), .exact(system.average?.number, .percentagePoints),
                .exact(percent(system), .percentagePoints), .exact(difference, .percentagePoints),
                .exact(callRatioMultiple(system), .ratio),
            ]
        }
        return Section(
            name: "ablations", title: "Parts of the method",
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("paper_table", "table"),
                    Table.Column("accuracy", "accuracy", decimals: 2),
                    Table.Column("call_ratio", "call ratio, %", decimals: 2),
                    Table.Column("difference", "accuracy over RelayLLM's", decimals: 2),
                    Table.Column("call_ratio_multiple", "call ratio over RelayLLM's", decimals: 10),
                ], rows: rows))
    }

    /// Table 4's rows that Table 1 has in full.
    func easyHardSection() -> Section {
        var rows: [[Table.Cell]] = []
        for row in data.teacherFree where row.hasTeacher || row.name == "GRPO" {
            guard let system = data.mathematics.first(where: { $0.slm == "1.7B" && $0.name == row.name }) else {
                continue
            }
            for (title, published, hard) in [("easy", row.easy, false), ("hard", row.hard, true)] {
                let derived = mean(system, hard: hard)
                rows.append([
                    .text(system.title), .text(title), .exact(published.number, .percentagePoints),
                    .exact(derived, .percentagePoints), .text(PaperDerivation.verdict(published.agrees(derived))),
                ])
            }
        }
        return Section(
            name: "easy_hard", title: "Easy and hard benchmarks",
            notes: ["Table 4 against the means of Table 1: easy is the first four benchmarks, hard the two of AIME"],
            table: Table(
                columns: [
                    Table.Column("system", "system"), Table.Column("benchmarks", "benchmarks"),
                    Table.Column("published", "published", decimals: 2),
                    Table.Column("derived", "derived", decimals: 4), Table.Column("agrees", ""),
                ], rows: rows))
    }

    func trainedBaselineSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for system in data.mathematics where system.slm == "1.7B" && system.callRatio != nil {
            guard let baseline = try trainedBaseline(system) else { continue }
            rows.append([
                .text(system.title), .exact(baseline.teacherFree, .percentagePoints),
                .exact(baseline.gainFromTraining, .percentagePoints),
                .exact(baseline.gainFromCalls, .percentagePoints),
                .exact(baseline.comparison.gain, .percentagePoints), .share(baseline.comparison.match),
                .exact(baseline.comparison.reduction, .ratio),
            ])
        }
        return Section(
            name: "trained_baseline", title: "What the calls add",
            notes: ["the random router's SLM is the trained one without its teacher (Table 4), not Base"],
            table: Table(
                columns: [
                    Table.Column("system", "system"),
                    Table.Column("teacher_free", "without teacher, (4·easy + 2·hard)/6", decimals: 10),
                    Table.Column("from_training", "points from training", decimals: 10),
                    Table.Column("from_calls", "points from calls", decimals: 10),
                    Table.Column("gain", "gain over the random router", decimals: 6),
                    Table.Column("matched_share", "p*", decimals: 10),
                    Table.Column("reduction", "reduction", decimals: 10),
                ], rows: rows))
    }

    func costModelsSection() throws(SimulationError) -> Section {
        let rows: [[Table.Cell]] = try costModels().map { row in
            let unit: Unit = row.name == "llm_tokens_only" ? .share : .billionParameters
            return [
                .text(row.title), .exact(row.relay, unit), .exact(row.matchedRandom, unit),
                .exact(row.reduction, .ratio),
            ]
        }
        return Section(
            name: "cost_models", title: "The same systems, other ways to count",
            notes: ["1.7B RelayLLM-Difficulty and the performance-matched random router; parameters 1.7 and 8 billion"],
            table: Table(
                columns: [
                    Table.Column("cost_model", "cost model"), Table.Column("relay", "RelayLLM", decimals: 10),
                    Table.Column("matched_random", "matched random router", decimals: 10),
                    Table.Column("reduction", "reduction", decimals: 10),
                ], rows: rows))
    }

    func billsSection() throws(SimulationError) -> Section {
        let reason =
            "assumes a prompt of 120 tokens, an answer of 800, 520 before a call in the mean, output at four "
            + "times the price of input, no cache"
        func cell(_ number: Number?, _ unit: Unit) -> Table.Cell {
            number.map { .finding(.estimated($0, unit, estimator: reason)) } ?? .none
        }
        let rows: [[Table.Cell]] = try bills().map { row in
            [
                .count(row.meanCallTokens, .tokens), cell(row.bill.calls, .calls), cell(row.bill.prefill, .tokens),
                cell(row.bill.share, .ratio), cell(row.bill.multiple, .ratio), cell(row.reduction, .ratio),
            ]
        }
        return Section(
            name: "bills", title: "When prompts are billed",
            notes: [
                "1.7B RelayLLM-Difficulty; " + reason,
                "each call sends the prompt and all visible text again, so the number of calls drives the bill",
            ],
            table: Table(
                columns: [
                    Table.Column("mean_call_tokens", "LLM tokens in a call"),
                    Table.Column("calls", "calls for each request", decimals: 5),
                    Table.Column("prefill", "prompt tokens for each request", decimals: 4),
                    Table.Column("bill_share", "of the LLM's bill", decimals: 10),
                    Table.Column("multiple", "over the call ratio", decimals: 10),
                    Table.Column("reduction", "reduction", decimals: 10),
                ], rows: rows))
    }

    func aggregationSection() throws(SimulationError) -> Section {
        let rows: [[Table.Cell]] = try aggregations().map {
            [.text($0.name), .share($0.match), .exact($0.reduction, .ratio)]
        }
        return Section(
            name: "aggregation", title: "How benchmarks are averaged", notes: ["1.7B RelayLLM-Difficulty"],
            table: Table(
                columns: [
                    Table.Column("average", "average"), Table.Column("matched_share", "p*", decimals: 6),
                    Table.Column("reduction", "reduction", decimals: 6),
                ], rows: rows))
    }

    func samplingSection() throws(SimulationError) -> Section {
        var rows: [[Table.Cell]] = []
        for (index, benchmark) in data.benchmarks.enumerated() {
            rows.append([
                .text(benchmark.title), .count(benchmark.questions, .requests),
                .exact(relay.cells[index].number, .percentagePoints),
                .exact(try standardError(relay, benchmark: index), .percentagePoints),
            ])
        }
        return Section(
            name: "sampling", title: "How sure the published means are",
            notes: [
                "binomial, from the number of questions; for AIME, averaged over 32 answers, it is the most it can be",
                "49.52, 49.41 and 49.56 (RelayLLM, Fixed-20, Fixed-100) cannot be told apart",
            ],
            table: Table(
                columns: [
                    Table.Column("benchmark", "benchmark"), Table.Column("questions", "questions"),
                    Table.Column("accuracy", "accuracy", decimals: 2),
                    Table.Column("standard_error", "standard error", decimals: 2),
                ], rows: rows))
    }
}
