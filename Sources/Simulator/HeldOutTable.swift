/// Thresholds that were chosen on one part of the requests, beside what they do on the other.
struct HeldOutTable {
    /// One policy that chooses its threshold.
    struct Row {
        var policy: String
        var aim: ThresholdAim
        var train: ScoredPart
        var heldOut: ScoredPart
        /// Of the accuracy on the part that was held out.
        var interval: (ScoredPart.Routed) -> Interval?
    }

    /// What became of a row: the threshold on both parts, or why there is none.
    struct Result {
        var row: Row
        var chosen: ScoredPart.Routed?
        var reason = ""

        init(_ row: Row) {
            self.row = row
            do throws(ScoredPart.Refusal) {
                chosen = try row.train.choose(row.aim)
            } catch {
                reason = error.reason
            }
        }

        var heldOut: ScoredPart.Routed? { chosen.map { row.heldOut.routed($0.threshold) } }

        /// In one word, or why not.
        var said: String {
            guard chosen != nil else { return reason }
            return row.heldOut.total.usable == 0 ? "chosen, but no request is held out" : "chosen"
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
            Table.Column("threshold", "threshold", decimals: 4),
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
        var notes = notes
        notes.append(
            "Optimism: what the accuracy of the requests that a threshold was chosen on is above the held-out one. That "
                + "of one split is uncertain itself, as its interval says; another seed or share gives another split.")
        if !isIndependent {
            notes.append("The interval of the optimism takes requests as independent, which clusters are not: none.")
        }
        return Section(
            name: "held_out", title: "Thresholds chosen on one part, reported on the other", notes: notes,
            table: Table(columns: plain + (hasMoney ? money : []), rows: rows), plot: plot)
    }

    /// Each chosen threshold twice, so that what is lost on other requests is seen.
    private var plot: Plot? {
        let pairs = results.compactMap { result -> (train: Plot.Point, heldOut: Plot.Point)? in
            guard let train = result.chosen, let held = result.heldOut, let share = train.share,
                let accuracy = train.accuracy, let other = held.share, let second = held.accuracy
            else { return nil }
            return (
                Plot.Point(share, accuracy, label: result.row.policy),
                Plot.Point(other, second, interval: result.row.interval(held), label: result.row.policy)
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
        if let least = held.filter({ $0 > 0 }).min(), least < 1000 {
            warnings.append("\(least) requests are held out: a difference of 3 points may be noise")
        }
        for result in results {
            guard let routed = result.heldOut, routed.total.usable > 0 else { continue }
            if routed.sent == 0 || routed.sent == routed.total.usable {
                warnings.append(RoutingCollapse.text(result.row.policy, isLLM: routed.sent > 0, "held-out request"))
            }
        }
        return warnings
    }

    private func cells(_ result: Result) -> [Table.Cell] {
        let head: [Table.Cell] = [.text(result.row.policy), .text(result.row.aim.text), .text(result.said)]
        guard let train = result.chosen, let held = result.heldOut else {
            return head + Array(repeating: .none, count: 11)
        }
        let optimism = train.accuracy.flatMap { own in held.accuracy.map { own - $0 } }
        let met = held.meets(result.row.aim).map { $0 ? "met" : "missed" } ?? "unknown"
        return head + [
            train.threshold.map { .exact(.real($0), .ratio) } ?? .text("none is sent"),
            .exact(train.share, .share), .exact(held.share, .share), .exact(train.accuracy, .share),
            .exact(held.accuracy, .share, interval: result.row.interval(held)),
            .exact(optimism, .share, interval: isIndependent ? self.optimism(train, held) : nil),
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

    /// Of the difference of two samples.
    private func optimism(_ train: ScoredPart.Routed, _ held: ScoredPart.Routed) -> Interval? {
        guard let first = train.accuracy, let second = held.accuracy, let own = train.standardError,
            let other = held.standardError
        else { return nil }
        return Statistics.normal(
            mean: first - second, standardError: (own * own + other * other).squareRoot(), level: level,
            of: "two samples")
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
