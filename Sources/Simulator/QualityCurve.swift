/// Accuracy against cost as straight lines between points, and the numbers that sum such a curve up.
package struct QualityCurve: Sendable, Equatable {
    package struct Point: Sendable, Equatable {
        package var cost: Number
        package var accuracy: Number

        package init(cost: Number, accuracy: Number) {
            self.cost = cost
            self.accuracy = accuracy
        }
    }

    /// By rising cost.
    package let points: [Point]

    package init(_ points: [Point]) {
        self.points = points.enumerated().sorted {
            let order = $0.element.cost.compared(to: $1.element.cost)
            return order == 0 ? $0.offset < $1.offset : order == -1
        }.map(\.element)
    }

    /// The area under the curve by trapezoids, from its first point to its last.
    package var area: Number {
        zip(points, points.dropFirst()).reduce(Number.zero) { sum, pair in
            sum + (pair.1.cost - pair.0.cost) * (pair.0.accuracy + pair.1.accuracy) * .ratio(1, 2)
        }
    }

    /// From the first cost to the last.
    package var width: Number {
        guard let first = points.first, let last = points.last else { return .zero }
        return last.cost - first.cost
    }

    /// APGR (RouteLLM): (area − SLM's area) / (LLM's area − SLM's area), where the cost is the LLM's share of requests.
    /// Above 1 is possible. Nil when the models are equal or the curve has no width.
    package func averageGapRecovered(slm: Number, llm: Number) -> Number? {
        (area - slm * width).divided(by: (llm - slm) * width)
    }

    /// CPT (RouteLLM): the least cost at which the curve reaches slm + part · (llm − slm); nil when it never does, and
    /// when the LLM is not the better model: then there is no gap to recover.
    ///
    /// The first crossing is taken. Interpolating accuracies as `np.interp` does needs a rising curve and is silently
    /// wrong on others.
    package func costOfGapRecovered(_ part: Number, slm: Number, llm: Number) -> Number? {
        let target = slm + part * (llm - slm)
        guard slm < llm, let first = points.first else { return nil }
        if first.accuracy >= target { return first.cost }
        for (from, to) in zip(points, points.dropFirst()) where to.accuracy >= target {
            guard let part = (target - from.accuracy).divided(by: to.accuracy - from.accuracy) else { continue }
            return from.cost + part * (to.cost - from.cost)
        }
        return nil
    }

    /// The smallest concave curve that is nowhere below these points and never falls: what mixing them at random
    /// reaches (RouterBench's non-decreasing convex hull).
    package var hull: QualityCurve {
        var kept: [Point] = []
        for point in points {
            // A dearer point that is no better is not on the way up.
            if let last = kept.last, point.accuracy <= last.accuracy { continue }
            if let last = kept.last, last.cost.compared(to: point.cost) == 0 { kept.removeLast() }
            while kept.count > 1, !QualityCurve.turnsDown(kept[kept.count - 2], kept[kept.count - 1], point) {
                kept.removeLast()
            }
            kept.append(point)
        }
        if let best = kept.last, let last = points.last, best.cost < last.cost {
            kept.append(Point(cost: last.cost, accuracy: best.accuracy))
        }
        return QualityCurve(kept)
    }

    /// AIQ as the RouterBench paper has it: area of the hull / (dearest − cheapest). Nil without width.
    package var averageQuality: Number? { hull.area.divided(by: width) }

    /// AIQ as RouterBench's code has it (AIQ.py): the same area / dearest cost.
    package var averageQualityOverDearest: Number? { points.last.flatMap { hull.area.divided(by: $0.cost) } }

    /// Whether the slope falls at the middle point.
    private static func turnsDown(_ first: Point, _ middle: Point, _ last: Point) -> Bool {
        (middle.accuracy - first.accuracy) * (last.cost - middle.cost)
            > (last.accuracy - middle.accuracy) * (middle.cost - first.cost)
    }
}
