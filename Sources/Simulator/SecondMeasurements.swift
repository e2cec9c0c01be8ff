/// Answers of one model alone that the log has and that were measured beside it, too.
struct SecondMeasurements: Equatable {
    private(set) var both = 0
    /// Of them, those that the measurement has with other tokens or another verdict, and which it decides.
    private(set) var different = 0
    private(set) var otherVerdicts = 0

    init() {}

    /// - Parameter agreement: nil for a request of which not both are known.
    mutating func add(_ agreement: RequestReplay.Agreement?) {
        guard let agreement else { return }
        both += 1
        if agreement != .same { different += 1 }
        if agreement == .otherVerdict { otherVerdicts += 1 }
    }

    mutating func merge(_ other: SecondMeasurements) {
        both += other.both
        different += other.different
        otherVerdicts += other.otherVerdicts
    }

    /// Which of the two was taken, where they differ.
    ///
    /// - Parameters:
    ///   - model: as in SLM only.
    ///   - member: of `counterfactual`.
    ///   - which: requests whose log has such an answer.
    func warning(_ model: String, _ member: String, _ which: String) -> String? {
        guard different > 0 else { return nil }
        return
            "\(different) of \(both) answers of the \(model) alone that the log has (\(which)) were measured otherwise "
            + "beside it (counterfactual.\(member)), \(otherVerdicts) of them with another verdict: \(model) only is "
            + "what was measured"
    }

    func encode(_ writer: inout PartialWriter) {
        for value in [both, different, otherVerdicts] { writer.put(value) }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        both = try reader.int()
        different = try reader.int()
        otherVerdicts = try reader.int()
    }
}
