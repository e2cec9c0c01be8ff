/// What one model's answers to some requests come to.
struct ModelSums: Equatable {
    /// Millionths of right answers and the sum of their squares, over the requests that can be used.
    var right: Int128 = 0
    var squares: Int128 = 0
    /// What they cost, in pico-dollars, at least and at most.
    var costLow: Int128 = 0
    var costHigh: Int128 = 0
    /// Millionths of right answers over all judged requests, at least and at most.
    var least: Int128 = 0
    var most: Int128 = 0

    static let width = 6

    var values: [Int128] { [right, squares, costLow, costHigh, least, most] }

    init() {}

    /// From `values`; takes six.
    init(_ values: ArraySlice<Int128>) {
        guard values.count == ModelSums.width else { return }
        let first = values.startIndex
        (right, squares, costLow) = (values[first], values[first + 1], values[first + 2])
        (costHigh, least, most) = (values[first + 3], values[first + 4], values[first + 5])
    }

    static func += (left: inout ModelSums, right: ModelSums) { left.add(right, 1) }
    static func -= (left: inout ModelSums, right: ModelSums) { left.add(right, -1) }

    private mutating func add(_ other: ModelSums, _ sign: Int128) {
        right += sign * other.right
        squares += sign * other.squares
        costLow += sign * other.costLow
        costHigh += sign * other.costHigh
        least += sign * other.least
        most += sign * other.most
    }

    /// One request that can be used, right with these millionths.
    mutating func add(right verdict: Int128, cost: Extent) {
        right += verdict
        squares += verdict * verdict
        costLow += cost.low
        costHigh += cost.high
    }

    /// One judged request, usable or not.
    mutating func add(bounds: Extent) {
        least += bounds.low
        most += bounds.high
    }
}

/// Requests that a threshold cannot tell apart, under either model.
struct ScoreSums: Equatable {
    /// Requests with a verdict of either model, which a threshold can be chosen and reported on.
    var usable = 0
    /// Those and the ones of which a verdict may be missing.
    var judged = 0
    /// Of the usable, those without a price or an upper end of what they cost.
    var unpriced = 0
    var slm = ModelSums()
    var llm = ModelSums()

    init() {}

    /// One usable request: whether either model is right, and what its answer costs.
    init(slm: (isRight: Bool, cost: Int128), llm: (isRight: Bool, cost: Int128)) {
        let million = Int128(ReplayPlan.million)
        usable = 1
        judged = 1
        self.slm.add(right: slm.isRight ? million : 0, cost: Extent(slm.cost))
        self.llm.add(right: llm.isRight ? million : 0, cost: Extent(llm.cost))
        self.slm.add(bounds: Extent(slm.isRight ? million : 0))
        self.llm.add(bounds: Extent(llm.isRight ? million : 0))
    }

    mutating func merge(_ other: ScoreSums) {
        usable += other.usable
        judged += other.judged
        unpriced += other.unpriced
        slm += other.slm
        llm += other.llm
    }
}

/// One part of a split, by score.
struct ScoredPart {
    /// From the highest score down; a score is the least of its requests'.
    let bins: [(score: Double, sums: ScoreSums)]
    let total: ScoreSums

    /// - Parameter rows: requests in any order, some of one score together or not.
    init(rows: [(score: Double, sums: ScoreSums)]) {
        var bins: [Double: ScoreSums] = [:]
        for row in rows { bins[row.score, default: ScoreSums()].merge(row.sums) }
        self.bins = bins.map { ($0.key, $0.value) }.sorted { $0.score > $1.score }
        total = rows.reduce(into: ScoreSums()) { $0.merge($1.sums) }
    }

    /// The score of all usable requests where two or more of them have the same one.
    var onlyScore: Double? {
        let scores = bins.filter { $0.sums.usable > 0 }
        return total.usable > 1 && scores.count == 1 ? scores.first?.score : nil
    }

    /// What a threshold does to the requests of a part.
    struct Routed: Equatable {
        /// Requests at or above it go to the LLM; nil: none does.
        var threshold: Double?
        /// Usable requests that go to the LLM.
        var sent = 0
        /// What the answers come to, each by the model that gave it.
        var answers: ModelSums
        /// The whole part under either model alone.
        let total: ScoreSums

        var share: Number? { Number.quotient(sent, total.usable) }
        var accuracy: Number? { of(answers) }
        var slmAccuracy: Number? { of(total.slm) }
        var llmAccuracy: Number? { of(total.llm) }

        private func of(_ sums: ModelSums) -> Number? {
            Number.quotient(sums.right, Int128(total.usable) * Int128(ReplayPlan.million))
        }

        /// Pico-dollars for 1,000 requests, at least and at most; nil where some have no price.
        var cost: (low: Number, high: Number)? { cost(of: answers) }

        /// The same of other answers to these requests.
        func cost(of sums: ModelSums) -> (low: Number, high: Number)? {
            guard total.unpriced == 0, let low = Number.quotient(sums.costLow * 1000, Int128(total.usable)),
                let high = Number.quotient(sums.costHigh * 1000, Int128(total.usable))
            else { return nil }
            return (low, high)
        }

