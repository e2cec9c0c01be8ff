import Testing

@testable import Simulator

/// The rules behind the expected numbers of GSM8K, on a table whose numbers follow by hand.
@Suite struct KnownPairsTests {
    private let table: PairTable
    private let counts: PairCounts

    init() throws {
        table = try KnownPairs.table()
        counts = table.counts
    }

    @Test func `accuracies`() {
        #expect(counts == PairCounts(both: 400, slmOnly: 100, llmOnly: 300, neither: 200))
        #expect(counts.slmAccuracy == .ratio(1, 2))
        #expect(counts.llmAccuracy == .ratio(7, 10))
        #expect(counts.union == .ratio(8, 10).reduced)
        #expect(counts.intersection == .ratio(2, 5))
        #expect(counts.difference == .ratio(1, 5))
    }

    @Test func `random router`() throws {
        // 0.5 + 0.25 · 0.2.
        #expect(RandomRouter.accuracy(counts, share: .ratio(1, 4)) == .ratio(55, 100).reduced)
        // √(0.25 · (300 + 100)) / 1000 = 10 / 1000.
        #expect(RandomRouter.coinDeviation(counts, share: .ratio(1, 2)) == .real(0.01))
        // Σ(d−d̄)² = 400 − 200²/1000 = 360; √(0.25 · 1000/999 · 360) / 1000.
        let fixed = try #require(RandomRouter.fixedDeviation(counts, share: .ratio(1, 2)))
        #expect(abs(fixed.double - (0.25 * 360 * 1000 / 999).squareRoot() / 1000) < 1e-15)
    }

    @Test func `oracle curves`() {
        let (slm, llm) = (Number.ratio(1, 2), Number.ratio(7, 10))
        let flat = OracleRouter.flatCurve(counts)
        // 0.3 · (0.5 + 0.8)/2 + 0.7 · 0.8 = 0.755; (0.755 − 0.5) / 0.2.
        #expect(flat.area == .ratio(151, 200))
        #expect(flat.averageGapRecovered(slm: slm, llm: llm) == .ratio(51, 40))
        // 0.6 is reached with 100 of the 300 that are won.
        #expect(flat.costOfGapRecovered(.ratio(1, 2), slm: slm, llm: llm) == .ratio(1, 10))
        let corners = [0, 3, 9, 10].map { Number.ratio($0, 10) }
        let forced = OracleRouter.curve(corners) { OracleRouter.forced(counts, share: $0) }
        // 0.195 + 0.6 · 0.8 + 0.1 · 0.75 = 0.75.
        #expect(forced.averageGapRecovered(slm: slm, llm: llm) == .ratio(5, 4))
        let worst = OracleRouter.curve([0, 1, 7, 10].map { .ratio($0, 10) }) {
            OracleRouter.worst(counts, share: $0)
        }
        // 0.1 · 0.45 + 0.6 · 0.4 + 0.3 · 0.55 = 0.45; (0.45 − 0.5) / 0.2.
        #expect(worst.averageGapRecovered(slm: slm, llm: llm) == .ratio(-1, 4))
    }

    @Test func `shares of tokens`() {
        let (slm, llm) = (Number.whole(table.slmTokens), Number.whole(table.llmTokens))
        // 0.5 · 10 / (0.5 · 10 + 0.5 · 30).
        let share = MatchedCost.requestShare(tokenShare: .ratio(1, 2), slmTokens: slm, llmTokens: llm)
        #expect(share == .ratio(1, 4))
        #expect(MatchedCost.tokenShare(requestShare: .ratio(1, 4), slmTokens: slm, llmTokens: llm) == .ratio(1, 2))
        #expect(MatchedCost.requestShare(tokenShare: .ratio(1, 2), slmTokens: .zero, llmTokens: .zero) == nil)
    }

