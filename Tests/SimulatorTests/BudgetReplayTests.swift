import Accounting
import RelayCore
import Testing

@testable import Simulator

/// Budgets against requests that are really run, one after the other.
@Suite struct BudgetReplayTests {
    @Test func `budgets give what running the requests in turn gives`() throws {
        var cuts = 0
        for seed in 0..<200 {
            var generator = TestGenerator(UInt64(seed) + 5000)
            var world = ScriptedWorld(using: &generator)
            world.budget = .none
            world.configuration.onRefusal = .degrade
            let limits = (
                hour: Int.random(in: 0...30, using: &generator), total: Int.random(in: 10...80, using: &generator)
            )
            let rejects = Bool.random(using: &generator)
            let rules = [
                BudgetRule(tenant: nil, tokens: limits.hour, window: .hour, onExhausted: .degrade),
                BudgetRule(
                    tenant: nil, tokens: limits.total, window: .total, onExhausted: rejects ? .reject : .degrade),
            ]
            var scenario = Scenario(title: "budgets")
            scenario.policies = [PolicyEntry(name: "b", counterfactual: .budgets(rules))]
            scenario.relay = RelayLimits(
                calls: world.configuration.maxCalls, callTokens: world.configuration.maxCallTokens,
                malformed: world.configuration.maxMalformed, answerTokens: world.configuration.maxTokens)
            var simulation = try TraceSimulation(scenario)
            var used: [Int: Int] = [:]
            var spent = 0
            var truth = (llm: 0, slm: 0, refused: 0)
            for index in 0..<20 {
                world.seed = generator.next()
                let arrived = Int64(index) * 700_000_000
                let run = world.run(.none)
                try simulation.add(
                    LoggedRequest(
                        id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t", model: "relay",
                        policy: world.fixedTokens.map { "fixed(\($0))" } ?? "relay",
                        arrived: Timestamp(microseconds: arrived), promptTokens: 0, segments: run.segments))
                let hour = Int(arrived / 3_600_000_000)
                if rejects, spent >= limits.total {
                    truth.refused += 1
                    continue
                }
                let left = max(0, min(limits.hour - (used[hour] ?? 0), limits.total - spent))
                let real = world.run(.answerTokens(left))
                used[hour, default: 0] += real.llmTokens
                spent += real.llmTokens
                truth.llm += real.llmTokens
                truth.slm += real.slmTokens
            }
            let leaf = try #require(simulation.plan.leaves.firstIndex(of: .budgets(rules)))
            let sums = simulation.whole.all[leaf]
            func bounds(_ quantity: Quantity) -> (Int128, Int128) {
                let open = sums.open[quantity.rawValue] > 0
                return (sums.low[quantity.rawValue], open ? Int128.max : sums.high[quantity.rawValue])
            }
            // What a budget grants is exact.
            #expect(bounds(.llmTokens) == (Int128(truth.llm), Int128(truth.llm)), "seed \(seed)")
            #expect(bounds(.refused) == (Int128(truth.refused), Int128(truth.refused)), "seed \(seed)")
            let slm = bounds(.slmTokens)
            #expect(slm.0 <= Int128(truth.slm) && Int128(truth.slm) <= slm.1, "seed \(seed)")
            let total = try #require(simulation.budgets[leaf]?.periods.values.first { $0.requests == 20 })
            #expect(total.used == Extent(truth.llm))
            cuts += sums.requests - sums.replayable
        }
        #expect(cuts > 200, "\(cuts)")
    }
}
