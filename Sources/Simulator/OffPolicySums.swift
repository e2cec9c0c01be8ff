/// One logged decision, for estimating what another policy would have earned.
package struct OffPolicySample: Sendable, Equatable {
    /// What the logged action earned: 1 for a right answer, for example.
    package var reward: Double
    /// The probability with which the logging policy took the logged action.
    package var propensity: Double
    /// The probability with which the target policy takes it.
    package var target: Double
    /// What a model says that the logged action earns; 0 without a model.
    package var predicted: Double
    /// What the model says that the target policy earns: its mean over the target's actions.
    package var predictedForTarget: Double
    /// The target's probability of actions that the logging policy would never have taken here.
    package var unsupported: Double

    package init(
        reward: Double, propensity: Double, target: Double, predicted: Double = 0, predictedForTarget: Double = 0,
        unsupported: Double = 0
    ) {
        self.reward = reward
        self.propensity = propensity
        self.target = target
        self.predicted = predicted
        self.predictedForTarget = predictedForTarget
        self.unsupported = unsupported
    }

    /// A choice between the SLM and the LLM.
    ///
    /// - Parameters:
    ///   - logged: the probability of the LLM when the request was served.
    ///   - target: the probability of the LLM under the target policy.
    ///   - model: what the SLM and the LLM earn according to a model; nil without one.
    package init(
        reward: Double, tookLLM: Bool, logged: Double, target: Double, model: (slm: Double, llm: Double)? = nil
    ) {
        self.init(
            reward: reward, propensity: tookLLM ? logged : 1 - logged, target: tookLLM ? target : 1 - target,
            predicted: model.map { tookLLM ? $0.llm : $0.slm } ?? 0,
            predictedForTarget: model.map { target * $0.llm + (1 - target) * $0.slm } ?? 0,
            unsupported: logged <= 0 ? target : logged >= 1 ? 1 - target : 0)
    }
}

/// Everything that the estimators of `OffPolicyEstimates` need, in a fixed size; values of parts can be merged.
///
/// Terms are rounded to units of 2^-52 (squares: 2^-32) and summed as whole numbers, so that neither the order of
/// requests nor the number of parts can be seen in a result.
package struct OffPolicySums: Sendable, Equatable {
    /// Weights above 2^20 and rewards of 2^20 in size are refused: one request would outweigh a million.
    package static let magnitudeLimit = 0x1p20

    private static let unit = 0x1p52
    private static let squareUnit = 0x1p32

    /// Weights are cut at this for the clipped estimate; nil for none.
    package let clip: Double?
    package internal(set) var count = 0
    package internal(set) var unsupported = 0
    package internal(set) var malformed = 0
    package internal(set) var maximumWeight = 0.0
    var sums = [Int128](repeating: 0, count: Term.allCases.count)

    enum Term: Int, CaseIterable {
        case weight, weighted, clipped, robust
        case weightSquared, weightedSquared, robustSquared, squaredTimesReward
    }

    /// A clip that is not above zero is none.
    package init(clip: Double? = nil) { self.clip = clip.flatMap { $0 > 0 ? $0 : nil } }

    package mutating func add(_ sample: OffPolicySample) {
        let weight = sample.target / sample.propensity
        let inRange = [sample.reward, sample.predicted, sample.predictedForTarget]
            .allSatisfy { $0.magnitude <= OffPolicySums.magnitudeLimit }
        count += 1
        guard (0...1).contains(sample.target), sample.propensity > 0, sample.propensity <= 1, inRange,
            (0...OffPolicySums.magnitudeLimit).contains(weight)
        else {
            malformed += 1
            return
        }
        if sample.unsupported > 0 { unsupported += 1 }
        maximumWeight = max(maximumWeight, weight)
        let weighted = weight * sample.reward
        let robust = sample.predictedForTarget + weight * (sample.reward - sample.predicted)
        add(.weight, weight)
        add(.weighted, weighted)
        add(.clipped, min(weight, clip ?? weight) * sample.reward)
        add(.robust, robust)
        add(.weightSquared, weight * weight)
        add(.weightedSquared, weighted * weighted)
        add(.robustSquared, robust * robust)
        add(.squaredTimesReward, weight * weighted)
    }

    /// Sums of another part; its clip must be the same.
    package mutating func merge(_ other: OffPolicySums) {
        count += other.count
        unsupported += other.unsupported
        malformed += other.malformed
        maximumWeight = max(maximumWeight, other.maximumWeight)
        for index in sums.indices { sums[index] = OffPolicySums.saturated(sums[index], other.sums[index]) }
    }

    func sum(_ term: Term) -> Double {
        Double(sums[term.rawValue]) / (term.rawValue < Term.weightSquared.rawValue ? Self.unit : Self.squareUnit)
    }

    private mutating func add(_ term: Term, _ value: Double) {
        let unit = term.rawValue < Term.weightSquared.rawValue ? Self.unit : Self.squareUnit
        let scaled = Int128((value * unit).rounded())
        sums[term.rawValue] = OffPolicySums.saturated(sums[term.rawValue], scaled)
    }

    /// The largest term is 2^115 in size; a sum stays at the end of 128 bits when it gets there.
    static func saturated(_ first: Int128, _ second: Int128) -> Int128 {
        let (sum, overflow) = first.addingReportingOverflow(second)
        return overflow ? (second < 0 ? .min : .max) : sum
    }
}
