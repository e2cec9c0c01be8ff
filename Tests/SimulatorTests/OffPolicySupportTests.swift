import Accounting
import Testing

@testable import Simulator

/// Where a log cannot tell what a policy earns, and which of its shadow runs can.
@Suite struct OffPolicySupportTests {
    private static func request(
        _ number: UInt64, _ policy: String, _ role: LoggedSegment.Role, propensity: Double?, score: Double = 0,
        right: Int? = 1
    ) -> LoggedRequest {
        var request = LoggedRequest(
            id: UUID7(high: number << 16, low: 0), tenant: "t", model: "m", policy: policy, propensity: propensity,
            arrived: Timestamp(microseconds: 0), promptTokens: 1,
            tags: [RequestTag(key: "score", value: "\(score)")],
            segments: [LoggedSegment(role: role, sequence: 0, model: "x", tokens: 5, finish: .stop)])
        request.verdicts = right.map { [LoggedVerdict(choice: 0, source: "s", verdict: $0 * 1_000_000)] } ?? []
        return request
    }

    private static func report(_ requests: [LoggedRequest]) throws -> Report {
        var scenario = Scenario(title: "support")
        scenario.policies = [
            PolicyEntry(name: "coin", counterfactual: .randomRouter(share: 0.3)),
            PolicyEntry(name: "hard", counterfactual: .thresholdRouter(score: "score", threshold: 0.5)),
        ]
        scenario.replicates = 0
        return try ScriptedTrace.checkParts(requests, scenario, seed: 1).report()
    }

    private static func rows(_ report: Report, _ target: String) throws -> [[Table.Cell]] {
        let table = try #require(report.sections.first { $0.name == "off_policy" }?.table)
        return table.rows.filter { $0[0] == .text(target) }
    }

    private static func reason(_ report: Report, _ target: String) throws -> String {
        let rows = try rows(report, target)
        guard rows.count == 1, case .finding(let finding) = rows[0][2], finding.knowledge == .unknown else { return "" }
        return finding.reason ?? ""
    }

    private static let coin = "random router, p = 0.3"
    private static let hard = "LLM where score ≥ 0.5"

    /// Half of the requests have a score of 0.5 and more.
    private static func drawn(_ role: LoggedSegment.Role, from start: UInt64) -> [LoggedRequest] {
        (0..<4).map {
            request(start + $0, "random(0.2)", role, propensity: role == .slm ? 0.8 : 0.2, score: Double($0) / 3)
        }
    }

    @Test func `a policy whose actions the log took has estimates`() throws {
        let report = try Self.report(Self.drawn(.slm, from: 1) + Self.drawn(.llm, from: 5))
        #expect(try Self.rows(report, Self.coin).count == 4)
        #expect(try Self.rows(report, Self.hard).count == 4)
    }

    /// Requests that the LLM answered were dropped: of them an estimate would say that they were wrong.
    @Test func `an action that was never logged is no support, by its name`() throws {
        let report = try Self.report(Self.drawn(.slm, from: 1))
        #expect(try Self.reason(report, Self.coin).contains("gives the LLM alone a part of 4 requests"))
        #expect(try Self.reason(report, Self.hard).contains("gives the LLM alone a part of 2 requests"))
        #expect(try Self.reason(report, "LLM only") == "no logged request took an action of this policy")
        // Of the SLM there is an estimate, whose weights 1/0.8 tell that requests are missing.
        let row = try #require(try Self.rows(report, "SLM only").first)
        #expect(row[6] == .exact(.real(1.25), .ratio))
        guard case .text(let note) = row[7] else { return #expect(Bool(false)) }
        #expect(note.contains("the mean weight is 1.2500"))
    }

    @Test func `an action that was seen elsewhere is no support of a class of requests`() throws {
        // The LLM answered, but none of the requests with a high score.
        let report = try Self.report(Self.drawn(.slm, from: 1) + Self.drawn(.llm, from: 5).prefix(2))
        #expect(try Self.rows(report, Self.coin).count == 4)
        #expect(try Self.reason(report, Self.hard).contains("gives the LLM alone a part of 2 requests"))
    }

    @Test func `what had propensity 1 leaves no chance to another action`() throws {
        let certain = Self.request(9, "random(0)", .slm, propensity: 1)
        let report = try Self.report(Self.drawn(.slm, from: 1) + Self.drawn(.llm, from: 5) + [certain])
        #expect(
            try Self.reason(report, Self.coin).contains("in 1 of 9 requests to which the policy gives the LLM alone"))
        #expect(try Self.reason(report, "LLM only").contains("in 1 of 9 requests"))
        // What it took is all that these policies ask of it.
        #expect(try Self.rows(report, "SLM only").count == 4)
        #expect(try Self.rows(report, Self.hard).count == 4)
    }

