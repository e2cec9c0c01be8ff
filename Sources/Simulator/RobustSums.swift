/// What a doubly robust estimate (Dudík et al. 2014) needs when its model of values is known only at the end: one
/// constant for the SLM and one for the LLM.
///
/// With w = target / propensity, t the target's probability of the LLM and m the constants, the term of a request is
/// m_slm·((1 − t) − w·[SLM answered]) + m_llm·(t − w·[LLM answered]) + w·r. Sums of the three factors and of their
/// products are kept, in whole units as in `OffPolicySums`, so that neither order nor parts can be seen in a result.
struct RobustSums: Equatable {
    private static let unit = 0x1p52
    private static let productUnit = 0x1p32
    /// The three factors, then the products of each two.
    static let width = 9

    private(set) var count = 0
    var sums = [Int128](repeating: 0, count: RobustSums.width)

    /// Adds a request.
    ///
    /// - Parameters:
    ///   - weight: target / propensity of what was logged.
    ///   - target: the target's probability of the LLM.
    ///   - writer: who answered; a relay is neither.
    mutating func add(reward: Double, weight: Double, target: Double, writer: LoggedWriter) {
        guard (0...OffPolicySums.magnitudeLimit).contains(weight), (0...1).contains(target) else { return }
        count += 1
        let factors = [
            1 - target - (writer == .slm ? weight : 0), target - (writer == .llm ? weight : 0), weight * reward,
        ]
        var place = 0
        for factor in factors {
            add(factor * RobustSums.unit, at: place)
            place += 1
        }
        for first in factors.indices {
            for second in first..<factors.count {
                add(factors[first] * factors[second] * RobustSums.productUnit, at: place)
                place += 1
            }
        }
    }

    private mutating func add(_ value: Double, at place: Int) {
        sums[place] = OffPolicySums.saturated(sums[place], Int128(value.rounded()))
    }

    mutating func merge(_ other: RobustSums) {
        count += other.count
        for place in sums.indices { sums[place] = OffPolicySums.saturated(sums[place], other.sums[place]) }
    }

    /// The estimate with these constants. Its standard error takes them as known, which they are but for terms of the
    /// second order: the factors that they stand by are 0 in the mean. Nil without a request.
    func estimate(slm: Double, llm: Double) -> OffPolicyEstimates.Estimate? {
        guard count > 0 else { return nil }
        let n = Double(count)
        let constants = [slm, llm, 1]
        var value = 0.0
        for (place, constant) in constants.enumerated() {
            value += constant * Double(sums[place]) / RobustSums.unit / n
        }
        var square = 0.0
        var place = constants.count
        for first in constants.indices {
            for second in first..<constants.count {
                let product = constants[first] * constants[second] * Double(sums[place]) / RobustSums.productUnit / n
                square += first == second ? product : 2 * product
                place += 1
            }
        }
        let spread = max(0, square - value * value)
        return OffPolicyEstimates.Estimate(
            value: value, standardError: count > 1 ? (spread / (n - 1)).squareRoot() : nil)
    }

    func encode(_ writer: inout PartialWriter) {
        writer.put(count)
        writer.put(sums)
    }

    init() {}

    init(_ reader: inout PartialReader) throws(SimulationError) {
        count = try reader.int()
        sums = try reader.numbers(RobustSums.width)
    }
}
