import Accounting
import Testing

@testable import Simulator

@Suite struct TraceSimulationTests {
    /// A request that is priced by hand: P = 120; SLM 300 and a command of 6; LLM 20; SLM 250 and a command; LLM 40;
    /// SLM 190. The LLM reads 420, then 690; 440 of them it has seen.
    private var worked: LoggedRequest {
        LoggedRequest(
            id: UUID7(high: 1 << 16, low: 0), tenant: "t", model: "relay", policy: "relay",
            arrived: Timestamp(microseconds: 0), promptTokens: 120,
            segments: [
                LoggedSegment(
                    role: .slm, sequence: 0, model: "small", tokens: 306, commandTokens: 6, finish: .call,
                    inputTokens: 120),
                LoggedSegment(
                    role: .llm, sequence: 1, model: "large", requested: 20, granted: 20, tokens: 20, finish: .length,
                    inputTokens: 420),
                LoggedSegment(
                    role: .slm, sequence: 2, model: "small", tokens: 256, commandTokens: 6, finish: .call,
                    inputTokens: 446),
                LoggedSegment(
                    role: .llm, sequence: 3, model: "large", requested: 40, granted: 40, tokens: 40, finish: .length,
                    inputTokens: 690, startedMicroseconds: 6_000_000),
                LoggedSegment(
                    role: .slm, sequence: 4, model: "small", tokens: 190, finish: .stop, inputTokens: 742),
            ],
            llmOnly: LoggedAlone(verdict: nil, tokens: 800))
    }

    private func cost(_ cache: CacheAssumption, _ policy: Counterfactual = .asLogged) throws -> Int128 {
        var scenario = Scenario(title: "")
        scenario.policies = [PolicyEntry(name: "p", counterfactual: policy)]
        scenario.costModels = [ScriptedTrace.prices(cache)]
        var simulation = try TraceSimulation(scenario)
        try simulation.add(worked)
        let leaf = try #require(ReplayPlan.leaf(policy).flatMap { simulation.plan.leaves.firstIndex(of: $0) })
        let sums = simulation.whole.all[leaf]
        #expect(sums.unpriced == [0] && sums.open[Quantity.allCases.count] == 0)
        #expect(sums.low[Quantity.allCases.count] == sums.high[Quantity.allCases.count])
        return sums.low[Quantity.allCases.count]
    }

    @Test func `the worked example costs what was computed by hand`() throws {
        let micro: Int128 = 1_000_000
        // 420 + 690 at 1, 60 at 4.
        #expect(try cost(.none) == 1350 * micro)
        // 432 of 440 are in full blocks of 16: 1350 − 432 · 0.9.
        #expect(try cost(.rule(CacheRule(minimum: 0, step: 16, timeToLiveMilliseconds: nil))) == 961_200_000)
        #expect(try cost(.rule(CacheRule(minimum: 1024, step: 128, timeToLiveMilliseconds: nil))) == 1350 * micro)
        #expect(try cost(.perfect) == 954 * micro)
        // The second call comes 6 s after the end of the first.
        #expect(try cost(.rule(CacheRule(minimum: 0, step: 16, timeToLiveMilliseconds: 5999))) == 1350 * micro)
        #expect(try cost(.rule(CacheRule(minimum: 0, step: 16, timeToLiveMilliseconds: 6000))) == 961_200_000)
        // 120 + 800 · 4.
        #expect(try cost(.none, .llmOnly) == 3320 * micro)
        // Without the second call: 420 + 20 · 4.
        #expect(try cost(.none, .capCalls(1)) == 500 * micro)
        // 420 + 690 and 20 + 5 tokens: the cap of 25 cuts the second call to 5.
        #expect(try cost(.none, .capTokensPerRequest(25)) == 1210 * micro)
    }

    @Test func `a missing price is said, not taken for nothing`() throws {
        var scenario = Scenario(title: "")
        scenario.policies = [PolicyEntry(name: "p", counterfactual: .asLogged)]
        let price = ModelPrice(
            model: "large", from: Timestamp(microseconds: 1), input: 1, cachedInput: nil, cacheWrite: nil, output: 1,
            request: 0)
        scenario.costModels = [CostModel(name: "late", basis: .prices([price], .none))]
        var simulation = try TraceSimulation(scenario)
        try simulation.add(worked)
        let costs = try #require(simulation.report().sections.first { $0.name == "costs" }?.table?.rows.first)
        guard case .finding(let finding) = costs[2] else { return #expect(Bool(false)) }
        #expect(finding.knowledge == .unknown)
    }

    @Test(arguments: [UInt64](1...5))
    func `sixteen parts in any order are the whole, byte for byte`(_ seed: UInt64) throws {
        let requests = ScriptedTrace.requests(300, seed: seed)
        let scenario = ScriptedTrace.scenario()
        let whole = try ScriptedTrace.checkParts(requests, scenario, seed: seed)
        #expect(whole.seen == 300)
    }

    @Test func `more clusters than are kept apart fall into the same groups in any order`() throws {
        var generator = TestGenerator(3)
        let hashes = (0..<10_000).map { _ in generator.next() }
        func table(_ hashes: some Sequence<UInt64>) -> ClusterTable {
            var table = ClusterTable(width: 1)
            for hash in hashes { table.add(1, at: 0, place: table.place(hash)) }
            return table
        }
        let whole = table(hashes)
        #expect(whole.isFolded && whole.rows.reduce(0) { $0 + ($1.first ?? 0) } == 10_000)
        #expect(table(hashes.reversed()) == whole)
        // Neither part has too many, both together have.
        var merged = table(hashes[..<3000])
        merged.merge(table(hashes[3000..<6000]))
        merged.merge(table(hashes[6000...]))
        #expect(merged == whole)
    }

    @Test func `a damaged partial and one of another scenario are refused`() throws {
        let scenario = ScriptedTrace.scenario()
        var simulation = try TraceSimulation(scenario)
        for request in ScriptedTrace.requests(20, seed: 1) { try simulation.add(request) }
        let bytes = simulation.encode()
        for place in stride(from: 0, to: bytes.count, by: 37) {
            var damaged = bytes
            damaged[place] ^= 0x10
            #expect(throws: SimulationError.self) { try TraceSimulation.decode(damaged, scenario: scenario) }
            #expect(throws: SimulationError.self) {
                try TraceSimulation.decode(Array(bytes[..<place]), scenario: scenario)
            }
        }
        var other = scenario
        other.seed += 1
        #expect(throws: SimulationError.self) { try TraceSimulation.decode(bytes, scenario: other) }
        #expect(throws: SimulationError.self) { try simulation.merge(try TraceSimulation(other)) }
    }

    @Test func `a tenant's budgets in two parts cannot be merged`() throws {
        let scenario = ScriptedTrace.scenario()
        let requests = ScriptedTrace.requests(20, seed: 1)
        var parts = [try TraceSimulation(scenario), try TraceSimulation(scenario)]
        for (index, request) in requests.enumerated() { try parts[index % 2].add(request) }
        #expect(throws: SimulationError.self) { try parts[0].merge(parts[1]) }
        // Nor can its requests come in another order.
        var simulation = try TraceSimulation(scenario)
        try simulation.add(requests[7])
        #expect(throws: SimulationError.self) { try simulation.add(requests[0]) }
    }
}
