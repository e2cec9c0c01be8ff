import Testing

@testable import Simulator

@Suite struct StatisticsTests {
    @Test func `SplitMix64 gives the published numbers`() {
        var generator = SplitMix64(seed: 1_234_567)
        #expect(
            [generator.next(), generator.next(), generator.next()]
                == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
        var copy = SplitMix64(seed: 1_234_567)
        // ⌊6457827717110365317 · 1000 / 2^64⌋ = ⌊350.07…⌋.
        #expect(copy.index(below: 1000) == 350)
        #expect(copy.index(below: 0) == 0)
    }

    @Test func `ends of an interval are order statistics by nearest rank`() {
        func ranks(_ count: Int, _ level: ConfidenceLevel) -> [Number] {
            Bootstrap.nearestRanks((1...count).reversed().map { .whole(Int128($0)) }, level: level)
                .map { [$0.low, $0.high] } ?? []
        }
        // ⌈2000 · 0.025⌉ and ⌈2000 · 0.975⌉; ⌈0.25⌉ and ⌈9.75⌉; ⌈5.05⌉ and ⌈95.95⌉; ⌈0.5⌉ and ⌈99.5⌉.
        #expect(ranks(2000, .ninetyFive) == [.whole(50), .whole(1950)])
        #expect(ranks(10, .ninetyFive) == [.whole(1), .whole(10)])
        #expect(ranks(101, .ninety) == [.whole(6), .whole(96)])
        #expect(ranks(100, .ninetyNine) == [.whole(1), .whole(100)])
        #expect(Bootstrap.nearestRanks([], level: .ninety) == nil)
    }

    @Test func `a ratio that is undefined in many replicates has no interval`() {
        // One of two clusters has a denominator: a quarter of the replicates draw only the other.
        var clusters = ClusterSums(width: 2)
        clusters.append([1, 1])
        clusters.append([0, 0])
        let bootstrap = Bootstrap(seed: 1, replicates: 200)
        let interval = bootstrap.interval(clusters) { Number.quotient($0[$0.startIndex], $0[$0.startIndex + 1]) }
        #expect(interval == nil)
        #expect(bootstrap.interval(ClusterSums(width: 2)) { _ in .one } == nil)
        // All draws of a single cluster are the same.
        var single = ClusterSums(width: 2)
        single.append([1, 2])
        #expect(bootstrap.interval(single) { _ in .one } == nil)
        #expect(Bootstrap(seed: 1, replicates: 0).interval(clusters) { _ in .one } == nil)
    }

    /// 0 of 10 with z = 1.96: upper end z²/n / (1 + z²/n) = 3.8415 / 13.8415.
    @Test func `Wilson's interval at the ends`() throws {
        let none = try #require(Statistics.wilson(successes: 0, trials: 10))
        #expect(none.low == .real(0))
        #expect(abs(none.high.double - 3.841458820694124 / 13.841458820694124) < 1e-12)
        #expect(Statistics.wilson(successes: 0, trials: 0) == nil)
        #expect(Statistics.wilson(successes: 3, trials: 2) == nil)
    }

    @Test func `shares of a random router are never clamped`() {
        func match(_ accuracy: Int128, _ slm: Int128, _ llm: Int128) -> PerformanceMatch {
            PerformanceMatch(accuracy: .whole(accuracy), slm: .whole(slm), llm: .whole(llm))
        }
        #expect(match(50, 40, 60) == .matched(.ratio(1, 2)))
        #expect(match(60, 40, 60) == .matched(.one))
        #expect(match(40, 40, 60) == .matched(.zero))
        #expect(match(50, 60, 40) == .matchedByLoss(.ratio(1, 2)))
        #expect(match(70, 40, 60) == .aboveLLM(.ratio(3, 2)))
        #expect(match(30, 40, 60) == .belowSLM(.ratio(-1, 2)))
        #expect(match(50, 50, 50) == .undefined)
        #expect(match(60, 50, 50) == .undefined)
        // An LLM that is worse: 70 is above both, 30 below both.
        #expect(match(70, 60, 40) == .aboveLLM(.ratio(-1, 2)))
        #expect(match(30, 60, 40) == .belowSLM(.ratio(3, 2)))
        // 1 − 0.1 / 0.5; nothing without a matched router, or with one that sends nothing.
        #expect(match(50, 40, 60).reduction(llmShare: .ratio(1, 10)) == .ratio(4, 5))
        #expect(match(70, 40, 60).reduction(llmShare: .ratio(1, 10)) == nil)
        #expect(match(40, 40, 60).reduction(llmShare: .ratio(1, 10)) == nil)
    }

