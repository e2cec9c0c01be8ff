import Accounting
import RelayCore
import Testing

@testable import Simulator

/// What a generator of test cases draws from: the same everywhere.
struct TestGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The replay against what really happens: the log is made by the real relay between scripted models, and so is the
/// truth under each changed policy.
@Suite struct BruteForceTests {
    /// A request of a trace, with the world that it lives in.
    private struct Case {
        let world: ScriptedWorld
        let request: LoggedRequest
        let choices: Int

        /// Totals under a change, counted here from the runs alone.
        func truth(_ change: ScriptedWorld.Change) -> Truth {
            Truth((0..<choices).map { world.run(change, choice: $0) })
        }
    }

    /// What a run comes to, in the simulator's quantities.
    struct Truth {
        var calls = 0, reached = 0, llmTokens = 0, slmTokens = 0, correct = 0
        /// Generated tokens; billed tokens; money at prices that differ in everything; the prompts of the LLM alone.
        var costs = [0, 0, 0, 0]

        init(_ runs: [ScriptedWorld.Run]) {
            for run in runs {
                calls += run.calls
                llmTokens += run.llmTokens
                slmTokens += run.slmTokens
                correct += run.verdict
                for segment in run.segments {
                    guard let input = segment.inputTokens else { continue }
                    if segment.role == .llm {
                        reached = 1
                        costs[3] += input
                    }
                    costs[0] += segment.tokens
                    costs[1] += segment.tokens + input
                    costs[2] +=
                        segment.role == .llm
                        ? 1000 + 7 * input + 31 * segment.tokens : 10 + 2 * input + 3 * segment.tokens
                }
            }
            correct = (correct + runs.count / 2) / max(1, runs.count)
        }
    }

    private static func costModels() -> [CostModel] {
        let start = Timestamp(microseconds: 0)
        return [
            CostModel(name: "generated", basis: .generatedTokens), CostModel(name: "billed", basis: .billedTokens),
            CostModel(
                name: "money",
                basis: .prices(
                    [
                        ModelPrice(
                            model: "llm", from: start, input: 7, cachedInput: nil, cacheWrite: nil, output: 31,
                            request: 1000),
                        ModelPrice(
                            model: "slm", from: start, input: 2, cachedInput: nil, cacheWrite: nil, output: 3,
                            request: 10),
                    ], .none)),
            CostModel(
                name: "prompts",
                basis: .prices(
                    [
                        ModelPrice(
                            model: "llm", from: start, input: 1, cachedInput: nil, cacheWrite: nil, output: 0,
                            request: 0),
                        ModelPrice(
                            model: "slm", from: start, input: 0, cachedInput: nil, cacheWrite: nil, output: 0,
                            request: 0),
                    ], .none)),
        ]
    }

    private static func makeCase(_ generator: inout TestGenerator, _ index: Int, _ world: ScriptedWorld) -> Case {
        var world = world
        world.seed = generator.next()
        let choices = Int.random(in: 0..<6, using: &generator) == 0 ? 2 : 1
        let runs = (0..<choices).map { world.run(.none, choice: $0) }
        var request = LoggedRequest(
            id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t\(index % 3)", model: "relay",
            policy: world.fixedTokens.map { "fixed(\($0))" } ?? "relay",
            arrived: Timestamp(microseconds: Int64(index) * 900_000_000), choices: choices, promptTokens: world.prompt)
        request.segments = runs.flatMap(\.segments)
        if Int.random(in: 0..<5, using: &generator) > 0 {
            request.verdicts = runs.enumerated().map {
                LoggedVerdict(choice: $0.offset, source: "test", verdict: $0.element.verdict)
            }
        }
        if choices == 1, Bool.random(using: &generator) {
            let alone = (world.run(.slm), world.run(.llm))
            // Beside the log it was one generation; a model that needs several is not recorded so.
            if alone.0.segments.count == 1, alone.1.segments.count == 1 {
                request.slmOnly = LoggedAlone(verdict: alone.0.verdict, tokens: alone.0.slmTokens)
                request.llmOnly = LoggedAlone(verdict: alone.1.verdict, tokens: alone.1.llmTokens)
            }
        }
        return Case(world: world, request: request, choices: choices)
    }

