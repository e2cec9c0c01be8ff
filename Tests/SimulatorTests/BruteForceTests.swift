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

/// The replay against what really happens under each changed policy, counted by a relay that is written a second time
/// (`SlowRelay`, `SlowBudgets`); the log is made by the product's relay, and the two are held against each other.
@Suite struct BruteForceTests {
    /// A request of a trace, with the world that it lives in.
    private struct Case {
        let world: ScriptedWorld
        let request: LoggedRequest
        /// How it was served.
        let served: ScriptedWorld.Change

        /// The answers under a change, of the slow relay.
        func runs(_ change: ScriptedWorld.Change) -> [SlowRelay.Run] {
            (0..<request.choices).map { SlowRelay.run(world, effective(change), choice: $0) }
        }

        /// Limits on calls change nothing for what one model wrote alone.
        private func effective(_ change: ScriptedWorld.Change) -> ScriptedWorld.Change {
            switch (served, change) {
            case (.slm, .fixed), (.llm, .fixed), (.none, _), (_, .slm), (_, .llm): change
            default: served
            }
        }

        func truth(_ change: ScriptedWorld.Change) -> SlowTotals { SlowTotals(runs(change)) }

        /// With so many LLM tokens left in its budgets.
        func truth(left: Int) -> SlowTotals {
            switch served {
            case .slm: return truth(.none)
            case .llm:
                let alone = truth(.none)
                if alone.llmTokens <= left { return alone }
                var totals = truth(.slm)
                totals.degraded = 1
                return totals
            default:
                var left = left
                var runs: [SlowRelay.Run] = []
                for choice in 0..<request.choices {
                    runs.append(SlowRelay.run(world, .answerTokens(left), choice: choice))
                    left -= runs[choice].llmTokens
                }
                return SlowTotals(runs)
            }
        }

        /// One answer, by the product's relay and by the slow one.
        func compare(_ change: ScriptedWorld.Change) {
            for choice in 0..<request.choices {
                let product = world.run(change, choice: choice)
                let slow = SlowRelay.run(world, change, choice: choice)
                let segments = slow.segments.enumerated().map { index, segment in
                    LoggedSegment(
                        role: segment.isLLM ? .llm : .slm, choice: choice, sequence: index,
                        model: segment.isLLM ? "large" : "small", requested: segment.requested,
                        granted: segment.granted, tokens: segment.tokens, commandTokens: segment.commandTokens,
                        finish: LoggedSegment.Finish(segment.finish), inputTokens: segment.prompt)
                }
                #expect(product.segments == segments, "\(change)")
                #expect(product.calls == slow.calls && product.verdict == slow.verdict, "\(change)")
            }
        }
    }

    /// A policy, and the answer of each request under it.
    private struct Question {
        let policy: Counterfactual
        let truths: ([Case]) -> [SlowTotals]

        init(_ policy: Counterfactual, _ change: ScriptedWorld.Change) {
            self.policy = policy
            truths = { $0.map { $0.truth(change) } }
        }

        init(_ rules: [BudgetRule]) {
            policy = .budgets(rules)
            truths = { cases in
                var budgets = SlowBudgets(rules)
                return cases.map { item in
                    let request = item.request
                    return budgets.serve(tenant: request.tenant, at: request.arrived.microseconds) {
                        item.truth(left: $0)
                    }
                }
            }
        }
    }

    /// What was found over all traces.
    private struct Tally {
        var exact: [String: Int] = [:]
        var bounded: [String: Int] = [:]
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

    private static func makeCase(
        _ generator: inout TestGenerator, _ index: Int, _ world: ScriptedWorld, at arrived: Int64
    ) -> Case {
        var world = world
        world.seed = generator.next()
        let choices = Int.random(in: 0..<6, using: &generator) == 0 ? 2 : 1
        let served: ScriptedWorld.Change =
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: .slm
            case 1: .llm
            default: .none
            }
        let runs = (0..<choices).map { world.run(served, choice: $0) }
        let policy =
            switch served {
            case .slm: "slm"
            case .llm: "llm"
            default: world.fixedTokens.map { "fixed(\($0))" } ?? "relay"
            }
        var request = LoggedRequest(
            id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t\(index % 3)", model: "relay",
            policy: policy, arrived: Timestamp(microseconds: arrived), choices: choices, promptTokens: world.prompt)
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
        return Case(world: world, request: request, served: served)
    }

