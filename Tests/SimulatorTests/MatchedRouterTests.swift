import Accounting
import Testing

@testable import Simulator

/// Random routers that spend, or are right, as a policy: why there is none, and how sure their numbers are.
@Suite struct MatchedRouterTests {
    /// A relay whose SLM wrote 8 tokens and whose LLM wrote 2, beside 10 tokens of either model alone. The relay read
    /// 50 prompt tokens, either model alone reads 10.
    private static func request(_ number: UInt64, right: Int, slm: Int = 0, llm: Int = 1) -> LoggedRequest {
        var request = LoggedRequest(
            id: UUID7(high: number << 16, low: 0), tenant: "t", model: "m", policy: "relay",
            arrived: Timestamp(microseconds: 0), promptTokens: 10,
            segments: [
                LoggedSegment(
                    role: .slm, sequence: 0, model: "small", requested: 2, tokens: 8, commandTokens: 3, finish: .call,
                    inputTokens: 35),
                LoggedSegment(
                    role: .llm, sequence: 1, model: "large", requested: 2, granted: 2, tokens: 2, finish: .stop,
                    inputTokens: 15),
            ])
        request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: right * 1_000_000)]
        request.slmOnly = LoggedAlone(verdict: slm * 1_000_000, tokens: 10)
        request.llmOnly = LoggedAlone(verdict: llm * 1_000_000, tokens: 12)
        return request
    }

    private static func scenario(_ policies: Counterfactual..., replicates: Int = 0) -> Scenario {
        var scenario = Scenario(title: "matched")
        scenario.policies = policies.map { PolicyEntry(name: "p", counterfactual: $0) }
        scenario.replicates = replicates
        return scenario
    }

    private static func simulation(_ scenario: Scenario, _ requests: [LoggedRequest]) throws -> TraceSimulation {
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        return simulation
    }

    private static func note(_ policy: Counterfactual, _ models: CostModel...) throws -> String {
        var scenario = scenario(policy)
        scenario.costModels = models
        let simulation = try simulation(scenario, [request(1, right: 1)])
        let rows = try #require(simulation.report().sections.first { $0.name == "policies" }?.table?.rows)
        guard case .text(let note) = rows[0].last else { return "" }
        return note
    }

    private static func prices(_ cached: Int?, output: Int = 4) -> CostModel {
        let prices = ["slm", "llm"].map {
            ModelPrice(
                model: $0, from: Timestamp(microseconds: 0), input: 2, cachedInput: cached, cacheWrite: nil,
                output: $0 == "slm" ? 4 : output, request: 0)
        }
        return CostModel(name: "money", basis: .prices(prices, .reported))
    }

    @Test func `a quantity that nothing counts is named with what to give`() throws {
        #expect(try Self.note(.randomRouterAtCost(.money)).contains("--price slm=IN/OUT"))
        #expect(try Self.note(.randomRouterAtCost(.activatedParameters)).contains("--parameters SLM/LLM"))
        #expect(try Self.note(.randomRouterAtCost(.billedTokens)).contains("the basis billed_tokens"))
    }

    @Test func `a share that is no router is printed`() throws {
        // (50 + 10 − 20) / (22 − 20).
        let note = try Self.note(
            .randomRouterAtCost(.billedTokens), CostModel(name: "billed", basis: .billedTokens))
        #expect(note.contains("share 20.000000") && note.contains("not from 0 to 1"))
    }

    @Test func `costs that are not exact have no matched share, and say why`() throws {
        let note = try Self.note(.randomRouterAtCost(.money), Self.prices(1))
        #expect(note.contains("money is not exact: a server did not say how much came from its cache"))
        let same = try Self.note(
            .randomRouterAtCost(.activatedParameters), CostModel(name: "size", basis: .parameters(slm: 1.2, llm: 1)))
        #expect(same.contains("both models alone cost the same (size)"))
    }

    @Test(arguments: [Counterfactual.randomRouter(share: 0.3), .slmOnly, .llmOnly])
    func `a cost that depends on a cache says so where both models were run`(_ policy: Counterfactual) throws {
        var scenario = Self.scenario(policy)
        scenario.costModels = [Self.prices(1)]
        let simulation = try Self.simulation(scenario, [Self.request(1, right: 1)])
        let rows = try #require(simulation.report().sections.first { $0.name == "costs" }?.table?.rows)
        guard case .finding(let finding) = rows[0][2] else { return #expect(Bool(false)) }
        #expect(finding.reason == "a server did not say how much came from its cache")
    }

    @Test func `each group has a row, with why there is no router`() throws {
        var scenario = Self.scenario(.randomRouterAtAccuracy)
        scenario.groupBy = "tenant"
        var requests = [
            // Models that are right equally often; right more often than the LLM; half way; no pairs.
            Self.request(1, right: 1, slm: 0, llm: 0), Self.request(2, right: 0, slm: 1, llm: 1),
            Self.request(3, right: 1, slm: 0, llm: 1), Self.request(4, right: 1, slm: 0, llm: 0),
            Self.request(5, right: 1, slm: 0, llm: 1), Self.request(6, right: 0, slm: 0, llm: 1),
            Self.request(7, right: 1),
        ]
        for (index, tenant) in ["a", "a", "b", "b", "c", "c", "d"].enumerated() { requests[index].tenant = tenant }
        requests[6].llmOnly = nil
        let simulation = try Self.simulation(scenario, requests)
        let rows = try #require(simulation.report().sections.first { $0.name == "groups" }?.table?.rows)
        #expect(rows.map { $0[0] } == ["a", "b", "c", "d"].map { .text($0) })
        let notes = rows.map { row in if case .text(let note)? = row.last { note } else { "" } }
        #expect(notes[0].contains("undefined_equal_models"))
        // p* = (1 − 0) / (1/2 − 0).
        #expect(notes[1].contains("share 2.000000") && notes[1].contains("no_solution_above_llm"))
        // p* = (1/2 − 0) / (1 − 0).
        #expect(rows[2][4] == .finding(.exact(.ratio(1, 2), .share)))
        #expect(notes[2].contains("share 0.500000"))
        #expect(notes[3].contains(TraceSimulation.noPairs))
    }

    /// The SLM is always wrong and the LLM always right, so that p* is the accuracy in every draw; all requests have
    /// the same tokens, so that the matched share is the same in every draw: ρ = 2/10, p = ρ·10 / (ρ·10 + (1 − ρ)·12).
    @Test func `intervals beside random routers follow the accuracy's draws`() throws {
        let requests = (0..<40).map { Self.request(UInt64($0 + 1), right: $0 % 4 == 0 ? 0 : 1) }
        let simulation = try Self.simulation(Self.scenario(.asLogged, replicates: 200), requests)
        let table = try #require(simulation.report().sections.first { $0.name == "matched" }?.table)
        let row = try #require(table.rows.first)
        func interval(_ column: Int) throws -> (value: Double, low: Double, high: Double) {
            guard case .finding(let finding) = row[column], case .exact(let number) = finding.knowledge,
                let interval = finding.interval
            else { throw SimulationError(.data, nil, "no interval") }
            return (number.double, interval.low.double, interval.high.double)
        }
        let accuracy = try interval(1)
        #expect(accuracy.value == 0.75 && accuracy.low < 0.7 && accuracy.high > 0.8)
        let share = 2.0 / (2 + 0.8 * 12)
        let (gain, match, reduction) = (try interval(4), try interval(5), try interval(7))
        func near(_ one: Double, _ other: Double) -> Bool { abs(one - other) < 1e-9 }
        #expect(near(gain.low, accuracy.low - share) && near(gain.high, accuracy.high - share))
        #expect(near(match.low, accuracy.low) && near(match.high, accuracy.high))
        #expect(near(reduction.low, 1 - 0.2 / accuracy.low) && near(reduction.high, 1 - 0.2 / accuracy.high))
        // Clusters keep no costs.
        var scenario = Self.scenario(.asLogged, replicates: 200)
        scenario.matched = .requests
        let other = try Self.simulation(scenario, requests).report()
        let cells = try #require(other.sections.first { $0.name == "matched" }?.table?.rows.first)
        guard case .finding(let byRequests) = cells[4] else { return #expect(Bool(false)) }
        #expect(byRequests.interval == nil)
    }
}