    /// Changes that are asked of one world.
    private static func changes(_ generator: inout TestGenerator) -> [(Counterfactual, ScriptedWorld.Change)] {
        let call = Int.random(in: 1...12, using: &generator)
        let calls = Int.random(in: 0...4, using: &generator)
        let answer = Int.random(in: 0...20, using: &generator)
        let fixed = Int.random(in: 1...16, using: &generator)
        return [
            (.asLogged, .none), (.slmOnly, .slm), (.llmOnly, .llm), (.capTokensPerCall(call), .callTokens(call)),
            (.capCalls(calls), .calls(calls)), (.capTokensPerRequest(answer), .answerTokens(answer)),
            (.fixedLength(fixed), .fixed(fixed)),
        ]
    }

    private static func scenario(_ world: ScriptedWorld, _ generator: inout TestGenerator) -> Scenario {
        var scenario = Scenario(title: "brute force")
        scenario.costModels = costModels()
        scenario.replicates = 0
        let configuration = world.configuration
        let refuses = if case .refuses = world.budget { true } else { false }
        // What a user says of the limits may be more than they were.
        let slack = Int.random(in: 0..<3, using: &generator) == 0 ? 2 : 0
        scenario.relay = RelayLimits(
            calls: configuration.maxCalls + slack, callTokens: configuration.maxCallTokens + slack,
            malformed: configuration.maxMalformed,
            answerTokens: configuration.maxTokens.map { $0 + 5 * slack }, budgetsRefuse: refuses)
        return scenario
    }

    @Test func `every answer contains what really happens`() throws {
        var exact = 0
        var bounded = 0
        for trace in 0..<1000 {
            var generator = TestGenerator(UInt64(trace))
            let world = ScriptedWorld(using: &generator)
            var scenario = Self.scenario(world, &generator)
            let changes = Self.changes(&generator)
            scenario.policies = changes.enumerated().map {
                PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element.0)
            }
            let cases = (0..<Int.random(in: 1...8, using: &generator)).map { Self.makeCase(&generator, $0, world) }
            var simulation = try TraceSimulation(scenario)
            for item in cases { try simulation.add(item.request) }
            for (policy, change) in changes {
                let leaf = try #require(ReplayPlan.leaf(policy).flatMap { simulation.plan.leaves.firstIndex(of: $0) })
                let sums = try #require(simulation.groups[""]?.all[leaf])
                let truths = cases.map { (item: $0, truth: $0.truth(change)) }
                var totals = [Int128](repeating: 0, count: Quantity.allCases.count + 4)
                for (item, truth) in truths {
                    if !item.request.verdicts.isEmpty { totals[Quantity.correct.rawValue] += Int128(truth.correct) }
                    // An answer of the LLM alone is no call.
                    if case .llm = change {} else { totals[Quantity.calls.rawValue] += Int128(truth.calls) }
                    totals[Quantity.reached.rawValue] += Int128(truth.reached)
                    totals[Quantity.llmTokens.rawValue] += Int128(truth.llmTokens)
                    totals[Quantity.slmTokens.rawValue] += Int128(truth.slmTokens)
                    for model in 0..<4 { totals[Quantity.allCases.count + model] += Int128(truth.costs[model]) }
                }
                for index in totals.indices {
                    guard ![.callShare, .refused, .degraded].contains(Quantity(rawValue: index)) else { continue }
                    let name = Quantity(rawValue: index).map { "\($0)" } ?? "cost \(index)"
                    let isOpen = sums.open[index] > 0
                    #expect(
                        sums.low[index] <= totals[index] && (isOpen || totals[index] <= sums.high[index]),
                        "trace \(trace), \(policy), \(name): \(totals[index]) of \(sums.low[index])...\(sums.high[index])"
                    )
                    if !isOpen, sums.low[index] == sums.high[index] { exact += 1 } else { bounded += 1 }
                }
            }
        }
        // Both kinds occur, or the test would show nothing.
        #expect(exact > 10_000 && bounded > 10_000, "\(exact) exact, \(bounded) bounded")
    }
}