    private static func cases(_ generator: inout TestGenerator, _ world: ScriptedWorld) -> [Case] {
        // 2026-01-30: the days that follow are of another month.
        var moment: Int64 = 1_769_731_200_000_000
        return (0..<Int.random(in: 1...8, using: &generator)).map { index in
            moment += [60, 1_800, 40_000][Int.random(in: 0..<3, using: &generator)] * 1_000_000
            return makeCase(&generator, index, world, at: moment)
        }
    }

    private static func questions(_ generator: inout TestGenerator) -> [Question] {
        let call = Int.random(in: 1...12, using: &generator)
        let calls = Int.random(in: 0...4, using: &generator)
        let answer = Int.random(in: 0...20, using: &generator)
        let fixed = Int.random(in: 1...16, using: &generator)
        func rule(_ onExhausted: BudgetRule.OnExhausted) -> BudgetRule {
            BudgetRule(
                tenant: Bool.random(using: &generator) ? nil : "t1", tokens: Int.random(in: 0...40, using: &generator),
                window: BudgetRule.Window.allCases.randomElement(using: &generator) ?? .day, onExhausted: onExhausted)
        }
        return [
            Question(.asLogged, .none), Question(.slmOnly, .slm), Question(.llmOnly, .llm),
            Question(.capTokensPerCall(call), .callTokens(call)), Question(.capCalls(calls), .calls(calls)),
            Question(.capTokensPerRequest(answer), .answerTokens(answer)), Question(.fixedLength(fixed), .fixed(fixed)),
            Question([rule(.degrade)]), Question([rule(.reject)]), Question([rule(.degrade), rule(.reject)]),
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

    /// Sums by `Quantity`, then the cost models.
    private static func totals(_ cases: [Case], _ truths: [SlowTotals]) -> [Int128] {
        var totals = [Int128](repeating: 0, count: Quantity.allCases.count + 4)
        for (item, truth) in zip(cases, truths) {
            for (quantity, value) in [
                (Quantity.correct, item.request.verdicts.isEmpty ? 0 : truth.correct), (.calls, truth.calls),
                (.reached, truth.reached), (.llmTokens, truth.llmTokens), (.slmTokens, truth.slmTokens),
                (.callShare, truth.callShare), (.refused, truth.refused), (.degraded, truth.degraded),
            ] { totals[quantity.rawValue] += Int128(value) }
            for model in 0..<4 { totals[Quantity.allCases.count + model] += Int128(truth.costs[model]) }
        }
        return totals
    }

    private static func name(_ index: Int) -> String { Quantity(rawValue: index).map { "\($0)" } ?? "cost" }

    /// Time sharing in eighths of the requests, against eighths of the truths.
    private static func checkMixture(
        _ first: (Question, [Int128]), _ second: (Question, [Int128]), _ eighths: Int128,
        _ simulation: TraceSimulation, _ comment: Comment
    ) {
        let policy = Counterfactual.timeShared(
            first.0.policy, second.0.policy, share: Double(eighths) / 8)
        let answer = simulation.answer("mixture", policy, simulation.whole)
        guard let totals = answer.totals else {
            Issue.record("no mixture")
            return
        }
        for index in totals.values.indices {
            let truth = Number.quotient(eighths * first.1[index] + (8 - eighths) * second.1[index], 8) ?? .zero
            let range = totals.values[index]
            #expect(
                range.low <= truth && range.high.map { truth <= $0 } ?? true,
                "\(comment), \(policy), \(name(index)): \(truth) of \(range)")
        }
    }

    /// The four call ratios of the log, and the two of every policy.
    private static func checkRatios(_ cases: [Case], _ simulation: TraceSimulation, _ comment: Comment) {
        var requested = 0
        var empty = 0
        for item in cases {
            var asked = 0
            var generated = 0
            for segment in item.runs(.none).flatMap(\.segments) {
                generated += segment.tokens
                if segment.isLLM, segment.granted != 0 { asked += min(segment.requested ?? segment.tokens, 4096) }
            }
            if generated == 0 {
                empty += 1
            } else {
                requested += min(1_000_000_000_000, (asked * 1_000_000_000_000 + generated / 2) / generated)
            }
        }
        #expect(simulation.log.requestedShare == Int128(requested) && simulation.log.empty == Int128(empty), comment)
    }

    @Test func `every answer contains what really happens`() throws {
        var tally = Tally()
        for trace in 0..<1000 {
            var generator = TestGenerator(UInt64(trace))
            let world = ScriptedWorld(using: &generator)
            var scenario = Self.scenario(world, &generator)
            let questions = Self.questions(&generator)
            scenario.policies = questions.enumerated().map {
                PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element.policy)
            }
            let cases = Self.cases(&generator, world)
            var simulation = try TraceSimulation(scenario)
            for item in cases { try simulation.add(item.request) }
            var found: [(Question, [Int128])] = []
            for question in questions {
                let totals = Self.totals(cases, question.truths(cases))
                found.append((question, totals))
                let leaf = try #require(
                    ReplayPlan.leaf(question.policy).flatMap { simulation.plan.leaves.firstIndex(of: $0) })
                let sums = try #require(simulation.groups[""]?.all[leaf])
                for index in totals.indices {
                    let name = Self.name(index)
                    let isOpen = sums.open[index] > 0
                    #expect(
                        sums.low[index] <= totals[index] && (isOpen || totals[index] <= sums.high[index]),
                        "\(trace), \(question.policy), \(name): \(totals[index]) of \(sums.low[index])...\(sums.high[index])"
                    )
                    let isExact = !isOpen && sums.low[index] == sums.high[index]
                    if isExact { tally.exact[name, default: 0] += 1 } else { tally.bounded[name, default: 0] += 1 }
                }
                let llm = totals[Quantity.llmTokens.rawValue]
                let generated = llm + totals[Quantity.slmTokens.rawValue]
                let ratio = Number.quotient(llm, generated) ?? .zero
                let range = simulation.totals(leaf, simulation.whole, paired: false).callRatio
                #expect(
                    range.low <= ratio && range.high.map { ratio <= $0 } ?? true,
                    "trace \(trace), \(question.policy): call ratio \(ratio) of \(range)")
            }
            Self.checkRatios(cases, simulation, "trace \(trace)")
            let pick = (0..<2).map { _ in Int.random(in: found.indices, using: &generator) }
            Self.checkMixture(
                found[pick[0]], found[pick[1]], Int128.random(in: 0...8, using: &generator), simulation,
                "trace \(trace)")
        }
        // Both kinds occur of every quantity, or the test would show nothing. Whether a request is refused is open
        // only where the log has calls that a budget refused.
        for name in Quantity.allCases.map({ "\($0)" }) + ["cost"] {
            #expect(tally.exact[name, default: 0] > 1_000, "\(name): \(tally.exact[name, default: 0]) exact")
            #expect(
                tally.bounded[name, default: 0] > (name == "refused" ? 5 : 100),
                "\(name): \(tally.bounded[name, default: 0]) bounded")
        }
    }

    @Test func `the product's relay and the slow one are the same`() {
        for trace in 0..<1000 {
            var generator = TestGenerator(UInt64(trace))
            let world = ScriptedWorld(using: &generator)
            _ = Self.scenario(world, &generator)
            _ = Self.questions(&generator)
            let changes: [ScriptedWorld.Change] = [
                .none, .slm, .llm, .callTokens(1 + trace % 12), .calls(trace % 5), .answerTokens(trace % 21),
                .fixed(1 + trace % 16),
            ]
            for item in Self.cases(&generator, world) { for change in changes { item.compare(change) } }
        }
    }
}
