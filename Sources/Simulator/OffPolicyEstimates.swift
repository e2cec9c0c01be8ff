/// Estimates of what a target policy earns for each request, from a log of another policy that drew its actions.
package struct OffPolicyEstimates: Sendable, Equatable {
    package struct Estimate: Sendable, Equatable {
        package let value: Double
        package let standardError: Double?
    }

    /// Why there is no estimate.
    package enum Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        case noSamples
        /// Requests in which the target takes actions that the log never would have.
        case noSupport(requests: Int)
        /// Requests whose probabilities or rewards are no numbers that can be used.
        case malformed(requests: Int)
        /// The target never takes a logged action.
        case noWeight

        package var description: String {
            switch self {
            case .noSamples: "no request has a propensity"
            case .noSupport(let requests):
                "in \(requests) requests the policy takes an action that the log could not have taken (propensity 0)"
            case .malformed(let requests):
                "\(requests) requests have a propensity outside (0, 1], a weight above 2^20 or a reward beyond ±2^20"
            case .noWeight: "the policy never takes an action that was logged"
            }
        }
    }

    /// Inverse propensity scoring (Horvitz and Thompson 1952; obp's IPW): Σ w·r / n with w = target / propensity.
    package let ips: Estimate
    /// Self-normalised (Hájek; Swaminathan and Joachims 2015): Σ w·r / Σ w.
    package let snips: Estimate
    /// Doubly robust (Dudík et al. 2014): Σ (model under the target + w·(r − model)) / n.
    package let doublyRobust: Estimate
    /// IPS with weights cut at `OffPolicySums.clip`; biased towards zero.
    package let clipped: Double
    /// Kish's (Σ w)² / Σ w²: how many requests of equal weight would say as much.
    package let effectiveSampleSize: Double
    package let maximumWeight: Double
    /// Σ w / n: 1 on average where propensities are right and every action of the target could be drawn.
    package let meanWeight: Estimate
    package let count: Int

    package init(_ sums: OffPolicySums) throws(Refusal) {
        guard sums.count > 0 else { throw .noSamples }
        guard sums.malformed == 0 else { throw .malformed(requests: sums.malformed) }
        guard sums.unsupported == 0 else { throw .noSupport(requests: sums.unsupported) }
        let (n, weight, squared) = (Double(sums.count), sums.sum(.weight), sums.sum(.weightSquared))
        guard weight > 0, squared > 0 else { throw .noWeight }
        func mean(_ term: OffPolicySums.Term, _ square: OffPolicySums.Term) -> Estimate {
            let value = sums.sum(term) / n
            let spread = max(0, sums.sum(square) / n - value * value)
            return Estimate(value: value, standardError: sums.count > 1 ? (spread / (n - 1)).squareRoot() : nil)
        }
        ips = mean(.weighted, .weightedSquared)
        doublyRobust = mean(.robust, .robustSquared)
        meanWeight = mean(.weight, .weightSquared)
        let normalised = sums.sum(.weighted) / weight
        // Delta method: Σ w²(r − μ)² / (Σ w)².
        let spread =
            sums.sum(.weightedSquared) - 2 * normalised * sums.sum(.squaredTimesReward)
            + normalised * normalised * squared
        snips = Estimate(value: normalised, standardError: max(0, spread).squareRoot() / weight)
        clipped = sums.sum(.clipped) / n
        effectiveSampleSize = weight * weight / squared
        maximumWeight = sums.maximumWeight
        count = sums.count
    }

    /// What a reader must know of this estimate; empty when the sample is broad enough.
    package var warnings: [String] {
        var warnings: [String] = []
        if effectiveSampleSize < 100 || effectiveSampleSize < Double(count) / 10 {
            warnings.append(
                "the effective sample is \(Decimals.text(effectiveSampleSize, decimals: 1)) of \(count) requests")
        }
        if maximumWeight > Double(count) / 100 {
            warnings.append(
                "one request has weight \(Decimals.text(maximumWeight, decimals: 1)), more than 1 % of all")
        }
        // By chance three standard errors off in three of a thousand logs; sums are rounded in the last digits.
        let distance = (meanWeight.value - 1).magnitude
        if distance > 0.2 || distance > 3 * (meanWeight.standardError ?? 1) + 1e-9 {
            warnings.append(
                "the mean weight is \(Decimals.text(meanWeight.value, decimals: 4)), far from 1: the sample is small, "
                    + "propensities are wrong, or the log lacks requests of some action")
        }
        return warnings
    }
}