    @Test func `money`() {
        let costs = PairCosts(table, prices: KnownPairs.prices)
        #expect(costs.slmTotal == 120_000)
        #expect(costs.llmTotal == 1_600_000)
        // 300 need the LLM; 700 or, without the 200 that nobody gets right, 500 the SLM.
        #expect(costs.cheapestCorrect(payingForWrong: true) == 300 * 1_600 + 700 * 120)
        #expect(costs.cheapestCorrect(payingForWrong: false) == 300 * 1_600 + 500 * 120)
        // A tenth of 1,480,000 buys 148,000 / 1,480 = 100.
        let frontier = costs.frontier(shares: [.zero, .ratio(1, 10), .one])
        #expect(frontier.map(\.fixed) == [0, 100, 300])
        #expect(frontier.map(\.cost) == [120_000, 268_000, 564_000])
        #expect(frontier.map(\.accuracy) == [.ratio(1, 2), .ratio(3, 5), .ratio(4, 5)])
    }

    @Test func `cascades`() {
        let costs = PairCosts(table, prices: KnownPairs.prices)
        let perfect = costs.cascade(falseAccept: .zero, falseReject: .zero)
        #expect(perfect.accuracy == .ratio(4, 5))
        #expect(perfect.llmCalls == .whole(500))
        #expect(perfect.cost == .whole(120_000 + 500 * 1_600))
        // Right: 400 + 0.8 · 100 + 0.9 · 300 = 750; calls: 0.2 · 500 + 0.9 · 500 = 550.
        let judged = costs.cascade(falseAccept: .ratio(1, 10), falseReject: .ratio(1, 5))
        #expect(judged.accuracy == .ratio(3, 4))
        #expect(judged.llmCalls == .whole(550))
        #expect(judged.cost == .whole(1_000_000))
    }

    @Test func `tests of the difference`() throws {
        let test = try #require(Statistics.McNemar(firstOnly: 100, secondOnly: 300))
        // 200² / 400 and 199² / 400.
        #expect(test.statistic == .whole(100))
        #expect(test.corrected == .ratio(39_601, 400))
        let paired = try #require(counts.pairedStandardError)
        #expect(abs(paired - (360.0 / (999 * 1000)).squareRoot()) < 1e-15)
        // p(1−p)/(n−1) of each: (0.25 + 0.21) / 999.
        let unpaired = try #require(counts.unpairedStandardError)
        #expect(abs(unpaired - (0.46 / 999).squareRoot()) < 1e-15)
    }

    @Test func `a router that scores the right requests is the oracle`() throws {
        var options = PairOptions(source: "known")
        options.scores = [PairOptions.Score(column: "score")]
        let router = try PairContext(table, options).scoreParts[0]
        #expect(router.points.map(\.sent) == [0, 300, 900, 1000])
        #expect(router.points.map(\.answers.right) == [500, 800, 800, 700].map { $0 * 1_000_000 })
        #expect(router.curve.averageGapRecovered(slm: .ratio(1, 2), llm: .ratio(7, 10)) == .ratio(5, 4))
        #expect(router.routed(2.5).sent == 300)
        #expect(router.routed(2).sent == 900)
        #expect(router.routed(4).sent == 0)
        #expect(router.deciles.map(\.sent) == [0, 300, 900, 1000])
    }

    /// Ten equal clusters: whatever is drawn, the sums are the same, and the interval is a point. Drawn by request,
    /// it is about ±1.96 · √(0.25/1000) = ±0.031 wide.
    @Test func `clusters are drawn whole`() throws {
        var options = PairOptions(source: "known")
        options.cluster = .tag("site")
        let bySite = try #require(PairContext(table, options).interval(slm: .one, llm: .zero))
        #expect(bySite.low == .ratio(1, 2))
        #expect(bySite.high == .ratio(1, 2))
        options.cluster = .request
        let byRequest = try #require(PairContext(table, options).interval(slm: .one, llm: .zero))
        #expect(abs(byRequest.low.double - 0.469) < 0.004)
        #expect(abs(byRequest.high.double - 0.531) < 0.004)
    }
}
