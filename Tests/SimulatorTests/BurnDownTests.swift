import Accounting
import RelayCore
import Testing

@testable import Simulator

@Suite struct BurnDownTests {
    /// An answer of the LLM alone.
    private static func request(_ index: Int, _ tenant: String, at seconds: Int64, tokens: Int) -> LoggedRequest {
        LoggedRequest(
            id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: tenant, model: "m", policy: "llm",
            arrived: Timestamp(microseconds: seconds * 1_000_000), promptTokens: 1,
            segments: [
                LoggedSegment(role: .llm, sequence: 0, model: "large", tokens: tokens, finish: .stop, inputTokens: 1)
            ])
    }

    private static func simulation(_ rules: [BudgetRule], _ requests: [LoggedRequest]) throws -> TraceSimulation {
        var scenario = Scenario(title: "budgets")
        scenario.policies = [PolicyEntry(name: "b", counterfactual: .budgets(rules))]
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        return simulation
    }

    @Test(arguments: BudgetRule.Window.allCases)
    func `a point has all that was used before it`(_ window: BudgetRule.Window) throws {
        for seed in 0..<50 {
            var generator = TestGenerator(UInt64(seed))
            var moment: Int64 = 1_769_731_200
            let step: Int64 = [10, 1_000, 100_000, 3_000_000][seed % 4]
            var arrivals: [(moment: Int64, tokens: Int)] = []
            for _ in 0..<100 {
                moment += Int64.random(in: 0...step, using: &generator)
                arrivals.append((moment, Int.random(in: 0...9, using: &generator)))
            }
            let rule = BudgetRule(tenant: nil, tokens: 10_000, window: window, onExhausted: .degrade)
            let requests = arrivals.enumerated().map {
                Self.request($0.offset, "t", at: $0.element.moment, tokens: $0.element.tokens)
            }
            let simulation = try Self.simulation([rule], requests)
            let periods = try #require(simulation.budgets.compactMap { $0 }.first).periods
            var covered = 0
            for (key, period) in periods {
                let unit = period.burnDown.unit / 1_000_000
                let start = key.start / 1_000_000
                let end = window.end(from: key.start).map { $0 / 1_000_000 } ?? Int64.max
                #expect(period.burnDown.points.count <= (window == .total ? 48 : window == .month ? 31 : 24))
                var before: Int64 = 0
                for point in period.burnDown.points {
                    let border = start + point.place * unit
                    #expect(point.place > before && border <= end)
                    before = point.place
                    let used = arrivals.reduce(0) {
                        $0 + (start <= $1.moment && $1.moment < border ? $1.tokens : 0)
                    }
                    #expect(point.used == Extent(used), "seed \(seed)")
                    // A point stands behind requests only, the nearest one.
                    let own = arrivals.filter { border - unit <= $0.moment && $0.moment < border }.count
                    #expect(own > 0)
                    covered += own
                }
                guard window == .total, unit > 3600 else { continue }
                // Half as far apart there were too many.
                #expect(Set(arrivals.map { $0.moment / (unit / 2) }).count > 48)
            }
            // All of them in the last 62 windows.
            let kept = try #require(periods.keys.map { $0.start / 1_000_000 }.sorted().suffix(62).first)
            #expect(covered == arrivals.filter { $0.moment >= kept }.count)
        }
    }

    @Test func `a line falls within a window and is full in the next one`() throws {
        let day: Int64 = 86_400
        let rule = BudgetRule(tenant: nil, tokens: 100, window: .day, onExhausted: .degrade)
        let simulation = try Self.simulation(
            [rule],
            [
                Self.request(0, "a", at: 10 * day + 5_400, tokens: 40),
                Self.request(1, "a", at: 10 * day + 5_500, tokens: 5),
                Self.request(2, "a", at: 10 * day + 20_000, tokens: 35),
                Self.request(3, "a", at: 12 * day + 36_000, tokens: 70),
            ])
        let plot = try #require(simulation.report().sections.first { $0.name == "budgets_b" }?.plot)
        #expect(plot.series.map(\.name) == ["a"] && plot.series[0].style == .steps)
        // 01:30 counts at 02:00, 05:33 at 06:00; the third day's 10:00 at 11:00.
        let expected: [(Double, Double)] = [
            (0, 1), (2, 0.55), (6, 0.2), (24, 1), (48, 1), (59, 0.3), (72, 0.3),
        ]
        #expect(plot.series[0].points.count == expected.count)
        for (point, (x, y)) in zip(plot.series[0].points, expected) {
            #expect(point.x == x && abs(point.y - y) < 1e-12 && point.low == nil)
        }
    }

    @Test func `the budgets of which most was used are drawn and the rest is said`() throws {
        let rule = BudgetRule(tenant: nil, tokens: 100, window: .total, onExhausted: .degrade)
        let requests = (0..<11).map { Self.request($0, "t\($0)", at: Int64($0), tokens: 10 + $0 % 10) }
        let section = try #require(
            Self.simulation([rule], requests).report().sections.first { $0.name == "budgets_b" })
        // Tokens 19 to 12; t0 and t10 have 10 and t1 has 11.
        #expect(section.plot?.series.map(\.name) == ["t9", "t8", "t7", "t6", "t5", "t4", "t3", "t2"])
        #expect(section.notes.contains { $0.contains("8 budgets of which most was used; the other 3 are") })
        // From the hour of the first request to its end.
        #expect(section.plot?.series[0].points.map(\.x) == [0, 1])
        #expect(section.plot?.series[0].points.map(\.y) == [1, 0.81])
    }

    @Test func `the course of the last windows is kept, in one part and in two`() throws {
        let day: Int64 = 86_400
        let rule = BudgetRule(tenant: nil, tokens: 100, window: .day, onExhausted: .degrade)
        let requests = (0..<100).map { Self.request($0, "a", at: Int64($0) * day + 3_600, tokens: 10) }
        let whole = try Self.simulation([rule], requests)
        let periods = try #require(whole.budgets.compactMap { $0 }.first).periods
        #expect(periods.count == 100)
        for (key, period) in periods {
            // Days 38 to 99 are 62.
            #expect(period.burnDown.points.isEmpty == (key.start < 38 * day * 1_000_000))
            #expect(period.used == Extent(10))
        }
        // Saved in the middle and gone on with.
        var half = try Self.simulation([rule], Array(requests[..<70]))
        half = try TraceSimulation.decode(half.encode(), scenario: half.scenario)
        for request in requests[70...] { try half.add(request) }
        #expect(half.encode() == whole.encode())
        var late = try Self.simulation([rule], Array(requests[70...]))
        try late.merge(Self.simulation([rule], Array(requests[..<70])))
        #expect(late.encode() == whole.encode())
        let section = try #require(whole.report().sections.first { $0.name == "budgets_b" })
        #expect(section.notes.contains { $0.contains("the last 62 windows") })
        // The first point is full, at the start of day 38.
        #expect(section.plot?.xTitle == "hours from 1970-02-08T00:00:00Z")
        #expect(section.plot?.series[0].points.first == Plot.Point(x: 0, y: 1))
    }
}
