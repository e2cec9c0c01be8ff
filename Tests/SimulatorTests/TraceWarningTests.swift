import Accounting
import Testing

@testable import Simulator

/// Each warning of a report on a trace, there when the data tell it and not otherwise.
@Suite struct TraceWarningTests {
    /// 1,200 requests of six tenants, which the SLM answered and the LLM beside it, each with 10 tokens. The SLM is
    /// right on the first 600 and the LLM on the first 900.
    private static func requests(_ change: (Int, inout LoggedRequest) -> Void = { _, _ in }) -> [LoggedRequest] {
        (0..<1200).map { index in
            var request = LoggedRequest(
                id: UUID7(high: UInt64(index + 1) << 16, low: mixed(UInt64(index))), tenant: "t\(index % 6)",
                model: "m",
                policy: "slm", arrived: Timestamp(microseconds: Int64(index)), promptTokens: 5,
                tags: [
                    RequestTag(key: "score", value: "\(index % 100)"), RequestTag(key: "kind", value: "k\(index % 4)"),
                ],
                segments: [
                    LoggedSegment(role: .slm, sequence: 0, model: "small", tokens: 10, finish: .stop, inputTokens: 5)
                ])
            request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: index < 600 ? 1_000_000 : 0)]
            request.llmOnly = LoggedAlone(verdict: index < 900 ? 1_000_000 : 0, tokens: 10)
            change(index, &request)
            return request
        }
    }

    /// What a question of the log is warned of, whole and as the sum of three parts.
    private static func warnings(
        _ requests: [LoggedRequest] = requests(), _ change: (inout Scenario) -> Void = { _ in }
    ) throws -> [String] {
        var scenario = Scenario(title: "warnings")
        scenario.replicates = 0
        scenario.cluster = .tenant
        scenario.matched = .requests
        scenario.policies = [PolicyEntry(name: "log", counterfactual: .asLogged)]
        change(&scenario)
        var whole = try TraceSimulation(scenario)
        for request in requests { try whole.add(request) }
        var merged = try TraceSimulation(scenario)
        for shard in 0..<3 {
            var part = try TraceSimulation(scenario)
            for request in requests.reversed() where part.isInShard(request, shard, of: 3) { try part.add(request) }
            try merged.merge(try TraceSimulation.decode(part.encode(), scenario: scenario))
        }
        let warnings = whole.report().warnings
        #expect(merged.report().warnings == warnings)
        return warnings
    }

    private static func expect(
        _ warnings: [String], _ expected: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            warnings.count == expected.count && zip(warnings, expected).allSatisfy { $0.contains($1) }, "\(warnings)",
            sourceLocation: sourceLocation)
    }

    private static func policies(_ policies: Counterfactual...) -> (inout Scenario) -> Void {
        { scenario in
            scenario.policies = policies.enumerated().map {
                PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element)
            }
        }
    }

    private static func prices(from: Int64) -> CostModel {
        func price(_ model: String) -> ModelPrice {
            ModelPrice(
                model: model, from: Timestamp(microseconds: from), input: 1, cachedInput: nil, cacheWrite: nil,
                output: 1,
                request: 0)
        }
        return CostModel(name: "money", basis: .prices([price("slm"), price("llm")], .none))
    }

    @Test func `a calm log has none`() throws {
        Self.expect(try Self.warnings())
    }

    @Test func `tokens of the LLM are not money, and shares of them not of requests`() throws {
        Self.expect(
            try Self.warnings { $0.matched = .llmTokens }, "llm_tokens counts what the LLM generates, which is not")
        let longer = Self.requests { $1.llmOnly?.tokens = 11 }
        Self.expect(
            try Self.warnings(longer) { $0.matched = .llmTokens }, "which is not money",
            "the SLM's answers have 12000 tokens and the LLM's 13200")
        Self.expect(try Self.warnings(longer))
    }

    @Test func `a log that tried nothing else`() throws {
        let alone = Self.requests { $1.llmOnly = nil }
        Self.expect(try Self.warnings(alone, Self.policies(.llmOnly)), "the log says nothing of what it did not do")
        // What was logged is known.
        Self.expect(try Self.warnings(alone, Self.policies(.slmOnly)))
        // Drawn policies, and a shadow run; of one request it is a small sample.
        let drawn = Self.requests { index, request in
            request.llmOnly = nil
            if index == 0 { request.propensity = 0.5 }
        }
        Self.expect(try Self.warnings(drawn, Self.policies(.llmOnly)))
        let shadow = Self.requests { index, request in if index > 0 { request.llmOnly = nil } }
        Self.expect(try Self.warnings(shadow, Self.policies(.llmOnly)), "1 requests with known answers of both models")
    }

    @Test func `segments that say what cannot be so`() throws {
        Self.expect(
            try Self.warnings(
                Self.requests { index, request in
                    if index < 2 { request.segments[0].cachedTokens = 6 }
                    if index == 2 { request.segments[0].cacheWriteTokens = 6 }
                    if index == 3 { request.segments[0].cachedTokens = 5 }
                    if index == 4 { request.segments[0].finish = LoggedSegment.Finish("turn_limit") }
                }), "3 segments have more prompt tokens of a cache",
            "1 segments have a finish that is no word of the trace format")
    }

    @Test func `verdicts that are missing`() throws {
        Self.expect(
            try Self.warnings(Self.requests { if $0 == 7 { $1.verdicts = [] } }),
            "1 of 1200 requests have no verdict and are in no accuracy, though in tokens and costs")
    }

    @Test func `few verdicts`() throws {
        Self.expect(try Self.warnings(Array(Self.requests().prefix(999))), "999 verdicts: a difference of 3 points")
        Self.expect(try Self.warnings(Array(Self.requests().prefix(1000))))
        Self.expect(
            try Self.warnings(Self.requests { if $0 >= 999 { $1.llmOnly = nil } }),
            "999 requests with known answers of both models alone")
    }

    @Test func `prices age, and those that are missing leave no total`() throws {
        Self.expect(try Self.warnings { $0.costModels = [Self.prices(from: 0)] }, "prices age")
        Self.expect(
            try Self.warnings { $0.costModels = [Self.prices(from: 1)] }, "so no total is given", "prices age")
        Self.expect(try Self.warnings { $0.costModels = [CostModel(name: "t", basis: .generatedTokens)] })
    }

    @Test func `a tenant with more than a fifth`() throws {
        // Five tenants have a fifth each, which is not more. Their answers cost 15 each.
        func some(_ more: Int) -> [LoggedRequest] {
            Self.requests { index, request in request.tenant = index < more ? "t0" : "t\(index % 5)" }
        }
        let money: (inout Scenario) -> Void = { $0.costModels = [Self.prices(from: 0)] }
        Self.expect(try Self.warnings(some(0), money), "prices age")
        // Of the first five, one is its anyway: 244 of 1,200.
        Self.expect(
            try Self.warnings(some(5), money),
            "tenant t0 has 20.3 % of the spend (money): intervals by tenant rest on few tenants", "prices age")
        Self.expect(
            try Self.warnings(some(5)) {
                money(&$0)
                $0.cluster = .request
                $0.replicates = 1
            }, "intervals take requests as independent", "tenant t0 has 20.3 % of the spend (money): requests of one",
            "prices age")
        // Those of nobody are left out: of 600 that are left t1 has 120 and, of the first, one more: 121.
        let owned = Self.requests { index, request in
            request.tenant = index % 2 == 0 ? "" : index < 4 ? "t1" : "t\(index % 5)"
        }
        Self.expect(
            try Self.warnings(owned, money), "tenant t1 has 20.2 % of the spend (money) among requests with a tenant",
            "prices age")
        // One tenant alone is no matter of clusters, and tokens of the LLM nobody spent.
        Self.expect(try Self.warnings(some(1200), money), "prices age")
        Self.expect(try Self.warnings(some(5)))
        // LLM tokens where a price is missing.
        let called = some(5).map { request in
            var request = request
            request.policy = "llm"
            request.segments[0].role = .llm
            request.slmOnly = LoggedAlone(verdict: 0, tokens: 10)
            request.llmOnly = nil
            return request
        }
        Self.expect(
            try Self.warnings(called) { $0.costModels = [Self.prices(from: 1)] }, "so no total is given",
            "tenant t0 has 20.3 % of the spend (LLM tokens)", "prices age")
    }

    @Test func `thresholds that were chosen on the log`() throws {
        Self.expect(
            try Self.warnings(Self.requests(), Self.policies(.thresholdRouter(score: "score", threshold: 50))),
            "thresholds on score look better on the log")
        // One that is chosen here is held out. 1,200 moments are taken in steps of 16 µs: 75 are 128 or fewer, 150 are
        // not. The half of them ends at 37 · 16 = 592.
        Self.expect(
            try Self.warnings(Self.requests(), Self.policies(.chosenThreshold(score: "score", aim: .llmAccuracy(0.9)))),
            "608 requests are held out", "p0 sends no held-out request to the LLM: it is the SLM alone")
    }

    @Test func `a router that uses one model only`() throws {
        for (threshold, said) in [
            (1000.0, "p0 sends no request to the LLM: it is the SLM alone"),
            (-1, "p0 sends every request to the LLM: it is the LLM alone"),
        ] {
            Self.expect(
                try Self.warnings(
                    Self.requests(), Self.policies(.thresholdRouter(score: "score", threshold: threshold))),
                "thresholds on score", said)
        }
        // The log sent nothing to the LLM, and so does a router of the same share; who asks for 0 knows.
        Self.expect(
            try Self.warnings(
                Self.requests(),
                Self.policies(
                    .randomRouterAtCost(.requests), .randomRouter(share: 0), .slmOnly, .llmOnly,
                    .timeShared(.slmOnly, .randomRouter(share: 0), share: 0.5))
            ),
            "p0 sends no request to the LLM", "p4 sends no request to the LLM")
    }

    @Test func `what changes calls is no router`() throws {
        Self.expect(
            try Self.warnings(
                Self.requests(),
                Self.policies(
                    .slmOnly, .capCalls(0), .capTokensPerRequest(0), .asLogged,
                    .timeShared(.capCalls(0), .slmOnly, share: 0.5))))
    }

    @Test func `one cluster with more than a fifth`() throws {
        func clustered(_ cluster: Cluster, _ more: Int) throws -> [String] {
            let requests = Self.requests { index, request in
                request.tenant = index < more ? "t0" : "t\(index % 5)"
                request.tags.append(RequestTag(key: "question", value: request.tenant))
            }
            return try Self.warnings(requests) {
                $0.cluster = cluster
                $0.replicates = 1
            }
        }
        for cluster in [Cluster.tenant, .tag("question")] {
            let name = cluster == .tenant ? "tenant" : "question"
            Self.expect(try clustered(cluster, 0))
            // 240 and four more.
            Self.expect(
                try clustered(cluster, 5),
                "one cluster holds 20.3 % of the requests; intervals by \(name) rest on few clusters")
            Self.expect(
                try clustered(cluster, 1200), "all requests are of one cluster: there are no intervals by \(name)")
        }
        // Without intervals it is no matter.
        Self.expect(try Self.warnings(Self.requests { $1.tenant = "t" }))
        // Requests without the tag are clusters of their own.
        let some = Self.requests { index, request in
            if index < 100 { request.tags.append(RequestTag(key: "question", value: "q")) }
        }
        Self.expect(
            try Self.warnings(some) {
                $0.cluster = .tag("question")
                $0.replicates = 1
            })
    }

    @Test func `clusters that are too many to keep apart`() throws {
        // 4,300 clusters of one request and one of 1,200: 1200/5500 = 21.8 %, and some that share its group.
        let first = Self.requests()[0]
        let requests = (0..<5500).map { index in
            var request = first
            request.id = UUID7(high: UInt64(index + 1) << 16, low: mixed(UInt64(index)))
            request.tenant = index < 1200 ? "large" : "t\(index)"
            return request
        }
        let warnings = try Self.warnings(requests) { $0.replicates = 1 }
        #expect(
            warnings.contains {
                $0.hasPrefix("one cluster, or one of 4096 random groups of them, holds 21.")
                    && $0.hasSuffix("% of the requests; intervals by tenant rest on few clusters")
            }, "\(warnings)")
    }

    @Test func `intervals and other policies that nobody asked for`() throws {
        func independent(_ change: @escaping (inout Scenario) -> Void) throws -> [String] {
            try Self.warnings(Self.requests()) {
                $0.cluster = .request
                change(&$0)
            }
        }
        Self.expect(try independent { $0.replicates = 1 }, "intervals take requests as independent")
        Self.expect(try independent { $0.replicates = 0 })
        // Those of held-out requests are by a formula: 608 as in the test of chosen thresholds.
        Self.expect(
            try independent {
                $0.policies = [
                    PolicyEntry(name: "p", counterfactual: .chosenThreshold(score: "score", aim: .llmAccuracy(0.9)))
                ]
            }, "intervals take requests as independent", "608 requests are held out", "p sends no held-out request")
        Self.expect(
            try independent {
                $0.replicates = 1
                $0.selection.tenants = ["nobody"]
            }, "there are no requests")
        // The policies of every report, of which one is unknown here.
        let alone = Self.requests { $1.llmOnly = nil }
        func policies(_ isUsual: Bool) throws -> [String] {
            try Self.warnings(alone) {
                $0.policies.append(PolicyEntry(name: "llm", counterfactual: .llmOnly))
                $0.hasUsualPolicies = isUsual
            }
        }
        Self.expect(try policies(true))
        Self.expect(try policies(false), "the log says nothing of what it did not do")
    }

    @Test func `scores that no request has`() throws {
        let given = Self.policies(.thresholdRouter(score: "nosuch", threshold: 0.5))
        Self.expect(
            try Self.warnings(Self.requests(), given),
            "no request that was selected has the tag nosuch (threshold): no request has a score")
        Self.expect(
            try Self.warnings(
                Self.requests(), Self.policies(.chosenThreshold(score: "nosuch", aim: .share(0.3)))),
            "no request that was selected has the tag nosuch (threshold)")
        Self.expect(
            try Self.warnings(Self.requests(), Self.policies(.chosenThreshold(score: "kind", aim: .share(0.3)))),
            "no value of the tag kind is a number (threshold): no request has a score")
        // One number is enough, and no number is one that is not finite.
        let one = Self.requests { index, request in
            request.tags[1] = RequestTag(key: "kind", value: index == 1199 ? "1" : "nan")
        }
        Self.expect(
            try Self.warnings(one, Self.policies(.thresholdRouter(score: "kind", threshold: 0.5))), "thresholds on kind"
        )
        let none = Self.requests { $1.tags[1] = RequestTag(key: "kind", value: "nan") }
        Self.expect(
            try Self.warnings(none, Self.policies(.thresholdRouter(score: "kind", threshold: 0.5))),
            "no value of the tag kind is a number")
    }

    @Test func `p* without a solution`() throws {
        // The LLM is right where the SLM is wrong and on 300 more: 900, and one of both on 1,200.
        let apart = Self.requests { $1.llmOnly?.verdict = $0 >= 300 ? 1_000_000 : 0 }
        Self.expect(
            try Self.warnings(apart, Self.policies(.oracleRouter, .slmOnly)),
            "p* above the LLM or below the SLM is a result: no random router is so good, or so bad (p0)")
        // Where the LLM is right on all that the SLM is, it is the oracle.
        Self.expect(try Self.warnings(Self.requests(), Self.policies(.oracleRouter, .slmOnly)))
    }

    @Test func `means over groups and over requests`() throws {
        // Groups of 300, each right on 150.
        Self.expect(try Self.warnings { $0.groupBy = "kind" })
        // One group of 30 that is right, and one of 1,170 right on 570: (1 + 570/1170)/2 and 600/1200.
        func uneven(_ few: Int) -> [LoggedRequest] {
            Self.requests { index, request in
                request.tags = [RequestTag(key: "kind", value: index < few ? "few" : "many")]
            }
        }
        Self.expect(
            try Self.warnings(uneven(30)) { $0.groupBy = "kind" },
            "accuracy as logged, by kind: 0.7436 as the mean over 2 groups (macro), 0.5000 over their requests (micro);"
        )
        Self.expect(try Self.warnings(uneven(29)) { $0.groupBy = "kind" })
    }

    // MARK: Tenants

    private static func spend(_ tenants: some Sequence<Int>) -> TenantSpend {
        var spend = TenantSpend()
        for tenant in tenants {
            spend.add(tenant == 0 ? "large" : "t\(tenant)", llmTokens: tenant == 0 ? 3000 : 1, money: 0)
        }
        return spend
    }

    @Test func `many tenants fall into the same groups in any order`() throws {
        let some = Self.spend(0..<4096)
        #expect(!some.isFolded)
        let largest = try #require(some.largest(isMoney: false))
        // 3,000 of 3,000 + 4,095.
        #expect(largest.name == "large" && largest.share == .quotient(3000, 7095))
        #expect(some.largest(isMoney: true) == nil)
        let whole = Self.spend(0..<9000)
        let isReversed = Self.spend((0..<9000).reversed()) == whole
        #expect(whole.isFolded && isReversed)
        var merged = Self.spend(4000..<8000)
        merged.merge(Self.spend(8000..<9000))
        merged.merge(Self.spend(0..<4000))
        let isMerged = merged == whole
        #expect(isMerged)
        var few = Self.spend(8990..<9000)
        few.merge(Self.spend(0..<8990))
        let isWhole = few == whole
        #expect(isWhole)
        // Of 11,999 tokens the group of the large one has 3,000 and at most a few more.
        let group = try #require(whole.largest(isMoney: false))
        #expect(group.name == nil && group.share >= .quotient(3000, 11_999) ?? .zero)
        #expect(group.share <= .quotient(3020, 11_999) ?? .zero)
        var writer = PartialWriter()
        whole.encode(&writer)
        var reader = PartialReader(writer.bytes, from: 0, to: writer.bytes.count)
        let isRead = try TenantSpend(&reader) == whole && reader.isAtEnd
        #expect(isRead)
    }
}
