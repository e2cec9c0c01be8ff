import Accounting
import Testing

@testable import Simulator

/// Attempts, answers and prompts that are easily counted twice or not at all, by hand.
@Suite struct AnswersAloneTests {
    private static func request(_ segments: [LoggedSegment], policy: String = "relay", choices: Int = 1)
        -> LoggedRequest
    {
        LoggedRequest(
            id: UUID7(high: 1 << 16, low: 0), tenant: "t", model: "m", policy: policy,
            arrived: Timestamp(microseconds: 0), choices: choices, promptTokens: 10, segments: segments)
    }

    private static func totals(_ request: LoggedRequest, _ policy: Counterfactual) throws -> PolicyTotals {
        var scenario = Scenario(title: "by hand")
        scenario.policies = [PolicyEntry(name: "p", counterfactual: policy)]
        let fee = ModelPrice(
            model: "llm", from: Timestamp(microseconds: 0), input: 0, cachedInput: nil, cacheWrite: nil, output: 0,
            request: 5)
        var free = fee
        (free.model, free.request) = ("slm", 0)
        scenario.costModels = [
            CostModel(name: "billed", basis: .billedTokens),
            CostModel(name: "fee", basis: .prices([fee, free], .none)),
        ]
        scenario.replicates = 0
        var simulation = try TraceSimulation(scenario)
        try simulation.add(request)
        return try #require(simulation.answers(simulation.whole)[0].totals)
    }

    /// The SLM's command, a call that failed before its first byte and was tried again, and the SLM's end.
    private static let triedAgain = request([
        LoggedSegment(
            role: .slm, sequence: 0, model: "small", requested: 20, tokens: 5, commandTokens: 3, finish: .call,
            inputTokens: 10),
        LoggedSegment(role: .llm, sequence: 1, model: "large", requested: 20, granted: 20, tokens: 0, finish: .failed),
        LoggedSegment(
            role: .llm, sequence: 1, attempt: 2, model: "large", requested: 20, granted: 20, tokens: 20,
            finish: .length, inputTokens: 12),
        LoggedSegment(role: .slm, sequence: 2, model: "small", tokens: 4, finish: .stop, inputTokens: 35),
    ])

    @Test func `attempts at one call are one call, and those without a count cost nothing`() throws {
        let totals = try Self.totals(Self.triedAgain, .asLogged)
        #expect(totals[.calls].exact == .whole(1))
        // 10 + 5, 12 + 20, 35 + 4.
        #expect(totals[cost: 0].exact == .whole(86))
        #expect(totals[cost: 1].exact == .whole(5))
    }

    /// 20 of 5 + 20 + 4 tokens, 0.6896551724138 rounded to twelve digits; after 2 of 26 visible tokens.
    @Test func `what a command asked for counts once, and its call falls in one place`() {
        var log = LogSums()
        log.add(Self.triedAgain)
        #expect(log.requestedShare == 689_655_172_414)
        #expect(log.calls == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(log.callTokens == [20, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `a call that is refused has no attempts`() throws {
        let totals = try Self.totals(Self.triedAgain, .capTokensPerRequest(0))
        #expect(totals[.reached].exact == .zero)
        #expect(totals[.calls].exact == .zero)
        #expect(totals[cost: 1].exact == .zero)
    }

    @Test func `each of several answers alone reads the prompt`() throws {
        var request = Self.triedAgain
        request.choices = 2
        request.llmOnly = LoggedAlone(verdict: nil, tokens: 30)
        let totals = try Self.totals(request, .llmOnly)
        // Twice 10, and 30; a fee for each.
        #expect(totals[cost: 0].exact == .whole(50))
        #expect(totals[cost: 1].exact == .whole(10))
    }

    @Test func `an answer that a budget left to the SLM is the SLM's, and says nothing of the LLM`() throws {
        let request = Self.request(
            [
                LoggedSegment(
                    role: .llm, sequence: 0, model: "large", granted: 0, tokens: 0, finish: .refusedForTokens),
                LoggedSegment(role: .slm, sequence: 1, model: "small", tokens: 7, finish: .stop, inputTokens: 10),
            ], policy: "llm")
        let slm = try Self.totals(request, .slmOnly)
        #expect(slm.replayable == 1 && slm[.slmTokens].exact == .whole(7) && slm[.degraded].exact == .zero)
        #expect(try Self.totals(request, .llmOnly).replayable == 0)
    }

    // MARK: Measured beside the log

    /// An answer that one model wrote alone, judged right, with what a run beside the log made of the question.
    private static func served(
        _ number: UInt64, by role: LoggedSegment.Role, policy: String, tokens: Int, beside: LoggedAlone?,
        isJudged: Bool = true
    ) -> LoggedRequest {
        var request = request(
            [LoggedSegment(role: role, sequence: 0, model: "x", tokens: tokens, finish: .stop, inputTokens: 14)],
            policy: policy)
        request.id = UUID7(high: number << 16, low: 0)
        request.verdicts = isJudged ? [LoggedVerdict(choice: 0, source: "test", verdict: 1_000_000)] : []
        if role == .slm { request.slmOnly = beside } else { request.llmOnly = beside }
        return request
    }

