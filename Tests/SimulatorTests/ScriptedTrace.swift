import Accounting
import RelayCore
import Testing

@testable import Simulator

/// A trace of many requests from scripted worlds, with everything that a report looks at.
enum ScriptedTrace {
    static func requests(_ count: Int, seed: UInt64) -> [LoggedRequest] {
        var generator = TestGenerator(seed)
        return (0..<count).map { index in
            var world = ScriptedWorld(using: &generator)
            world.configuration.maxCalls = 4
            world.configuration.maxCallTokens = 14
            world.configuration.maxTokens = 60
            world.budget = .none
            let run = world.run(.none)
            let alone = (world.run(.slm), world.run(.llm))
            var request = LoggedRequest(
                id: UUID7(high: UInt64(index + 1) << 16 | 0x7000, low: generator.next() >> 2), tenant: "t\(index % 7)",
                model: "relay", policy: "relay", arrived: Timestamp(microseconds: Int64(index) * 60_000_000),
                promptTokens: world.prompt, segments: run.segments)
            let draw = generator.next() % 10
            if draw < 2 {
                request.policy = "random(0.5)"
                request.propensity = 0.5
                request.segments = draw == 0 ? alone.0.segments : alone.1.segments
            }
            request.tags = [
                RequestTag(key: "question", value: "q\(index % 13)"),
                RequestTag(key: "score", value: "0.\(index % 10)"),
            ]
            if generator.next() % 5 > 0 {
                let verdict = draw == 0 ? alone.0.verdict : draw == 1 ? alone.1.verdict : run.verdict
                request.verdicts = [LoggedVerdict(choice: 0, source: "test", verdict: verdict)]
            }
            if generator.next() % 3 > 0 {
                request.slmOnly = LoggedAlone(verdict: alone.0.verdict, tokens: alone.0.slmTokens)
                request.llmOnly = LoggedAlone(verdict: alone.1.verdict, tokens: alone.1.llmTokens)
                request.inclusionProbability = 0.5
            }
            return request
        }
    }

    /// Simulates the requests whole, and in sixteen parts that are merged in random order: both must be the same bytes.
    /// Gives the whole.
    static func checkParts(
        _ requests: [LoggedRequest], _ scenario: Scenario, seed: UInt64
    ) throws -> TraceSimulation {
        var whole = try TraceSimulation(scenario)
        for request in requests { try whole.add(request) }
        var parts: [[UInt8]] = []
        for shard in 0..<16 {
            var part = try TraceSimulation(scenario)
            for request in requests where part.isInShard(request, shard, of: 16) { try part.add(request) }
            parts.append(part.encode())
        }
        var generator = TestGenerator(seed)
        parts.shuffle(using: &generator)
        var merged = try TraceSimulation(scenario)
        for part in parts { try merged.merge(try TraceSimulation.decode(part, scenario: scenario)) }
        #expect(merged.encode() == whole.encode())
        #expect(merged.report() == whole.report())
        return whole
    }

    static func prices(_ cache: CacheAssumption) -> CostModel {
        let start = Timestamp(microseconds: 0)
        return CostModel(
            name: "money",
            basis: .prices(
                [
                    ModelPrice(
                        model: "llm", from: start, input: 1_000_000, cachedInput: 100_000, cacheWrite: nil,
                        output: 4_000_000, request: 0),
                    ModelPrice(
                        model: "slm", from: start, input: 0, cachedInput: nil, cacheWrite: nil, output: 0, request: 0),
                ], cache))
    }

    /// One policy of each kind.
    static func scenario() -> Scenario {
        var scenario = Scenario(title: "every policy")
        let budget = BudgetRule(tenant: nil, tokens: 40, window: .hour, onExhausted: .degrade)
        let policies: [Counterfactual] = [
            .asLogged, .slmOnly, .llmOnly, .randomRouter(share: 0.3), .randomRouterAtCost(.llmTokens),
            .randomRouterAtCost(.money), .randomRouterAtAccuracy, .fixedLength(5), .capTokensPerCall(3), .capCalls(1),
            .capTokensPerRequest(6), .budgets([budget]), .timeShared(.capCalls(0), .llmOnly, share: 0.25),
            .oracleRouter, .thresholdRouter(score: "score", threshold: 0.5),
            .cascade(falseAccept: 0.1, falseReject: 0.2),
        ]
        scenario.policies = policies.enumerated().map { PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element) }
        scenario.costModels = [
            prices(.none), CostModel(name: "generated", basis: .generatedTokens),
            CostModel(name: "parameters", basis: .parameters(slm: 1.7, llm: 8)),
        ]
        scenario.relay = RelayLimits(calls: 4, callTokens: 14, malformed: 3, answerTokens: 60)
        scenario.groupBy = "question"
        scenario.cluster = .tag("question")
        scenario.replicates = 200
        return scenario
    }
}
