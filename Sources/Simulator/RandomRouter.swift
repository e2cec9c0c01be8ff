/// How often each of two models was right on the same requests.
package struct PairCounts: Sendable, Equatable {
    package var both = 0
    package var slmOnly = 0
    package var llmOnly = 0
    package var neither = 0

    package init(both: Int = 0, slmOnly: Int = 0, llmOnly: Int = 0, neither: Int = 0) {
        self.both = both
        self.slmOnly = slmOnly
        self.llmOnly = llmOnly
        self.neither = neither
    }

    package mutating func add(slm: Bool, llm: Bool) {
        switch (slm, llm) {
        case (true, true): both += 1
        case (true, false): slmOnly += 1
        case (false, true): llmOnly += 1
        case (false, false): neither += 1
        }
    }

    package mutating func merge(_ other: PairCounts) {
        both += other.both
        slmOnly += other.slmOnly
        llmOnly += other.llmOnly
        neither += other.neither
    }

    package var requests: Int { both + slmOnly + llmOnly + neither }
    package var slmCorrect: Int { both + slmOnly }
    package var llmCorrect: Int { both + llmOnly }

    /// Shares of the requests; nil without requests.
    package var slmAccuracy: Number? { Number.quotient(slmCorrect, requests) }
    package var llmAccuracy: Number? { Number.quotient(llmCorrect, requests) }
    package var difference: Number? { Number.quotient(llmOnly - slmOnly, requests) }
    /// At least one is right: the oracle's accuracy.
    package var union: Number? { Number.quotient(both + slmOnly + llmOnly, requests) }
    package var intersection: Number? { Number.quotient(both, requests) }

    /// Of the paired difference of verdicts, and of the same difference had the requests been two samples.
    package var pairedStandardError: Double? {
        Statistics.standardError(
            count: requests, sum: Int128(llmOnly - slmOnly), squares: Int128(llmOnly + slmOnly))
    }

    package var unpairedStandardError: Double? {
        guard
            let slm = Statistics.standardError(
                count: requests, sum: Int128(slmCorrect), squares: Int128(slmCorrect)),
            let llm = Statistics.standardError(
                count: requests, sum: Int128(llmCorrect), squares: Int128(llmCorrect))
        else { return nil }
        return (slm * slm + llm * llm).squareRoot()
    }
}

/// Sends each request to the LLM with the same probability, whatever it asks: the line that a router has to beat.
package enum RandomRouter {
    /// The mean over requests of slm + share · (llm − slm), exactly. Nil without requests.
    package static func accuracy(_ counts: PairCounts, share: Number) -> Number? {
        guard let slm = counts.slmAccuracy, let difference = counts.difference else { return nil }
        return slm + share * difference
    }

    /// The standard deviation of one run that throws a coin for each request: √(p(1−p)·Σd²) / n.
    package static func coinDeviation(_ counts: PairCounts, share: Number) -> Number? {
        let discordant = Number.whole(Int128(counts.llmOnly + counts.slmOnly))
        return (share * (.one - share) * discordant).squareRoot
            .divided(by: .whole(Int128(counts.requests)))
    }

    /// The standard deviation of one run that draws exactly p·n requests: √(p(1−p)·n/(n−1)·Σ(d−d̄)²) / n.
    package static func fixedDeviation(_ counts: PairCounts, share: Number) -> Number? {
        let n = Number.whole(Int128(counts.requests))
        let sum = Number.whole(Int128(counts.llmOnly - counts.slmOnly))
        guard let mean = sum.divided(by: n), let correction = n.divided(by: n - .one) else { return nil }
        let spread = Number.whole(Int128(counts.llmOnly + counts.slmOnly)) - sum * mean
        return (share * (.one - share) * correction * spread).squareRoot.divided(by: n)
    }
}

/// Knows before it routes which answers will be right; the bound of every router between the two models.
package enum OracleRouter {
    /// Sends at most this share, and only requests that the LLM alone gets right (RouteLLM's optimal router).
    package static func flat(_ counts: PairCounts, share: Number) -> Number? {
        let budget = share * .whole(Int128(counts.requests))
        let won = least(budget, .whole(Int128(counts.llmOnly)))
        return (.whole(Int128(counts.slmCorrect)) + won).divided(by: .whole(Int128(counts.requests)))
    }

    /// Has to send exactly this share: first those that are won, then those that change nothing, then the lost.
    package static func forced(_ counts: PairCounts, share: Number) -> Number? {
        exactly(counts, share: share, first: counts.llmOnly, firstGain: 1, lastGain: -1)
    }

    /// The worst router that sends exactly this share.
    package static func worst(_ counts: PairCounts, share: Number) -> Number? {
        exactly(counts, share: share, first: counts.slmOnly, firstGain: -1, lastGain: 1)
    }

    /// The flat oracle's accuracy against its share, with its only corner: no grid is between the points.
    package static func flatCurve(_ counts: PairCounts) -> QualityCurve {
        let shares = [Number.zero, Number.quotient(counts.llmOnly, counts.requests) ?? .zero, .one]
        return curve(shares) { flat(counts, share: $0) }
    }

    /// Points of a router's accuracy at these shares.
    package static func curve(_ shares: [Number], accuracy: (Number) -> Number?) -> QualityCurve {
        QualityCurve(
            shares.compactMap { share in accuracy(share).map { QualityCurve.Point(cost: share, accuracy: $0) } })
    }

    private static func exactly(
        _ counts: PairCounts, share: Number, first: Int, firstGain: Int128, lastGain: Int128
    ) -> Number? {
        let budget = share * .whole(Int128(counts.requests))
        let begun = least(budget, .whole(Int128(first)))
        let ended = budget - .whole(Int128(first + counts.both + counts.neither))
        let sent = ended > .zero ? ended : .zero
        let correct = Number.whole(Int128(counts.slmCorrect)) + begun * .whole(firstGain) + sent * .whole(lastGain)
        return correct.divided(by: .whole(Int128(counts.requests)))
    }

    private static func least(_ first: Number, _ second: Number) -> Number { first < second ? first : second }
}
