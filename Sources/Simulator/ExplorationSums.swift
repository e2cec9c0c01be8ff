/// What estimators need where the log drew its policy with known probabilities, and where the models alone were run
/// beside it for a sample.
struct ExplorationSums: Equatable {
    /// A policy whose value is estimated.
    enum Target: Equatable {
        case slmOnly, llmOnly
        case random(Double)
        case threshold(String, Double)

        var name: String {
            switch self {
            case .slmOnly: "SLM only"
            case .llmOnly: "LLM only"
            case .random(let share): "random router, p = \(share)"
            case .threshold(let score, let threshold): "LLM where \(score) ≥ \(threshold)"
            }
        }
    }

    /// Weights are cut at this for the clipped estimate.
    static let clip = 5.0

    let targets: [Target]
    /// By target.
    private(set) var estimates: [OffPolicySums]
    private(set) var robust: [RobustSums]
    private(set) var support: [ActionSupport]
    /// Requests with a propensity and without a verdict.
    private(set) var unjudged = 0
    private(set) var slm = ShadowSums()
    private(set) var llm = ShadowSums()

    init(_ plan: ReplayPlan) {
        var targets: [Target] = [.slmOnly, .llmOnly]
        for policy in plan.scenario.policies {
            switch policy.counterfactual {
            case .randomRouter(let share): targets.append(.random(share))
            case .thresholdRouter(let score, let threshold): targets.append(.threshold(score, threshold))
            default: break
            }
        }
        self.targets = targets
        estimates = Array(repeating: OffPolicySums(clip: ExplorationSums.clip), count: targets.count)
        robust = Array(repeating: RobustSums(), count: targets.count)
        support = Array(repeating: ActionSupport(), count: targets.count)
    }

    mutating func add(_ replay: RequestReplay, scores: [String: Double?]) {
        let request = replay.request
        // What a shadow run earned is known whether or not somebody judged the log's answer.
        slm.add(request.slmOnly, inclusion: request.inclusionProbability)
        llm.add(request.llmOnly, inclusion: request.inclusionProbability)
        guard let propensity = request.propensity else { return }
        guard let verdict = replay.verdict else {
            unjudged += 1
            return
        }
        let reward = Double(verdict) / Double(ReplayPlan.million)
        let writer = request.writer
        for (index, target) in targets.enumerated() {
            let share: Double
            switch target {
            case .slmOnly: share = 0
            case .llmOnly: share = 1
            case .random(let value): share = value
            case .threshold(let name, let threshold):
                guard let score = scores[name] ?? nil else { continue }
                share = score >= threshold ? 1 : 0
            }
            let probability = writer == .llm ? share : writer == .slm ? 1 - share : 0
            support[index].add(target: share, writer: writer, propensity: propensity)
            estimates[index].add(OffPolicySample(reward: reward, propensity: propensity, target: probability))
            robust[index].add(reward: reward, weight: probability / propensity, target: share, writer: writer)
        }
    }

    mutating func merge(_ other: ExplorationSums) {
        for index in estimates.indices {
            estimates[index].merge(other.estimates[index])
            robust[index].merge(other.robust[index])
            support[index].merge(other.support[index])
        }
        unjudged += other.unjudged
        slm.merge(other.slm)
        llm.merge(other.llm)
    }

    func encode(_ writer: inout PartialWriter) {
        for index in estimates.indices {
            let sums = estimates[index]
            for value in [sums.count, sums.unsupported, sums.malformed] { writer.put(value) }
            writer.put(sums.maximumWeight.bitPattern)
            writer.put(sums.sums)
            robust[index].encode(&writer)
            support[index].encode(&writer)
        }
        writer.put(unjudged)
        for sums in [slm, llm] {
            for value in [sums.population, sums.sampled, sums.unjudged, sums.malformed, sums.unstated] {
                writer.put(value)
            }
            writer.put([sums.weighted, sums.weights, sums.variance])
        }
    }

    mutating func take(_ reader: inout PartialReader) throws(SimulationError) {
        for index in estimates.indices {
            estimates[index].count = try reader.int()
            estimates[index].unsupported = try reader.int()
            estimates[index].malformed = try reader.int()
            estimates[index].maximumWeight = Double(bitPattern: try reader.word())
            estimates[index].sums = try reader.numbers(estimates[index].sums.count)
            robust[index] = try RobustSums(&reader)
            support[index] = try ActionSupport(&reader)
        }
        unjudged = try reader.int()
        slm = try ExplorationSums.shadow(&reader)
        llm = try ExplorationSums.shadow(&reader)
    }

    private static func shadow(_ reader: inout PartialReader) throws(SimulationError) -> ShadowSums {
        var sums = ShadowSums()
        sums.population = try reader.int()
        sums.sampled = try reader.int()
        sums.unjudged = try reader.int()
        sums.malformed = try reader.int()
        sums.unstated = try reader.int()
        let values = try reader.numbers(3)
        (sums.weighted, sums.weights, sums.variance) = (values[0], values[1], values[2])
        return sums
    }
}

extension ShadowSums {
    fileprivate mutating func add(_ run: LoggedAlone?, inclusion: Double?) {
        add(
            outcome: run?.verdict.map { Double($0) / Double(ReplayPlan.million) }, inclusion: inclusion,
            isUnjudged: run != nil && run?.verdict == nil)
    }
}
