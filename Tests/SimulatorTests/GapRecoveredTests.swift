import Testing

@testable import Simulator

@Suite struct GapRecoveredTests {
    @Test func `without a gap there is no share that recovers a part of it`() {
        let curve = QualityCurve([
            QualityCurve.Point(cost: .zero, accuracy: .ratio(1, 2)),
            QualityCurve.Point(cost: .one, accuracy: .ratio(3, 4)),
        ])
        // Half of the gap from 1/2 to 3/4 is reached half way.
        #expect(curve.costOfGapRecovered(.ratio(1, 2), slm: .ratio(1, 2), llm: .ratio(3, 4)) == .ratio(1, 2))
        #expect(curve.costOfGapRecovered(.ratio(1, 2), slm: .ratio(1, 2), llm: .ratio(1, 2)) == nil)
        #expect(curve.costOfGapRecovered(.ratio(1, 2), slm: .ratio(1, 2), llm: .ratio(1, 4)) == nil)
    }
}
