/// Thresholds that were chosen on one part of the requests, beside what they do on the other.
struct HeldOutTable {
    /// One policy that chooses its threshold.
    struct Row {
        var policy: String
        /// The tag or column that holds it.
        var score: String
        var aim: ThresholdAim
        var train: ScoredPart
        var heldOut: ScoredPart
        /// Of the accuracy on the part that was held out.
        var interval: (ScoredPart.Routed) -> Interval?
    }

    /// What became of a row: the threshold on both parts, or why there is none.
    struct Result {
        let row: Row
        private(set) var chosen: ScoredPart.Routed?
        private(set) var heldOut: ScoredPart.Routed?
        /// Of the held-out accuracy.
        private(set) var interval: Interval?
        private(set) var reason = ""

        init(_ row: Row) {
            self.row = row
            do throws(ScoredPart.Refusal) {
                let chosen = try row.train.choose(row.aim)
                let heldOut = row.heldOut.routed(chosen.threshold)
                (self.chosen, self.heldOut, interval) = (chosen, heldOut, row.interval(heldOut))
            } catch {
                reason = error.reason
            }
        }

        /// In one word, or why not, and when the scores leave no choice.
        var said: String {
            let said =
                chosen == nil
                ? reason : row.heldOut.total.usable == 0 ? "chosen, but no request is held out" : "chosen"
            guard let own = row.train.onlyScore else { return said }
            let isWhole = row.heldOut.total.usable == 0 || row.heldOut.onlyScore == own
            return said + (isWhole ? "; all scores are equal" : "; all scores it was chosen on are equal")
                + ": all or none is sent"
        }

        var optimism: Number? {
            chosen?.accuracy.flatMap { own in heldOut?.accuracy.map { own - $0 } }
        }

        /// Of the difference of two samples.
        func optimismInterval(_ level: ConfidenceLevel) -> Interval? {
            guard let optimism, let own = chosen?.standardError, let other = heldOut?.standardError else { return nil }
            return Statistics.normal(
                mean: optimism, standardError: (own * own + other * other).squareRoot(), level: level,
                of: "two samples")
        }
    }

    let results: [Result]
    let hasMoney: Bool
    /// Whether requests are taken as independent.
    let isIndependent: Bool
    let level: ConfidenceLevel

    func section(notes: [String]) -> Section {
        let plain = [
            Table.Column("policy", "policy"), Table.Column("aim", "aim"), Table.Column("result", "result"),
            Table.Column("threshold", "threshold"),
            Table.Column("share_train", "share, \(TrainText.chosenOn)", decimals: 6),
            Table.Column("share_held_out", "share, \(TrainText.heldOut)", decimals: 6),
            Table.Column("accuracy_train", "accuracy, \(TrainText.chosenOn)", decimals: 6),
            Table.Column("accuracy_held_out", "accuracy, \(TrainText.heldOut)", decimals: 6),
            Table.Column("optimism", "optimism", decimals: 6),
            Table.Column("random_held_out", "random router with its share, held out", decimals: 6),
            Table.Column("gain_held_out", "gain, held out", decimals: 6),
            Table.Column("llm_held_out", "LLM alone, held out", decimals: 6),
            Table.Column("aim_held_out", "aim, held out"),
            Table.Column("accuracy_all_held_out", "accuracy with missing verdicts, held out", decimals: 6),
        ]
        let money = [
            Table.Column("cost_train", "cost of 1,000, \(TrainText.chosenOn)", decimals: 6),
            Table.Column("cost_held_out", "cost of 1,000, \(TrainText.heldOut)", decimals: 6),
        ]
        let rows = results.map { cells($0) + (hasMoney ? costs($0) : []) }
        return Section(
            name: "held_out", title: "Thresholds chosen on one part, reported on the other",
            notes: notes + optimismNotes,
            table: Table(columns: plain + (hasMoney ? money : []), rows: rows), plot: plot)
    }

    private var optimismNotes: [String] {
        let isUncertain = isIndependent && results.contains { $0.optimismInterval(level) != nil }
        var notes = [
            "Optimism: what the accuracy of the requests that a threshold was chosen on is above the held-out one. "
                + (isUncertain ? "That of one split is uncertain itself, as its interval says; another" : "Another")
                + " seed or share gives another split."
        ]
        if !isIndependent {
            notes.append(
                "Optimism has no interval here: its formula would take requests as independent of each other, and those "
                    + "of one cluster are not.")
        }
        return notes
    }