    @Test func `the first crossing is taken where accuracy falls again`() {
        // 0.5, 0.9, 0.6, 1.0: interpolation over sorted accuracies would answer elsewhere.
        let curve = QualityCurve(
            [(0, 5), (1, 9), (2, 6), (3, 10)].map {
                QualityCurve.Point(cost: .ratio($0, 3), accuracy: .ratio($1, 10))
            })
        // 0.75 is 5/8 of the way from 0.5 to 0.9: 5/8 · 1/3.
        #expect(curve.costOfGapRecovered(.ratio(1, 2), slm: .ratio(5, 10), llm: .one) == .ratio(5, 24))
        #expect(curve.costOfGapRecovered(.whole(2), slm: .ratio(5, 10), llm: .one) == nil)
        #expect(curve.costOfGapRecovered(.zero, slm: .ratio(5, 10), llm: .one)?.reduced == .zero)
    }

    @Test func `the hull lies over its points and never falls`() {
        func curve(_ points: [(Int128, Int128)]) -> QualityCurve {
            QualityCurve(points.map { QualityCurve.Point(cost: .whole($0), accuracy: .whole($1)) })
        }
        let hull = curve([(4, 7), (1, 1), (2, 5), (3, 2), (5, 9), (7, 8)]).hull
        // On the line from (2, 5) to (5, 9), 4 is worth 7⅔; (7, 8) is dearer and worse than (5, 9).
        #expect(hull == curve([(1, 1), (2, 5), (5, 9), (7, 9)]))
        // 3 + 21 + 18 over 6, and over 7.
        #expect(curve([(4, 7), (1, 1), (2, 5), (3, 2), (5, 9), (7, 8)]).averageQuality == .whole(7))
        #expect(hull.averageQualityOverDearest == .whole(6))
        #expect(curve([(1, 1)]).averageQuality == nil)
        #expect(curve([(1, 1), (1, 3)]).hull == curve([(1, 3)]))
    }

    @Test func `arithmetic is exact while 128 bits hold it`() {
        #expect(Number.ratio(1, 3) + .ratio(1, 6) == .ratio(1, 2))
        #expect(Number.ratio(1, 3) - .ratio(1, 3) == .zero)
        #expect(Number.ratio(2, 3) * .ratio(3, 2) == .one)
        #expect(Number.one.divided(by: .ratio(-2, 4)) == .whole(-2))
        #expect(Number.one.divided(by: .zero) == nil)
        #expect(Number.quotient(Int128(6), Int128(-4)) == .ratio(-3, 2))
        #expect(Number.quotient(Int128.min, Int128.min) == .one)
        #expect(Number.ratio(-7, 2).floor == -4)
        #expect(Number.whole(.max) + .one == .real(0x1p127))
        #expect(Number.whole(.max) * .whole(.max) == .real(0x1p254))
        #expect(Number.quotient(Int128.min, Int128(-1)) == .real(0x1p127))
        #expect(Number.ratio(1, 3) < .ratio(34, 100))
        #expect(Number.real(.nan).floor == nil)
    }

    @Test func `responses without tokens have no ratio`() {
        var ratios = CallRatios()
        #expect(ratios.pooled == nil && ratios.meanOfRatios == nil && ratios.requestShare == nil)
        ratios.add(llmTokens: 0, slmTokens: 0, requested: 5)
        ratios.add(llmTokens: 1, slmTokens: 2, requested: 10)
        #expect(ratios.pooled == .ratio(1, 3))
        #expect(ratios.empty == 1)
        // 10 / 3 is cut to 1.
        #expect(ratios.requestedOverLength == .one)
        #expect(ratios.requestShare == .ratio(1, 2))
        #expect(ratios.meanOfRatios.map { Decimals.text($0, decimals: 17) } == "0.33333333333333333")
    }
}
