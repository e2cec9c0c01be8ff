import Accounting
import Configuration
import Simulator
import Testing

@testable import Scenarios

@Suite struct ScenarioFileTests {
    private static let whole = """
        title: Everything at once
        source:
          traces: [a.jsonl, /data/b.jsonl]
        select:
          from: 2026-01-08
          to: 2026-01-09T12:00
          tenants: acme
          policies: [relay]
          tags: [benchmark=gsm8k, "team=a=b"]
        policies:
          - policy: as-logged
          - policy: fixed:20
          - name: short
            cap_n: 32
          - cap_calls: 1
          - cap_tokens: 0
          - name: half
            budgets:
              - {tokens: 500, window: hour, on_exhausted: reject}
              - {tenant: acme, tokens: 9}
          - time_share: {first: fixed:500, second: slm, share: 0.25}
          - threshold: {score: difficulty, at_least: -1.5}
          - cascade: {false_accept: 0.1}
          - threshold: {score: difficulty, llm_accuracy: 0.95}
        train: {share: 0.25, order: random}
        cost_models:
          - {name: logged, basis: recorded}
          - name: twice
            basis: prices
            prices:
              - {model: llm, input: 2.00, output: "8", cached_input: 0.5}
              - {model: llm, from: 2026-02-01, input: 3, output: 9, request: 0.000001}
            cache: rule
            cache_rule: {minimum: 1024, step: 128, ttl: 5m}
          - {name: size, basis: parameters, parameters: {slm: 1.7, llm: 8}}
        matched: money
        verdict_source: tests
        group_by: benchmark
        cluster: tag:question
        seed: 7
        replicates: 0
        relay: {max_calls: 8, max_tokens: 300, budgets_refuse: true}
        """

    private static func parse(_ text: String) throws -> ScenarioFile {
        try ScenarioFile.parse(text: text, fileName: "some/where/s.yaml")
    }

