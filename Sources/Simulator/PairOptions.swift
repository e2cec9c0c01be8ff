/// What is asked of a pair table.
package struct PairOptions: Sendable, Equatable {
    /// The error rates of a judge in a cascade.
    package struct Judge: Sendable, Equatable {
        /// How often a wrong answer is accepted, and a right one rejected; shares.
        package var falseAccept: Number
        package var falseReject: Number

        package init(falseAccept: Number, falseReject: Number) {
            self.falseAccept = falseAccept
            self.falseReject = falseReject
        }
    }

    /// A threshold router on a column of numbers; requests at or above a threshold go to the LLM.
    package struct Score: Sendable, Equatable {
        package var column: String
        /// Empty: the deciles of the scores.
        package var thresholds: [Double]

        package init(column: String, thresholds: [Double] = []) {
            self.column = column
            self.thresholds = thresholds
        }
    }

    /// A threshold router whose threshold is chosen on one part of the rows and reported on the other.
    package struct Chosen: Sendable, Equatable {
        /// What the report calls it.
        package var name: String
        package var column: String
        package var aim: ThresholdAim

        package init(name: String, column: String, aim: ThresholdAim) {
            self.name = name
            self.column = column
            self.aim = aim
        }
    }

    /// A system that was measured elsewhere on the same questions, as a published row has it.
    package struct Measured: Sendable, Equatable {
        package var name: String
        /// A share.
        package var accuracy: Number
        /// LLM tokens over all generated tokens, a share; nil when it is not known.
        package var callRatio: Number?

        package init(name: String, accuracy: Number, callRatio: Number?) {
            self.name = name
            self.accuracy = accuracy
            self.callRatio = callRatio
        }
    }

    /// Names the data, such as the file.
    package var source: String
    /// Shares of requests for the random and the oracle routers.
    package var shares: [Number] = (0...10).map { .ratio($0, 10) }
    /// Shares of LLM tokens that a resource-equivalent random router is asked to have.
    package var tokenShares: [Number] = [
        .ratio(1, 100), .ratio(5, 100), .ratio(10, 100), .ratio(25, 100), .ratio(1, 2),
    ]
    /// Parts of the gap for CPT.
    package var gapParts: [Number] = [.ratio(2, 10), .ratio(5, 10), .ratio(8, 10)]
    package var prices: PairPrices?
    package var judges: [Judge] = [0, 5, 10, 20].map {
        Judge(falseAccept: .ratio($0, 100), falseReject: .ratio($0, 100))
    }
    /// Whether `judges` are those of every report, for which nobody asked.
    package var hasUsualJudges = true
    package var scores: [Score] = []
    package var chosen: [Chosen] = []
    /// For `chosen`.
    package var train = TrainSplit()
    package var measured: [Measured] = []
    /// A column whose values split the report.
    package var groupBy: String?
    package var cluster = Cluster.request
    package var bootstrap = Bootstrap(seed: 20_260_108)

    package init(source: String) { self.source = source }

    /// Throws for shares and rates outside 0 to 1, prices below zero and more replicates than are drawn.
    func validate() throws(SimulationError) {
        for (field, values) in [
            ("random_router", shares), ("token_shares", tokenShares), ("gap_parts", gapParts),
            ("judge", judges.flatMap { [$0.falseAccept, $0.falseReject] }),
            ("measured", measured.flatMap { [$0.accuracy] + ($0.callRatio.map { [$0] } ?? []) }),
        ] {
            if let wrong = values.first(where: { !($0 >= .zero && $0 <= .one) }) {
                throw SimulationError(
                    .scenario, field, "\(Decimals.text(wrong, decimals: 6)) is no share; give numbers from 0 to 1")
            }
        }
        guard (0...Bootstrap.replicateLimit).contains(bootstrap.replicates) else {
            throw SimulationError(
                .scenario, "replicates", "give a whole number from 0 to \(Bootstrap.replicateLimit)")
        }
        if let prices {
            let all = [prices.slmInput, prices.slmOutput, prices.llmInput, prices.llmOutput]
            guard all.allSatisfy({ $0 >= 0 }) else {
                throw SimulationError(.scenario, "prices", "a price is below zero; give dollars for a million tokens")
            }
        }
        try train.validate()
        if train.order == .time {
            throw SimulationError(
                .scenario, "train.order", "must be file or random: a pair table holds no times")
        }
        for chosen in chosen {
            try chosen.aim.validate("threshold")
            if chosen.aim.isCost, prices == nil {
                throw SimulationError(
                    .scenario, "threshold",
                    "\(chosen.name) needs prices: give them with --price slm=IN/OUT and "
                        + "--price llm=IN/OUT, or a cost model")
            }
        }
        if let wrong = scores.flatMap(\.thresholds).first(where: { !$0.isFinite }) {
            throw SimulationError(.scenario, "threshold", "\(wrong) is no number to compare scores with")
        }
    }
}
