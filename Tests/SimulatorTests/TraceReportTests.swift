import Accounting
import Testing

@testable import Simulator

/// What a report on traces says in words.
@Suite struct TraceReportTests {
    private static func report(_ scenario: Scenario, _ requests: [LoggedRequest]) throws -> Report {
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        return simulation.report()
    }

    private static func scenario(_ policies: Counterfactual...) -> Scenario {
        var scenario = Scenario(title: "words")
        scenario.policies = policies.enumerated().map { PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element) }
        scenario.replicates = 0
        return scenario
    }

    /// One answer with one call of 20 tokens.
    private static func request(
        _ serial: UInt64, small: String = "small", large: String = "large", input: Int? = 10
    ) -> LoggedRequest {
        LoggedRequest(
            id: UUID7(high: serial << 16, low: 0), tenant: "t", model: "relay", policy: "relay",
            arrived: Timestamp(microseconds: 0), promptTokens: 10,
            segments: [
                LoggedSegment(
                    role: .slm, sequence: 0, model: small, tokens: 30, commandTokens: 6, finish: .call,
                    inputTokens: input),
                LoggedSegment(
                    role: .llm, sequence: 1, model: large, requested: 20, granted: 20, tokens: 20, finish: .length,
                    inputTokens: input),
                LoggedSegment(role: .slm, sequence: 2, model: small, tokens: 9, finish: .stop, inputTokens: input),
            ])
    }

    private static func price(_ model: String) -> ModelPrice {
        ModelPrice(
            model: model, from: Timestamp(microseconds: 0), input: 1, cachedInput: nil, cacheWrite: nil, output: 1,
            request: 0)
    }

    // MARK: Costs

    @Test(arguments: [100, nil])
    func `a cost without an upper end says so, and no other does`(_ limit: Int?) throws {
        var scenario = Self.scenario(.capTokensPerCall(5))
        scenario.costModels = [
            CostModel(name: "money", basis: .prices([Self.price("slm"), Self.price("llm")], .none))
        ]
        scenario.relay.answerTokens = limit
        let table = try Self.report(scenario, [Self.request(1)]).sections.first { $0.name == "costs" }?.table
        let row = try #require(table?.rows.first)
        // The cost, and the cost of as logged.
        for cell in row[2...] {
            guard case .finding(let finding) = cell else { throw Missing() }
            let isOpen = if case .atLeast = finding.knowledge { true } else { false }
            #expect(isOpen == (limit == nil))
            #expect(finding.reason?.contains("relay.max_tokens") == (limit == nil))
            #expect(finding.reason?.hasPrefix("what follows a call that is cut was never written") == true)
        }
    }

    private struct Missing: Error {}

    @Test func `what has no price is named`() throws {
        var scenario = Self.scenario(.asLogged)
        scenario.costModels = [CostModel(name: "money", basis: .prices([Self.price("slm")], .none))]
        func said(_ requests: [LoggedRequest]) throws -> String? {
            let report = try Self.report(scenario, requests)
            let row = report.sections.first { $0.name == "costs" }?.table?.rows.first
            guard case .finding(let finding) = row?[2] else { return nil }
            #expect(report.warnings.contains("\(finding.reason ?? ""), so no total is given"))
            return finding.reason
        }
        #expect(
            try said([Self.request(1), Self.request(2, large: "huge")])
                == "money: 2 requests have no price of huge, large when they arrived, or no prompt count")
        let names = ["e", "b", "d", "a", "c"]
        #expect(
            try said(names.enumerated().map { Self.request(UInt64($0.offset + 1), large: $0.element) })
                == "money: 5 requests have no price of a, b, c and others when they arrived, or no prompt count")
        scenario.costModels = [
            CostModel(name: "money", basis: .prices([Self.price("slm"), Self.price("llm")], .none))
        ]
        #expect(try said([Self.request(1, input: nil)]) == "money: 1 requests have no prompt count")
        // The SLM alone has a price; who would have been the LLM, the request does not say.
        var alone = Self.request(1)
        alone.segments = Array(alone.segments.suffix(1))
        scenario.policies[0].counterfactual = .llmOnly
        scenario.costModels = [CostModel(name: "money", basis: .prices([Self.price("slm")], .none))]
        let costs = try Self.report(scenario, [alone]).sections.first { $0.name == "costs" }?.table?.rows.first
        #expect(
            costs?[2]
                == .finding(
                    .unknown(
                        .picoDollars,
                        reason: "money: 1 requests have no price of llm when they arrived, or no prompt count")))
        scenario.policies[0].counterfactual = .asLogged
        scenario.costModels = [CostModel(name: "money", basis: .recorded)]
        #expect(try said([Self.request(1)]) == "money: 1 requests have no recorded cost of large, small")
    }

    // MARK: Definitions

    private static let comparison = [
        "random router", "random router at matched cost", "gain", "p*", "reduction", "hull",
    ]
    private static let estimates = [
        "IPS", "SNIPS", "IPS clipped at 5", "doubly robust", "effective sample", "largest weight",
    ]
    private static let shadows = ["Horvitz-Thompson", "Hájek"]

    private static func terms(_ report: Report) -> Set<String> { Set(report.definitions.map(\.term)) }

    @Test func `words are defined where they occur`() throws {
        let all = Self.terms(try Self.report(ScriptedTrace.scenario(), ScriptedTrace.requests(300, seed: 1)))
        for word in Self.comparison + Self.estimates + Self.shadows { #expect(all.contains(word), "\(word)") }
        // Nobody judged: nothing is compared or estimated.
        let plain = Self.terms(try Self.report(Self.scenario(.capCalls(1)), [Self.request(1)]))
        #expect(plain.contains("call ratio, pooled"))
        for word in Self.comparison + Self.estimates + Self.shadows { #expect(!plain.contains(word), "\(word)") }
        let router = Self.terms(
            try Self.report(Self.scenario(.timeShared(.slmOnly, .randomRouter(share: 0.5), share: 0.5)), []))
        #expect(router.intersection(Self.comparison) == ["random router"])
        let matched = Self.terms(try Self.report(Self.scenario(.randomRouterAtCost(.money)), []))
        #expect(matched.intersection(Self.comparison) == ["random router", "random router at matched cost"])
    }

    @Test func `only the estimators that are given are defined`() throws {
        // A propensity without shadow runs; and the policy of neither target: the LLM alone is refused as IPS.
        var drawn = Self.request(1)
        drawn.policy = "random(0.2)"
        drawn.propensity = 0.8
        drawn.segments = [LoggedSegment(role: .slm, sequence: 0, model: "small", tokens: 5, finish: .stop)]
        drawn.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: 1_000_000)]
        let some = Self.terms(try Self.report(Self.scenario(.asLogged), [drawn]))
        #expect(some.isSuperset(of: Self.estimates) && some.isDisjoint(with: Self.shadows))
        // Shadow runs without a propensity.
        var shadowed = Self.request(1)
        shadowed.verdicts = drawn.verdicts
        shadowed.llmOnly = LoggedAlone(verdict: 1_000_000, tokens: 9)
        shadowed.inclusionProbability = 1
        let others = Self.terms(try Self.report(Self.scenario(.asLogged), [shadowed]))
        #expect(others.isSuperset(of: Self.shadows) && others.isDisjoint(with: ["IPS", "SNIPS", "doubly robust"]))
    }

    // MARK: Names

    @Test func `a name that no request has is said, whatever the parts`() throws {
        var scenario = Self.scenario(.asLogged)
        scenario.groupBy = "team"
        scenario.cluster = .tag("question")
        scenario.verdictSource = "tests"
        func said(_ requests: [LoggedRequest]) throws -> [Bool] {
            var whole = try TraceSimulation(scenario)
            for request in requests {
                var part = try TraceSimulation(scenario)
                try part.add(request)
                try whole.merge(try TraceSimulation.decode(part.encode(), scenario: scenario))
            }
            let warnings = whole.report().warnings
            return ["the tag team (group_by)", "the tag question (cluster)", "the source tests (verdict_source)"].map {
                name in warnings.contains { $0.hasPrefix("no request that was selected has ") && $0.contains(name) }
            }
        }
        var tagged = Self.request(2)
        tagged.tags = [RequestTag(key: "team", value: "(none)")]
        var judged = Self.request(3)
        judged.tags = [RequestTag(key: "question", value: "q")]
        judged.verdicts = [LoggedVerdict(choice: 0, source: "people", verdict: 0)]
        #expect(try said([Self.request(1)]) == [true, true, true])
        #expect(try said([Self.request(1), tagged]) == [false, true, true])
        #expect(try said([tagged, judged, Self.request(4)]) == [false, false, true])
        judged.verdicts = [LoggedVerdict(choice: 0, source: "tests", verdict: 0)]
        #expect(try said([judged]) == [true, false, false])
        scenario.groupBy = "model"
        scenario.cluster = .tenant
        scenario.verdictSource = nil
        #expect(try said([Self.request(1)]) == [false, false, false])
    }
}