        /// Of all judged requests, those with a verdict missing included.
        var bounds: (low: Number, high: Number)? {
            let judged = Int128(total.judged) * Int128(ReplayPlan.million)
            guard let low = Number.quotient(answers.least, judged), let high = Number.quotient(answers.most, judged)
            else { return nil }
            return (low, high)
        }

        /// Of the accuracy, taking requests as independent; nil for fewer than two.
        var standardError: Double? {
            Statistics.standardError(count: total.usable, sum: answers.right, squares: answers.squares).map {
                $0 / Double(ReplayPlan.million)
            }
        }

        /// Of the accuracy, taking requests as independent: Wilson's where all verdicts are right or wrong.
        func interval(level: ConfidenceLevel) -> Interval? {
            let million = Int128(ReplayPlan.million)
            if answers.squares == answers.right * million {
                return Statistics.wilson(
                    successes: Int(clamping: answers.right / million), trials: total.usable, level: level)
            }
            guard let accuracy, let standardError else { return nil }
            return Statistics.normal(mean: accuracy, standardError: standardError, level: level, of: "standard error")
        }

        /// A random router with the same share of the same requests.
        var random: Number? {
            guard let share, let slmAccuracy, let llmAccuracy else { return nil }
            return slmAccuracy + share * (llmAccuracy - slmAccuracy)
        }

        /// Whether an aim holds on these requests; nil where nobody can say.
        func meets(_ aim: ThresholdAim) -> Bool? {
            switch aim {
            case .share(let most): share.map { $0 <= .written(most) }
            case .accuracy(let least): accuracy.map { $0 >= .written(least) }
            case .llmAccuracy(let part):
                llmAccuracy.flatMap { llm in accuracy.map { $0 >= .written(part) * llm } }
            case .cost(let dollars):
                cost.flatMap { cost in
                    let most = Number.written(dollars) * .whole(1_000_000_000_000)
                    return cost.high <= most ? true : cost.low > most ? false : nil
                }
            }
        }
    }

    /// Each threshold that tells usable requests apart, from the one that sends none down to the one that sends all.
    var points: [Routed] {
        var point = Routed(threshold: nil, answers: total.slm, total: total)
        var points = [point]
        for bin in bins {
            point.threshold = bin.score
            point.sent += bin.sums.usable
            point.answers -= bin.sums.slm
            point.answers += bin.sums.llm
            if bin.sums.usable > 0 { points.append(point) }
        }
        return points
    }

    /// Accuracy against the share of requests sent, at every threshold that there is.
    var curve: QualityCurve {
        QualityCurve(
            points.compactMap { point in
                guard let share = point.share, let accuracy = point.accuracy else { return nil }
                return QualityCurve.Point(cost: share, accuracy: accuracy)
            })
    }

    /// The points nearest below or at each tenth of the requests, without repetition.
    var deciles: [Routed] {
        var taken: [Routed] = []
        let points = points
        for tenth in 0...10 {
            if let point = points.last(where: { $0.sent * 10 <= total.usable * tenth }), taken.last != point {
                taken.append(point)
            }
        }
        return taken
    }

    /// What a threshold that was chosen elsewhere does here.
    func routed(_ threshold: Double?) -> Routed {
        var point = Routed(threshold: threshold, answers: total.slm, total: total)
        guard let threshold else { return point }
        for bin in bins where bin.score >= threshold {
            point.sent += bin.sums.usable
            point.answers -= bin.sums.slm
            point.answers += bin.sums.llm
        }
        return point
    }

    /// Why no threshold was chosen, which is a result.
    struct Refusal: Error, Equatable {
        let reason: String
    }

    /// The threshold that meets an aim on these requests: the most accurate within a share or a cost, the one with
    /// the fewest requests to the LLM within an accuracy. Of equals, the one that sends less.
    func choose(_ aim: ThresholdAim) throws(Refusal) -> Routed {
        guard total.usable > 0 else {
            throw Refusal(reason: "no threshold: the training part has no request with a score and both verdicts")
        }
        if aim.isCost, total.unpriced > 0 {
            throw Refusal(reason: "no threshold: \(total.unpriced) requests of the training part have no exact price")
        }
        let points = points
        let meeting = points.filter { $0.meets(aim) == true }
        switch aim {
        case .share, .cost:
            // Points come by rising share, so that the first of equals sends least.
            var best = meeting.first
            for point in meeting.dropFirst() where point.answers.right > (best?.answers.right ?? 0) { best = point }
            if let best { return best }
            let least = points.compactMap { $0.cost?.high }.min { $0 < $1 } ?? .zero
            throw Refusal(
                reason: "no threshold meets the aim: the cheapest costs $"
                    + "\(Decimals.text(least * .ratio(1, 1_000_000_000_000), decimals: 6)) for 1,000 requests")
        case .accuracy, .llmAccuracy:
            if let first = meeting.first { return first }
            let most = points.compactMap(\.accuracy).max { $0 < $1 } ?? .zero
            throw Refusal(
                reason: "no threshold meets the aim: the most accurate has \(Decimals.text(most, decimals: 6))")
        }
    }
}
