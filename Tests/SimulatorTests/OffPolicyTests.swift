import Accounting
import Foundation
import RelayCore
import Testing

@testable import Simulator

@Suite struct OffPolicyTests {
    /// The log: the LLM with probability 0.1 for questions under 50 tokens and 0.4 for others, drawn by SplitMix64
    /// with seed 7. The targets and their numbers stand in the definitions of the simulator (section iv).
    struct Target: Sendable, CustomTestStringConvertible {
        let name: String
        let share: @Sendable (_ questionTokens: Int) -> Double
        let truth: String
        let ips: String
        let snips: String
        let doublyRobust: String
        let clipped: String
        let deviation: String
        let effective: String
        let maximum: String
        var testDescription: String { name }
    }

    static let targets = [
        Target(
            name: "always weak", share: { _ in 0 }, truth: "0.6383623958", ips: "0.6048353129", snips: "0.6194995686",
            doublyRobust: "0.6202215483", clipped: "0.6048353129", deviation: "0.0143559994", effective: "887.826173",
            maximum: "1.6667"),
        Target(
            name: "always strong", share: { _ in 1 }, truth: "0.8567096285", ips: "0.9211523882",
            snips: "0.8709677419", doublyRobust: "0.8721758908", clipped: "0.7429871114", deviation: "0.0533809829",
            effective: "258.179104", maximum: "10.0000"),
        Target(
            name: "random", share: { _ in 0.5 }, truth: "0.7475360121", ips: "0.7629938506", snips: "0.7502588528",
            doublyRobust: "0.7461987196", clipped: "0.7629938506", deviation: "0.0234354721", effective: "765.230151",
            maximum: "5.0000"),
        Target(
            name: "strong from 50 tokens", share: { $0 >= 50 ? 1 : 0 }, truth: "0.8036391205", ips: "0.8385982647",
            snips: "0.8156493240", doublyRobust: "0.8140931682", clipped: "0.8385982647", deviation: "0.0249505757",
            effective: "682.568417", maximum: "2.5000"),
    ]

    @Test(arguments: targets)
    func `estimates on real questions`(_ target: Target) throws {
        let table = try PairTable(csv: Data(contentsOf: PairOracleTests.file))
        let lengths = try table.column("question_tokens", for: "score").compactMap(Int.init)
        var generator = SplitMix64(seed: 7)
        var parts = [OffPolicySums(clip: 5), OffPolicySums(clip: 5)]
        var robust = [RobustSums(), RobustSums()]
        var terms: [Double] = []
        var (truth, variance, actions) = (0.0, 0.0, 0)
        for (row, length) in zip(table.rows, lengths) {
            let logged = length < 50 ? 0.1 : 0.4
            let tookLLM = generator.unit() < logged
            let (slm, llm) = (row.slmCorrect ? 1.0 : 0, row.llmCorrect ? 1.0 : 0)
            let share = target.share(length)
            actions += tookLLM ? 1 : 0
            truth += share * llm + (1 - share) * slm
            let spread = share * llm / logged - (1 - share) * slm / (1 - logged)
            variance += logged * (1 - logged) * spread * spread
            parts[length % 2].add(
                OffPolicySample(
                    reward: tookLLM ? llm : slm, tookLLM: tookLLM, logged: logged, target: share,
                    model: (slm: 0.65, llm: 0.85)))
            let probability = tookLLM ? share : 1 - share
            let weight = probability / (tookLLM ? logged : 1 - logged)
            robust[length % 2].add(
                reward: tookLLM ? llm : slm, weight: weight, target: share, writer: tookLLM ? .llm : .slm)
            terms.append(
                share * 0.85 + (1 - share) * 0.65 + weight * ((tookLLM ? llm : slm) - (tookLLM ? 0.85 : 0.65)))
        }
        #expect(actions == 396)
        var (forwards, backwards) = (parts[0], parts[1])
        forwards.merge(parts[1])
        backwards.merge(parts[0])
        #expect(forwards == backwards)
        let estimates = try OffPolicyEstimates(forwards)
        let n = Double(table.rows.count)
        #expect(Decimals.text(truth / n, decimals: 10) == target.truth)
        #expect(Decimals.text(estimates.ips.value, decimals: 10) == target.ips)
        #expect(Decimals.text(estimates.snips.value, decimals: 10) == target.snips)
        #expect(Decimals.text(estimates.doublyRobust.value, decimals: 10) == target.doublyRobust)
        // The same when the constants are known only at the end.
        robust[1].merge(robust[0])
        let late = try #require(robust[1].estimate(slm: 0.65, llm: 0.85))
        #expect(Decimals.text(late.value, decimals: 10) == target.doublyRobust)
        let mean = terms.reduce(0, +) / n
        let squares = terms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        #expect(abs((late.standardError ?? 0) - (squares / n / (n - 1)).squareRoot()) < 1e-9)
        #expect(Decimals.text(estimates.clipped, decimals: 10) == target.clipped)
        #expect(Decimals.text(variance.squareRoot() / n, decimals: 10) == target.deviation)
        #expect(Decimals.text(estimates.effectiveSampleSize, decimals: 6) == target.effective)
        #expect(Decimals.text(estimates.maximumWeight, decimals: 4) == target.maximum)
    }