/// Outcomes of a sample whose members were drawn with known probabilities, such as shadow runs of another policy.
package struct ShadowSums: Sendable, Equatable {
    private static let unit = 0x1p52
    private static let squareUnit = 0x1p32

    /// All requests that could have been drawn.
    package internal(set) var population = 0
    package internal(set) var sampled = 0
    /// Drawn requests whose outcome nobody judged; they are not among the sampled ones.
    package internal(set) var unjudged = 0
    package internal(set) var malformed = 0
    /// Drawn requests whose probability nobody said.
    package internal(set) var unstated = 0
    var weighted: Int128 = 0
    var weights: Int128 = 0
    var variance: Int128 = 0

    package init() {}

    /// Adds a request; `outcome` is nil for one that was not drawn, or not judged. Probabilities below 2^-20 are
    /// malformed.
    package mutating func add(outcome: Double?, inclusion: Double?, isUnjudged: Bool = false) {
        population += 1
        if isUnjudged { unjudged += 1 }
        guard let outcome else { return }
        sampled += 1
        guard let inclusion else {
            unstated += 1
            return
        }
        guard inclusion >= 1 / OffPolicySums.magnitudeLimit, inclusion <= 1,
            outcome.magnitude <= OffPolicySums.magnitudeLimit
        else {
            malformed += 1
            return
        }
        let value = outcome / inclusion
        let square = (1 - inclusion) * value * value
        weighted = OffPolicySums.saturated(weighted, Int128((value * Self.unit).rounded()))
        weights = OffPolicySums.saturated(weights, Int128((Self.unit / inclusion).rounded()))
        variance = OffPolicySums.saturated(variance, Int128((square * Self.squareUnit).rounded()))
    }

    package mutating func merge(_ other: ShadowSums) {
        population += other.population
        sampled += other.sampled
        unjudged += other.unjudged
        malformed += other.malformed
        unstated += other.unstated
        weighted = OffPolicySums.saturated(weighted, other.weighted)
        weights = OffPolicySums.saturated(weights, other.weights)
        variance = OffPolicySums.saturated(variance, other.variance)
    }

    /// Why there is no estimate although requests were drawn.
    package var refusal: String? {
        if unstated > 0 { return "inclusion_probability is missing in \(unstated) of \(sampled) shadow runs" }
        if malformed > 0 { return "inclusion_probability is below 2^-20 in \(malformed) of \(sampled) shadow runs" }
        if sampled > 0, sampled < population, weights == Int128(sampled) * Int128(Self.unit) {
            return
                "inclusion_probability is 1 in every shadow run, yet \(population - sampled) of \(population) requests "
                + "have no verdict of one"
        }
        return nil
    }

    /// Horvitz-Thompson: Σ y/π / N; its variance Σ (1−π)·y²/π² / N² holds when requests are drawn independently.
    package var horvitzThompson: OffPolicyEstimates.Estimate? {
        guard sampled > 0, refusal == nil else { return nil }
        let n = Double(population)
        return OffPolicyEstimates.Estimate(
            value: Double(weighted) / Self.unit / n,
            standardError: (Double(variance) / Self.squareUnit).squareRoot() / n)
    }

    /// Hájek: Σ y/π / Σ 1/π, which does not need the size of the population.
    package var hajek: Number? {
        guard sampled > 0, refusal == nil else { return nil }
        return Number.quotient(weighted, weights)
    }
}