    @Test func `weights with the mean 1 are no warning`() throws {
        // 1/0.5 of two of four requests, and 0 of the others: 4/4.
        let requests = [LoggedSegment.Role.slm, .llm, .slm, .llm].enumerated().map {
            Self.request(UInt64($0.offset + 1), "random(0.5)", $0.element, propensity: 0.5)
        }
        let row = try #require(try Self.rows(try Self.report(requests), "SLM only").first)
        #expect(row[6] == .exact(.real(1), .ratio))
        guard case .text(let note) = row[7] else { return #expect(Bool(false)) }
        #expect(!note.contains("mean weight"))
    }

    // MARK: Shadow runs

    /// Of five requests, three of which were judged, the SLM ran four beside the log; of one run nobody said whether it
    /// was right. So (1/0.5 + 0 + 1/0.5) / 5, and (2 + 2) / (2 + 4 + 2).
    @Test func `shadow runs count whether or not the log was judged`() throws {
        let runs: [(logged: Int?, run: LoggedAlone?, inclusion: Double)] = [
            (nil, LoggedAlone(verdict: 1_000_000, tokens: 1), 0.5), (1, LoggedAlone(verdict: 0, tokens: 1), 0.25),
            (0, LoggedAlone(verdict: 1_000_000, tokens: 1), 0.5), (nil, LoggedAlone(verdict: nil, tokens: 1), 0.5),
            (1, nil, 0.5),
        ]
        let requests = runs.enumerated().map { (index, item) -> LoggedRequest in
            var request = Self.request(
                UInt64(index + 1), "llm", .llm, propensity: nil, right: item.logged)
            request.slmOnly = item.run
            request.inclusionProbability = item.inclusion
            return request
        }
        let report = try Self.report(requests)
        let rows = try Self.rows(report, "SLM only")
        #expect(rows.count == 2)
        for (row, value) in zip(rows, [0.8, 0.5]) {
            guard case .finding(let finding) = row[2], case .estimated(let number) = finding.knowledge else {
                return #expect(Bool(false))
            }
            #expect(abs(number.double - value) < 1e-12)
            #expect(row[3] == .count(3, .requests))
        }
        guard case .text(let note) = rows[0][7] else { return #expect(Bool(false)) }
        #expect(note.contains("1 shadow runs that nobody judged"))
        #expect(rows[1][7] == .text(""))
        let excluded = report.exclusions.filter { $0.reason.contains("estimate") }
        #expect(excluded.map(\.requests) == [1])
        #expect(excluded.first?.reason.contains("run of the SLM beside them that nobody judged") == true)
    }

    @Test func `drawn requests that nobody judged are told`() throws {
        let report = try Self.report(
            Self.drawn(.slm, from: 1) + Self.drawn(.llm, from: 5)
                + [Self.request(9, "random(0.2)", .slm, propensity: 0.8, right: nil)])
        let excluded = report.exclusions.filter { $0.reason.contains("off-policy estimate") }
        #expect(excluded.map(\.requests) == [1])
    }
}