    /// Rewards 1 and 0 with weights 0.5/0.25 = 2 and 0.5/0.5 = 1.
    @Test func `two samples by hand`() throws {
        var sums = OffPolicySums()
        sums.add(OffPolicySample(reward: 1, tookLLM: true, logged: 0.25, target: 0.5, model: (slm: 0.5, llm: 0.5)))
        sums.add(OffPolicySample(reward: 0, tookLLM: false, logged: 0.5, target: 0.5, model: (slm: 0.5, llm: 0.5)))
        let estimates = try OffPolicyEstimates(sums)
        #expect(estimates.ips.value == 1)
        #expect(estimates.snips.value == 2.0 / 3)
        // 0.5 + 2 · 0.5 and 0.5 − 0.5, in the mean.
        #expect(estimates.doublyRobust.value == 0.75)
        #expect(estimates.effectiveSampleSize == 9.0 / 5)
        #expect(estimates.maximumWeight == 2)
        // 2 and 0 about 1: √(((1 + 1) / 2) / 1).
        #expect(estimates.ips.standardError == 1)
        // (4·(1/3)² + 1·(2/3)²) / 3² under the root.
        #expect(abs((estimates.snips.standardError ?? 0) - (8.0 / 81).squareRoot()) < 1e-9)
        #expect(!estimates.warnings.isEmpty)
    }

    @Test func `without support there is no estimate`() {
        var deterministic = OffPolicySums()
        deterministic.add(OffPolicySample(reward: 1, tookLLM: false, logged: 0, target: 0.5))
        #expect(throws: OffPolicyEstimates.Refusal.noSupport(requests: 1)) { try OffPolicyEstimates(deterministic) }
        var same = OffPolicySums()
        same.add(OffPolicySample(reward: 1, tookLLM: false, logged: 0, target: 0))
        #expect(throws: Never.self) { try OffPolicyEstimates(same) }
        var elsewhere = OffPolicySums()
        elsewhere.add(OffPolicySample(reward: 1, tookLLM: false, logged: 0.5, target: 1))
        #expect(throws: OffPolicyEstimates.Refusal.noWeight) { try OffPolicyEstimates(elsewhere) }
        #expect(throws: OffPolicyEstimates.Refusal.noSamples) { try OffPolicyEstimates(OffPolicySums()) }
    }

    @Test(arguments: [
        OffPolicySample(reward: .nan, propensity: 0.5, target: 0.5),
        OffPolicySample(reward: 1, propensity: 0, target: 0.5),
        OffPolicySample(reward: 1, propensity: 1.5, target: 0.5),
        OffPolicySample(reward: 1, propensity: .nan, target: 0.5),
        OffPolicySample(reward: 1, propensity: 0.5, target: -0.1),
        OffPolicySample(reward: 1, propensity: 1e-9, target: 1),
        OffPolicySample(reward: 1e9, propensity: 0.5, target: 1),
    ])
    func `numbers that cannot be are refused`(_ sample: OffPolicySample) {
        var sums = OffPolicySums(clip: .nan)
        sums.add(sample)
        #expect(throws: OffPolicyEstimates.Refusal.malformed(requests: 1)) { try OffPolicyEstimates(sums) }
    }

    /// Of four requests two were drawn, with π = 1/2 and outcome 1, and π = 1/4 and outcome 0.
    @Test func `shadow samples`() throws {
        var (first, second) = (ShadowSums(), ShadowSums())
        first.add(outcome: 1, inclusion: 0.5)
        first.add(outcome: nil, inclusion: 0.5)
        second.add(outcome: 0, inclusion: 0.25)
        second.add(outcome: nil, inclusion: 0.25)
        first.merge(second)
        let estimate = try #require(first.horvitzThompson)
        #expect(estimate.value == 0.5)
        // √((1 − 1/2) · 1² / (1/2)²) / 4 = √2 / 4.
        #expect(abs((estimate.standardError ?? 0) - 2.0.squareRoot() / 4) < 1e-9)
        // 2 / (2 + 4).
        #expect(first.hajek == .ratio(1, 3))
        first.add(outcome: 1, inclusion: 0)
        #expect(first.horvitzThompson == nil)
        #expect(ShadowSums().hajek == nil)
    }

