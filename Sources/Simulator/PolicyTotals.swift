/// The totals of a policy over a set of requests, ready to be divided and printed.
struct PolicyTotals {
    /// A total from `low` to `high`; nil: nobody can say how much.
    struct Range {
        var low: Number
        var high: Number?

        var exact: Number? { high.flatMap { $0 == low ? low : nil } }
    }

    let requests: Int
    let judged: Int
    /// Requests of which everything is known; a mixture counts the lesser.
    let replayable: Int
    var values: [Range]
    let unpriced: [Int]

    init(_ sums: LeafSums, scale: Int128) {
        requests = sums.requests
        judged = sums.judged
        replayable = sums.replayable
        unpriced = sums.unpriced
        values = sums.low.indices.map { index in
            let low = Number.quotient(sums.low[index], scale) ?? .zero
            return Range(low: low, high: sums.open[index] > 0 ? nil : Number.quotient(sums.high[index], scale))
        }
    }

    /// The first policy for a share of the requests, the second for the rest, in expectation. A share outside 0 to 1
    /// is taken as it is only where both are exact.
    init(_ first: PolicyTotals, _ share: Number, _ second: PolicyTotals) {
        requests = first.requests
        judged = first.judged
        replayable = min(first.replayable, second.replayable)
        unpriced = zip(first.unpriced, second.unpriced).map(max)
        let rest = .one - share
        values = zip(first.values, second.values).map { first, second in
            let low = first.low * share + second.low * rest
            guard let firstHigh = first.high, let secondHigh = second.high else {
                // What is taken for no request needs no upper end.
                if share == .zero { return Range(low: second.low, high: second.high) }
                if share == .one { return Range(low: first.low, high: first.high) }
                return Range(low: low, high: nil)
            }
            return Range(low: low, high: firstHigh * share + secondHigh * rest)
        }
    }

    subscript(quantity: Quantity) -> Range { values[quantity.rawValue] }
    subscript(cost index: Int) -> Range { values[Quantity.allCases.count + index] }

    /// The share of judged requests that are right.
    var accuracy: Range? {
        guard judged > 0 else { return nil }
        return divided(self[.correct], by: Int128(judged) * Int128(ReplayPlan.million))
    }

    /// LLM tokens by all generated tokens.
    var callRatio: Range {
        let (llm, slm) = (self[.llmTokens], self[.slmTokens])
        func ratio(_ part: Number, _ rest: Number) -> Number { part.divided(by: part + rest) ?? .zero }
        let low = slm.high.map { ratio(llm.low, $0) } ?? .zero
        // Without an end of the LLM's tokens the ratio may come as near to 1 as it likes.
        return Range(low: low, high: llm.high.map { ratio($0, slm.low) } ?? .one)
    }

    /// The mean over the requests with a token; nil where none can have one.
    var meanCallRatio: Range? {
        let (share, answered) = (self[.callShare], self[.answered])
        let scale = Number.whole(Quantity.shareScale)
        guard let most = answered.high, let low = share.low.divided(by: most * scale) else { return nil }
        let high = share.high.flatMap { $0.divided(by: answered.low * scale) } ?? .one
        return Range(low: low, high: high < .one ? high : .one)
    }

    var requestShare: Range? { requests == 0 ? nil : divided(self[.reached], by: Int128(requests)) }

    var generated: Range {
        let (llm, slm) = (self[.llmTokens], self[.slmTokens])
        return Range(low: llm.low + slm.low, high: llm.high.flatMap { high in slm.high.map { $0 + high } })
    }

    private func divided(_ range: Range, by divisor: Int128) -> Range {
        func part(_ number: Number) -> Number { number.divided(by: .whole(divisor)) ?? .zero }
        return Range(low: part(range.low), high: range.high.map(part))
    }
}

extension PolicyTotals.Range {
    /// The finding that it is.
    ///
    /// - Parameters:
    ///   - reason: why it is not exact.
    ///   - scale: what the numbers are divided by to be in the unit.
    func finding(_ unit: Unit, reason: String, scale: Int128 = 1, interval: Interval? = nil) -> Finding {
        func scaled(_ number: Number) -> Number { scale == 1 ? number : number.divided(by: .whole(scale)) ?? .zero }
        guard let high else { return .atLeast(scaled(low), unit, reason: reason) }
        var finding = Finding.bounded(scaled(low), scaled(high), unit, reason: reason)
        if finding.reason == nil { finding.interval = interval }
        return finding
    }
}