    private static func simulation(_ requests: [LoggedRequest]) throws -> TraceSimulation {
        var scenario = Scenario(title: "by hand")
        scenario.policies = [
            PolicyEntry(name: "slm", counterfactual: .slmOnly), PolicyEntry(name: "llm", counterfactual: .llmOnly),
        ]
        scenario.costModels = [CostModel(name: "billed", basis: .billedTokens)]
        scenario.replicates = 0
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        return simulation
    }

    private static let wrong = LoggedAlone(verdict: 0, tokens: 9)
    private static let same = LoggedAlone(verdict: 1_000_000, tokens: 7)

    /// The first was measured otherwise: wrong, 9 tokens upon a prompt of 10. The log alone has the second, and both
    /// say the same of the third: right, 7 tokens upon a prompt of 14.
    @Test(arguments: [("relay", LoggedSegment.Role.slm), ("slm", .slm), ("llm", .llm)])
    func `what was measured wins, and the log stands in where nothing was`(
        _ policy: String, _ role: LoggedSegment.Role
    ) throws {
        let beside = [Self.wrong, nil, Self.same]
        let simulation = try Self.simulation(
            beside.enumerated().map {
                Self.served(UInt64($0.offset + 1), by: role, policy: policy, tokens: 7, beside: $0.element)
            })
        let totals = try #require(simulation.answers(simulation.whole)[role == .slm ? 0 : 1].totals)
        #expect(totals.replayable == 3)
        #expect(totals.accuracy?.exact == .ratio(2, 3))
        // 9 + 7 + 7.
        #expect(totals[role == .slm ? .slmTokens : .llmTokens].exact == .whole(23))
        // 10 + 9, and twice 14 + 7.
        #expect(totals[cost: 0].exact == .whole(61))
        let name = role == .slm ? "SLM" : "LLM"
        let warnings = simulation.report().warnings.filter { $0.contains("measured otherwise") }
        #expect(warnings.count == 1 && warnings[0].hasPrefix("1 of 2 answers of the \(name) alone"))
        #expect(warnings.first?.contains("1 of them with another verdict") == true)
        let decoded = try TraceSimulation.decode(simulation.encode(), scenario: simulation.scenario)
        #expect(decoded.report() == simulation.report())
    }

    @Test func `an answer that a budget left to the SLM is the one that was measured`() throws {
        var request = Self.request(
            [
                LoggedSegment(
                    role: .llm, sequence: 0, model: "large", granted: 0, tokens: 0, finish: .refusedForTokens),
                LoggedSegment(role: .slm, sequence: 1, model: "small", tokens: 7, finish: .stop, inputTokens: 10),
            ], policy: "llm")
        request.slmOnly = LoggedAlone(verdict: nil, tokens: 8)
        #expect(try Self.totals(request, .slmOnly)[.slmTokens].exact == .whole(8))
    }

    /// Other tokens with the same verdict are a difference, and one without a verdict decides nothing where the log has
    /// one.
    @Test func `a measured answer that nobody judged leaves a judged one to the log`() throws {
        let unjudged = LoggedAlone(verdict: nil, tokens: 5)
        let longer = LoggedAlone(verdict: 1_000_000, tokens: 8)
        let simulation = try Self.simulation([
            Self.served(1, by: .slm, policy: "relay", tokens: 7, beside: unjudged),
            Self.served(2, by: .slm, policy: "relay", tokens: 7, beside: unjudged, isJudged: false),
            Self.served(3, by: .slm, policy: "relay", tokens: 7, beside: longer),
        ])
        let totals = try #require(simulation.answers(simulation.whole)[0].totals)
        #expect(totals.replayable == 3 && totals.accuracy?.exact == .one)
        // 7 + 5 + 8.
        #expect(totals[.slmTokens].exact == .whole(20))
        let warning = simulation.report().warnings.first { $0.contains("measured otherwise") }
        #expect(warning?.hasPrefix("2 of 2 answers") == true)
        #expect(warning?.contains("0 of them with another verdict") == true)
    }

    @Test func `the mean of ratios leaves out requests without a token`() throws {
        #expect(try Self.totals(Self.request([]), .asLogged).meanCallRatio == nil)
        // 20 of 29.
        let mean = try Self.totals(Self.triedAgain, .asLogged).meanCallRatio?.exact
        #expect(mean == Number.quotient(689_655_172_414, 1_000_000_000_000))
    }

    @Test func `no share of requests matches tokens where a model writes none`() {
        #expect(MatchedCost.requestShare(tokenShare: .ratio(1, 2), slmTokens: .zero, llmTokens: .one) == nil)
        #expect(MatchedCost.requestShare(tokenShare: .ratio(1, 2), slmTokens: .one, llmTokens: .zero) == nil)
    }
}