    @Test func `without the probabilities there is no estimate, and the report says why`() throws {
        var (unstated, certain) = (ShadowSums(), ShadowSums())
        unstated.add(outcome: 1, inclusion: 0.5)
        unstated.add(outcome: 1, inclusion: nil)
        #expect(unstated.refusal == "inclusion_probability is missing in 1 of 2 shadow runs")
        #expect(unstated.horvitzThompson == nil && unstated.hajek == nil)
        // All drawn for sure, and yet not all drawn: one of them is wrong.
        certain.add(outcome: 1, inclusion: 1)
        #expect(certain.horvitzThompson?.value == 1)
        certain.add(outcome: nil, inclusion: nil)
        #expect(certain.refusal?.contains("1 of 2 requests") == true)
        #expect(certain.horvitzThompson == nil && certain.hajek == nil)
        var simulation = try TraceSimulation(Scenario(title: "shadow runs"))
        var request = try #require(ScriptedTrace.requests(20, seed: 1).first { !$0.verdicts.isEmpty })
        request.slmOnly = LoggedAlone(verdict: 1_000_000, tokens: 1)
        request.inclusionProbability = nil
        try simulation.add(request)
        let table = try #require(simulation.report().sections.first { $0.name == "off_policy" }?.table)
        let row = try #require(table.rows.first { $0[0] == .text("SLM only") && $0[1] == .text("Horvitz-Thompson") })
        guard case .finding(let finding) = row[2] else { return #expect(Bool(false)) }
        #expect(finding.knowledge == .unknown)
    }

    /// What a report says of the doubly robust estimate, by target.
    private static func doublyRobust(shadows: Bool) throws -> [String: Finding] {
        func request(
            _ index: Int, _ writer: LoggedSegment.Role, right: Int, propensity: Double, slm: Int?, llm: Int?,
            inclusion: Double
        ) -> LoggedRequest {
            func alone(_ verdict: Int?) -> LoggedAlone? {
                shadows ? verdict.map { LoggedAlone(verdict: $0 * 1_000_000, tokens: 1) } : nil
            }
            return LoggedRequest(
                id: UUID7(high: UInt64(index) << 16, low: 0), tenant: "t", model: "m", policy: "random(0.5)",
                propensity: propensity, arrived: Timestamp(microseconds: 0), promptTokens: 1,
                segments: [LoggedSegment(role: writer, sequence: 0, model: "x", tokens: 1, finish: .stop)],
                verdicts: [LoggedVerdict(choice: 0, source: "s", verdict: right * 1_000_000)], slmOnly: alone(slm),
                llmOnly: alone(llm), inclusionProbability: inclusion)
        }
        var simulation = try TraceSimulation(Scenario(title: "exploration"))
        for request in [
            request(1, .slm, right: 1, propensity: 0.5, slm: nil, llm: 1, inclusion: 0.5),
            request(2, .llm, right: 0, propensity: 0.25, slm: 1, llm: nil, inclusion: 0.25),
            request(3, .slm, right: 0, propensity: 0.8, slm: 0, llm: 1, inclusion: 1),
        ] { try simulation.add(request) }
        let table = try #require(simulation.report().sections.first { $0.name == "off_policy" }?.table)
        var found: [String: Finding] = [:]
        for row in table.rows where row[1] == .text("doubly robust") {
            if case .text(let target) = row[0], case .finding(let finding) = row[2] { found[target] = finding }
        }
        return found
    }

    @Test func `shadow runs are the model of values of a doubly robust estimate`() throws {
        // Hájek: (1/0.25) / (4 + 1) = 0.8 for the SLM; 3 / 3 = 1 for the LLM. The terms of LLM only are 1,
        // 1 + 4·(0 − 1) and 1; of SLM only 0.8 + 2·(1 − 0.8), 0.8 and 0.8 + 1.25·(0 − 0.8).
        let findings = try Self.doublyRobust(shadows: true)
        #expect(findings.count == 2)
        for (target, value) in [("LLM only", -1.0 / 3), ("SLM only", 0.6)] {
            guard case .estimated(let number)? = findings[target]?.knowledge else {
                Issue.record("no estimate of \(target)")
                continue
            }
            #expect(abs(number.double - value) < 1e-9)
            #expect(findings[target]?.reason?.contains("SLM 0.8000, LLM 1.0000") == true)
            #expect(findings[target]?.interval != nil)
        }
        let without = try Self.doublyRobust(shadows: false)
        #expect(without["SLM only"]?.knowledge == .unknown)
        #expect(without["SLM only"]?.reason?.contains("no verdicts of shadow runs") == true)
    }
}