    @Test func `names are explained for those who have only the report`() throws {
        let meanings = try Self.parse(Self.whole).scenario.meanings
        let found = Dictionary(uniqueKeysWithValues: meanings.map { ($0.term, $0.meaning) })
        // What is its own word needs no more.
        #expect(
            meanings.map(\.term) == [
                "cost model logged", "cost model twice", "cost model size", "policy short", "policy half",
                "policy 0.25 fixed:500, else slm",
            ])
        #expect(found["policy short"] == "cap-n:32")
        #expect(
            found["policy half"] == "budgets of 500 LLM tokens each hour for each tenant, then rejected; "
                + "9 LLM tokens each day for tenant acme, then degraded")
        #expect(found["cost model logged"] == "what the ledger wrote, by the prices that held")
        #expect(
            found["cost model twice"] == "llm: input 2.00, cached input 0.50, output 8.00 $ for a million tokens; "
                + "llm from 2026-02-01T00:00:00Z: input 3.00, output 9.00 $ for a million tokens, 0.000001 $ for a request; "
                + "cache: from 1024 tokens in steps of 128, for 300000 ms")
        #expect(
            found["cost model size"]
                == "generated tokens times billions of parameters: 1.7 of the SLM, 8 of the LLM")
    }

    @Test func `every key is read`() throws {
        let file = try Self.parse(Self.whole)
        #expect(file.source == .traces(["some/where/a.jsonl", "/data/b.jsonl"]))
        var expected = Scenario(title: "Everything at once")
        expected.selection.from = Timestamp(rfc3339: "2026-01-08")
        expected.selection.to = Timestamp(rfc3339: "2026-01-09T12:00")
        expected.selection.tenants = ["acme"]
        expected.selection.policies = ["relay"]
        expected.selection.tags = [("benchmark", "gsm8k"), ("team", "a=b")]
        expected.policies = [
            .init(name: "as-logged", counterfactual: .asLogged),
            .init(name: "fixed:20", counterfactual: .fixedLength(20)),
            .init(name: "short", counterfactual: .capTokensPerCall(32)),
            .init(name: "cap-calls:1", counterfactual: .capCalls(1)),
            .init(name: "cap-tokens:0", counterfactual: .capTokensPerRequest(0)),
            .init(
                name: "half",
                counterfactual: .budgets([
                    .init(tenant: nil, tokens: 500, window: .hour, onExhausted: .reject),
                    .init(tenant: "acme", tokens: 9, window: .day, onExhausted: .degrade),
                ])),
            .init(
                name: "0.25 fixed:500, else slm", counterfactual: .timeShared(.fixedLength(500), .slmOnly, share: 0.25)),
            .init(
                name: "threshold:difficulty>=-1.5",
                counterfactual: .thresholdRouter(score: "difficulty", threshold: -1.5)),
            .init(name: "cascade:0.1/0", counterfactual: .cascade(falseAccept: 0.1, falseReject: 0)),
            .init(
                name: "threshold:difficulty@llm-accuracy=0.95",
                counterfactual: .chosenThreshold(score: "difficulty", aim: .llmAccuracy(0.95))),
        ]
        // $2.00 for a million are 2,000,000 pico-dollars for one; $0.000001 for a request are 1,000,000.
        let february = try #require(Timestamp(rfc3339: "2026-02-01"))
        expected.costModels = [
            .init(name: "logged", basis: .recorded),
            .init(
                name: "twice",
                basis: .prices(
                    [
                        .init(
                            model: "llm", from: Timestamp(microseconds: 0), input: 2_000_000, cachedInput: 500_000,
                            cacheWrite: nil, output: 8_000_000, request: 0),
                        .init(
                            model: "llm", from: february, input: 3_000_000, cachedInput: nil, cacheWrite: nil,
                            output: 9_000_000, request: 1_000_000),
                    ], .rule(CacheRule(minimum: 1024, step: 128, timeToLiveMilliseconds: 300_000)))),
            .init(name: "size", basis: .parameters(slm: 1.7, llm: 8)),
        ]
        expected.matched = .money
        expected.verdictSource = "tests"
        expected.groupBy = "benchmark"
        expected.cluster = .tag("question")
        expected.seed = 7
        expected.replicates = 0
        expected.train = TrainSplit(share: 0.25, order: .random)
        expected.relay = RelayLimits(calls: 8, callTokens: 512, malformed: 3, answerTokens: 300, budgetsRefuse: true)
        #expect(file.scenario == expected)
    }

    @Test func `what is left out has its default`() throws {
        let file = try Self.parse("policies: [{policy: slm}]")
        var expected = Scenario(title: "s.yaml")
        expected.policies = [.init(name: "slm", counterfactual: .slmOnly)]
        #expect(file == ScenarioFile(scenario: expected, source: nil, questions: file.questions))
    }

    @Test func `all problems are told at once, each with its place and its remedy`() throws {
        let text = """
            source: {traces: a.jsonl, pairs: b.csv}
            polices: []
            policies:
              - policy: fxed:20
              - {cap_n: 0}
              - {cap_n: 3, cap_calls: 1}
              - {name: nothing}
              - budgets: [{window: week}]
              - cascade: {false_accept: 2}
              - threshold: {score: difficulty, at_least: 1, share: 0.3}
              - threshold: {score: difficulty}
            train: {share: 1, order: date}
            cost_models:
              - {name: p, basis: prices}
              - {name: p, basis: recorded, cache: none}
              - {name: q, basis: prices, prices: [{model: llm, input: -1, output: 1.0000001}]}
            select: {from: yesterday, tags: [team]}
            cluster: question
            """
        let error = try #require(throws: ConfigurationError.self) { try Self.parse(text) }
        let expected = [
            "source: names traces and pairs; give one of traces, pairs, rows, ledger and paper",
            "polices: unknown key, did you mean \"policies\"?",
            "policies[0].policy: \"fxed:20\" is no policy",
            "policies[1].cap_n: must be from 1 to 1000000000, not \"0\"",
            "policies[2]: has cap_n and cap_calls; give one, and another item for the other",
            "policies[3]: says no policy; give one of policy, cap_n",
            "policies[4].budgets[0].tokens: is required and missing",
            "policies[4].budgets[0].window: must be hour, day, month, total, not \"week\"",
            "policies[5].cascade.false_accept: must be from 0.0 to 1.0, not \"2\"",
            "policies[6].threshold: has at_least and share; give one of at_least, share, accuracy, llm_accuracy, cost",
            "policies[7].threshold: says no threshold; give one of at_least",
            "train.share: must be from 0.001 to 0.999, not \"1\"",
            "train.order: must be time, file, random, not \"date\"",
            "cost_models[0].prices: is needed with basis: prices",
            "cost_models[1].name: \"p\" is the name of another cost model",
            "cost_models[1].cache: belongs to basis: prices",
            "cost_models[2].prices[0].input: must be dollars in digits",
            "cost_models[2].prices[0].output: has more than 6 decimals",
            "select.from: must be a time such as 2026-11-01",
            "select.tags[0]: must be KEY=VALUE",
            "cluster: must be request, tenant or tag:NAME",
        ]
        let problems = error.problems.map { "\($0.path): \($0.message)" }
        for message in expected { #expect(problems.contains { $0.hasPrefix(message) }, "\(message) in \(problems)") }
        #expect(problems.count == expected.count, "\(problems)")
        #expect(error.problems.allSatisfy { $0.line > 0 && $0.fileName == "some/where/s.yaml" })
    }

    @Test func `a value that is refused is one problem`() throws {
        let text = """
            source: {traces: trace.jsonl}
            policies:
              - threshold: {score: score, cost: .inf}
              - threshold: {score: score, cost: 1e10}
            """
        let error = try #require(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(
            error.problems.map { "\($0.path): \($0.message)" } == [
                "policies[0].threshold.cost: must be a number such as 0.25, not \".inf\"",
                "policies[1].threshold.cost: must be from 0.0 to 1000000000.0, not \"1e10\"",
            ])
    }

    @Test(arguments: ["", "# nothing", "- a", "a: [", "policies: 3", "policies: [3]", "source: true", "source: {}"])
    func `what is no scenario is refused`(_ text: String) {
        #expect(throws: ConfigurationError.self) { try Self.parse(text) }
    }

    @Test func `the reference has a line for each key`() {
        let lines = ScenarioReference.markdown.split(separator: "\n")
        #expect(lines.count == ScenarioReference.entries.count + 2)
        #expect(Set(ScenarioReference.entries.map(\.path)).count == ScenarioReference.entries.count)
        for entry in ScenarioReference.entries { #expect(lines.contains { $0.hasPrefix("| `\(entry.path)` |") }) }
    }
}
