/// Sends requests with a score of at least a threshold to the LLM.
package struct ThresholdRouter: Sendable, Equatable {
    package struct Point: Sendable, Equatable {
        /// Requests at or above it go to the LLM; nil: none does.
        package var threshold: Double?
        package var requests: Int
        package var counts: PairCounts
        package var correct: Int
    }

    /// One for each distinct score from the highest down, after the point at which nothing is sent.
    package let points: [Point]
    package let requests: Int

    /// Scores and verdicts of the same requests; scores must not be NaN.
    package init(scores: [Double], verdicts: [(slm: Bool, llm: Bool)]) {
        let order = zip(scores, verdicts).sorted { $0.0 > $1.0 }
        requests = order.count
        var correct = order.count { $0.1.slm }
        var counts = PairCounts()
        var points = [Point(threshold: nil, requests: 0, counts: counts, correct: correct)]
        for (place, entry) in order.enumerated() {
            counts.add(slm: entry.1.slm, llm: entry.1.llm)
            correct += (entry.1.llm ? 1 : 0) - (entry.1.slm ? 1 : 0)
            // Requests of one score cannot be told apart.
            if place + 1 < order.count, order[place + 1].0 == entry.0 { continue }
            points.append(Point(threshold: entry.0, requests: place + 1, counts: counts, correct: correct))
        }
        self.points = points
    }

    /// Accuracy against the share of requests sent, at every threshold that there is.
    package var curve: QualityCurve {
        QualityCurve(
            points.compactMap { point in
                guard let share = share(point), let accuracy = accuracy(point) else { return nil }
                return QualityCurve.Point(cost: share, accuracy: accuracy)
            })
    }

    package func share(_ point: Point) -> Number? { Number.quotient(point.requests, requests) }
    package func accuracy(_ point: Point) -> Number? { Number.quotient(point.correct, requests) }

    /// The point of a threshold: everything at or above it is sent.
    package func point(threshold: Double) -> Point? {
        points.last { $0.threshold.map { $0 >= threshold } ?? true }
    }

    /// The points nearest below or at each tenth of the requests, without repetition.
    package var deciles: [Point] {
        var taken: [Point] = []
        for tenth in 0...10 {
            if let point = points.last(where: { $0.requests * 10 <= requests * tenth }), taken.last != point {
                taken.append(point)
            }
        }
        return taken
    }
}
