/// How requests are split: a threshold is chosen on the training part and reported on the rest, which is held out.
package struct TrainSplit: Sendable, Equatable {
    /// By what a request belongs to the training part.
    package enum Order: String, Sendable, CaseIterable {
        /// The first requests, by their arrival; of traces.
        case time
        /// The first rows of the file; of pair tables.
        case file
        /// By a hash of the request's id, or of its cluster, so that no cluster is in both parts.
        case random
    }

    /// A share that is smaller or larger leaves a part without requests.
    package static let shares = 0.001...0.999

    /// Of the requests, one of `shares`.
    package var share: Double
    /// Nil: `time` for traces, `random` for pair tables, whose rows are often sorted by kind.
    package var order: Order?

    package init(share: Double = 0.5, order: Order? = nil) {
        self.share = share
        self.order = order
    }

    /// The share as it was written: 0.1 is a tenth.
    var exactShare: Number { Number.written(share) }

    /// - Throws: `SimulationError` for a share that leaves one of the parts empty.
    func validate() throws(SimulationError) {
        guard TrainSplit.shares.contains(share) else {
            throw SimulationError(
                .scenario, "train.share", "must be from 0.001 to 0.999, such as 0.5: both parts need requests")
        }
    }

    /// Whether the requests of a cluster with this hash are in the training part of a random split.
    ///
    /// With u the SplitMix64 mixing of (hash + seed), as a fraction of 2^64: when u < share, the share being taken to
    /// the billionth.
    func isTraining(hash: UInt64, seed: UInt64) -> Bool {
        let billion: UInt128 = 1_000_000_000
        let least = UInt128(min(max((share * Double(billion)).rounded(), 0), Double(billion)))
        return UInt128(mixed(hash &+ seed)) * billion < least << 64
    }
}

/// What is asked of a threshold when it is chosen on the training part.
package enum ThresholdAim: Sendable, Equatable {
    /// At most this share of the requests goes to the LLM; the most accurate threshold of those.
    case share(Double)
    /// At least this accuracy, with the fewest requests to the LLM.
    case accuracy(Double)
    /// At least this part of the LLM's accuracy on the same requests, with the fewest requests to the LLM.
    case llmAccuracy(Double)
    /// At most so many dollars for 1,000 requests; the most accurate threshold of those.
    case cost(Double)

    /// As reports say it.
    var text: String {
        switch self {
        case .share(let value): "at most \(Number.plain(value)) of the requests to the LLM"
        case .accuracy(let value): "accuracy at least \(Number.plain(value))"
        case .llmAccuracy(let value): "accuracy at least \(Number.plain(value)) of the LLM's"
        case .cost(let value): "at most $\(Number.plain(value)) for 1,000 requests"
        }
    }

    var isCost: Bool {
        if case .cost = self { return true }
        return false
    }

    /// - Throws: `SimulationError` that names the field, for shares outside 0 to 1 and costs below 0.
    func validate(_ field: String) throws(SimulationError) {
        switch self {
        case .share(let value), .accuracy(let value), .llmAccuracy(let value):
            guard (0...1).contains(value) else {
                throw SimulationError(.scenario, field, "must be from 0 to 1, such as threshold:difficulty@share=0.3")
            }
        case .cost(let value):
            guard value >= 0, value.isFinite else {
                throw SimulationError(.scenario, field, "must be dollars for 1,000 requests, from 0")
            }
        }
    }
}

extension Scenario {
    /// A split that no policy asks for would look as if the others were scored on held-out requests.
    package static var trainWithoutChoice: SimulationError {
        SimulationError(
            .scenario, "train",
            "is for policies that choose a threshold, and there is none; ask for one, such as "
                + "threshold:difficulty@share=0.3")
    }
}

/// Names the split's part in reports.
enum TrainText {
    static let chosenOn = "on the requests it was chosen on"
    static let heldOut = "held out"
}

extension Number {
    /// A number as its shortest decimal text says it.
    static func written(_ value: Double) -> Number { Decimals.number("\(value)") ?? .real(value) }

    /// The shortest decimal that reads back as the same number, without zeros at the end: 0.3, 2, 1e-21.
    package static func plain(_ value: Double) -> String {
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
