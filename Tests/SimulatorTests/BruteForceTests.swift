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
    /// A policy, and the answer of each request under it.
    private struct Question {
        let policy: Counterfactual
        let truths: ([BruteForceCase]) -> [SlowTotals]

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

    static func scenario(_ world: ScriptedWorld, _ generator: inout TestGenerator) -> Scenario {
        var scenario = Scenario(title: "brute force")
        scenario.costModels = SlowTotals.costModels()
        scenario.verdictSource = "test"
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
    static func totals(_ cases: [BruteForceCase], _ truths: [SlowTotals]) -> [Int128] {
        var totals = [Int128](repeating: 0, count: Quantity.allCases.count + SlowTotals.costCount)
        for (item, truth) in zip(cases, truths) {
            for (index, value) in truth.values.enumerated() { totals[index] += Int128(value) }
            if !item.isJudged { totals[Quantity.correct.rawValue] -= Int128(truth.correct) }
        }
        return totals
    }

    static func name(_ index: Int) -> String {
        Quantity(rawValue: index).map { "\($0)" } ?? "cost \(index - Quantity.allCases.count)"
    }

    /// Whether a price or a count is missing for a value, so that no total is given.
    static func isUnpriced(_ index: Int, _ unpriced: [Int]) -> Bool {
        index >= Quantity.allCases.count && unpriced[index - Quantity.allCases.count] > 0
    }

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
            if isUnpriced(index, totals.unpriced) { continue }
            let truth = Number.quotient(eighths * first.1[index] + (8 - eighths) * second.1[index], 8) ?? .zero
            let range = totals.values[index]
            #expect(
                range.low <= truth && range.high.map { truth <= $0 } ?? true,
                "\(comment), \(policy), \(name(index)): \(truth) of \(range)")
        }
    }

    /// The four call ratios of the log, and the two of every policy.
    private static func checkRatios(_ cases: [BruteForceCase], _ simulation: TraceSimulation, _ comment: Comment) {
        var requested = 0
        var empty = 0
        for item in cases {
            var asked = 0
            var generated = 0
            for segment in item.runs(.none).flatMap(\.segments) {
                generated += segment.tokens
                if segment.isLLM, segment.wasCalled { asked += min(segment.requested ?? segment.tokens, 4096) }
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
            let cases = BruteForceCase.cases(&generator, world)
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
                    if Self.isUnpriced(index, sums.unpriced) { continue }
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
        for name in (0..<Quantity.allCases.count + SlowTotals.costCount).map(Self.name) {
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
            for item in BruteForceCase.cases(&generator, world) { for change in changes { item.compare(change) } }
        }
    }
}
