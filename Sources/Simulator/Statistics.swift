/// Formulas for intervals and tests on counts.
package enum Statistics {
    /// The score interval of Wilson (1927) for a share of `successes` in `trials`; nil without trials.
    package static func wilson(successes: Int, trials: Int, level: ConfidenceLevel = .ninetyFive) -> Interval? {
        guard trials > 0, (0...trials).contains(successes) else { return nil }
        let (n, z) = (Double(trials), level.normalQuantile)
        let share = Double(successes) / n
        let centre = share + z * z / (2 * n)
        let spread = z * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        let scale = 1 + z * z / n
        return Interval(
            low: .real(max(0, (centre - spread) / scale)), high: .real(min(1, (centre + spread) / scale)),
            level: level.share, method: "Wilson score")
    }

    /// Mean ± z standard errors, unclamped.
    package static func normal(
        mean: Number, standardError: Double, level: ConfidenceLevel = .ninetyFive, of what: String
    ) -> Interval {
        let spread = level.normalQuantile * standardError
        return Interval(
            low: .real(mean.double - spread), high: .real(mean.double + spread), level: level.share,
            method: "normal, \(what)")
    }

    /// The standard error √(Σ(d−d̄)²/(n(n−1))) of a mean of `count` values from their sum and sum of squares; nil for
    /// fewer than two. For differences of the same requests it is the paired one (Miller, arXiv:2411.00640).
    package static func standardError(count: Int, sum: Int128, squares: Int128) -> Double? {
        guard count > 1 else { return nil }
        let n = Double(count)
        let (scaled, overflow) = squares.multipliedReportingOverflow(by: Int128(count))
        let (square, squareOverflow) = sum.multipliedReportingOverflow(by: sum)
        let spread =
            overflow || squareOverflow
            ? Double(squares) * n - Double(sum) * Double(sum) : Double(scaled - square)
        return (max(0, spread) / (n - 1)).squareRoot() / n
    }

    /// McNemar's test of two verdicts on the same requests.
    package struct McNemar: Sendable, Equatable {
        /// (b − c)² / (b + c), and (|b − c| − 1)² / (b + c) with the continuity correction; one degree of freedom.
        package let statistic: Number
        package let corrected: Number

        /// `firstOnly` and `secondOnly` are the discordant counts b and c; nil when both are zero.
        package init?(firstOnly: Int, secondOnly: Int) {
            let difference = Int128(firstOnly) - Int128(secondOnly)
            let discordant = Int128(firstOnly) + Int128(secondOnly)
            let reduced = max(0, Int128(clamping: difference.magnitude) - 1)
            let (square, overflow) = difference.multipliedReportingOverflow(by: difference)
            guard !overflow, let statistic = Number.quotient(square, discordant),
                let corrected = Number.quotient(reduced * reduced, discordant)
            else { return nil }
            self.statistic = statistic
            self.corrected = corrected
        }

        /// Above the 95 % point of χ² with one degree of freedom, 1.959964² = 3.841459.
        package var differs: Bool { corrected.double > 3.841458820694124 }
    }
}