    /// Each chosen threshold twice, so that what is lost on other requests is seen.
    private var plot: Plot? {
        let pairs = results.compactMap { result -> (train: Plot.Point, heldOut: Plot.Point)? in
            guard let train = result.chosen, let held = result.heldOut, let share = train.share,
                let accuracy = train.accuracy, let other = held.share, let second = held.accuracy
            else { return nil }
            return (
                Plot.Point(share, accuracy, label: result.row.policy),
                Plot.Point(other, second, interval: result.interval, label: result.row.policy)
            )
        }
        guard !pairs.isEmpty else { return nil }
        return Plot(
            xTitle: "share of requests to the LLM", yTitle: "accuracy",
            series: [
                Plot.Series(TrainText.chosenOn, .points, pairs.map(\.train)),
                Plot.Series(TrainText.heldOut, .points, pairs.map(\.heldOut)),
            ])
    }

    /// What a reader must know of these numbers.
    var warnings: [String] {
        var warnings: [String] = []
        let held = results.filter { $0.chosen != nil }.map(\.row.heldOut.total.usable)
        if held.contains(0) {
            warnings.append("no request is held out: nothing tells what a chosen threshold does on other requests")
        }
        if let few = fewHeldOut { warnings.append("\(few): a difference of 3 points may be noise") }
        for result in results {
            guard let routed = result.heldOut, routed.total.usable > 0 else { continue }
            if routed.sent == 0 || routed.sent == routed.total.usable {
                warnings.append(RoutingCollapse.text(result.row.policy, isLLM: routed.sent > 0, "held-out request"))
            }
        }
        return warnings
    }

    /// How many are held out, of each score by which a threshold was chosen and that leaves few.
    private var fewHeldOut: String? {
        var counts: [(score: String, held: Int)] = []
        for result in results where result.chosen != nil && !counts.contains(where: { $0.score == result.row.score }) {
            counts.append((result.row.score, result.row.heldOut.total.usable))
        }
        let few = counts.filter { $0.held > 0 && $0.held < ReportWarnings.fewRequests }
        guard let first = few.first else { return nil }
        if counts.allSatisfy({ $0.held == first.held }) { return "\(first.held) requests are held out" }
        return few.map { "by \($0.score), \($0.held) requests are held out" }.joined(separator: "; ")
    }

    private func cells(_ result: Result) -> [Table.Cell] {
        let head: [Table.Cell] = [.text(result.row.policy), .text(result.row.aim.text), .text(result.said)]
        guard let train = result.chosen, let held = result.heldOut else {
            return head + Array(repeating: .none, count: 11)
        }
        let met = held.meets(result.row.aim).map { $0 ? "met" : "missed" } ?? "unknown"
        return head + [
            .threshold(train.threshold),
            .exact(train.share, .share), .exact(held.share, .share), .exact(train.accuracy, .share),
            .exact(held.accuracy, .share, interval: result.interval),
            .exact(result.optimism, .share, interval: isIndependent ? result.optimismInterval(level) : nil),
            .exact(held.random, .share),
            .exact(held.accuracy.flatMap { own in held.random.map { own - $0 } }, .share),
            .exact(held.llmAccuracy, .share), .text(held.total.usable > 0 ? met : "unknown"), bounds(held),
        ]
    }

    /// Every verdict that is missing taken for wrong, and for right.
    private func bounds(_ held: ScoredPart.Routed) -> Table.Cell {
        guard let bounds = held.bounds else { return .none }
        return .finding(
            .bounded(
                bounds.low, bounds.high, .share,
                reason: "verdicts of the models that the threshold chooses are missing"))
    }

    private func costs(_ result: Result) -> [Table.Cell] {
        [result.chosen, result.heldOut].map { part in
            guard let part, part.total.usable > 0 else { return .none }
            guard let cost = part.cost else {
                return .finding(
                    .unknown(.picoDollars, reason: "\(part.total.unpriced) requests have no price or no known cost"))
            }
            return .finding(
                .bounded(cost.low, cost.high, .picoDollars, reason: "how much came from a cache is not known"))
        }
    }
}
