import Foundation
import Testing

@testable import Simulator

/// Every number of `oracles.json` about 1,319 real questions that two models answered.
@Suite struct PairOracleTests {
    static let file = OracleFile.root.appendingPathComponent("Simulations/data/gsm8k_pairs.csv")

    private let table: PairTable
    private let counts: PairCounts
    private let tenths = (0...10).map { Number.ratio($0, 10) }

    init() throws {
        table = try PairTable(csv: Data(contentsOf: PairOracleTests.file))
        counts = table.counts
    }

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: OracleFile.original.path), "stands beside no shared data"))
    func `the copy of the table is the original`() throws {
        let original = OracleFile.original.deletingLastPathComponent().appendingPathComponent("gsm8k_pairs.csv")
        #expect(try Data(contentsOf: PairOracleTests.file) == Data(contentsOf: original))
    }

    @Test func `all of gsm8k`() throws {
        let oracle = try OracleFile("gsm8k")
        expectCounts(oracle)
        try expectRouters(oracle)
        try expectCosts(oracle)
        try expectFrontier(oracle)
        try expectBootstrap(oracle)
        try expectFormulas(oracle)
        oracle.finish()
    }

    private func expectCounts(_ oracle: OracleFile) {
        oracle.expect(["n"], count: counts.requests)
        oracle.expect(["both"], count: counts.both)
        oracle.expect(["weak_only"], count: counts.slmOnly)
        oracle.expect(["strong_only"], count: counts.llmOnly)
        oracle.expect(["neither"], count: counts.neither)
        oracle.expect(["weak_accuracy"], counts.slmAccuracy)
        oracle.expect(["strong_accuracy"], counts.llmAccuracy)
        oracle.expect(["gap"], counts.difference)
        oracle.expect(["union_accuracy"], counts.union)
        oracle.expect(["intersection_accuracy"], counts.intersection)
    }

    private func expectRouters(_ oracle: OracleFile) throws {
        let (slm, llm) = (try #require(counts.slmAccuracy), try #require(counts.llmAccuracy))
        for (index, share) in tenths.enumerated() {
            let random = ["random_router", String(index)]
            oracle.expect(random + ["p"], share)
            oracle.expect(random + ["expected_accuracy"], RandomRouter.accuracy(counts, share: share))
            oracle.expect(random + ["sd_bernoulli"], RandomRouter.coinDeviation(counts, share: share))
            oracle.expect(random + ["sd_fixed_size"], RandomRouter.fixedDeviation(counts, share: share))
            let perfect = ["oracle_router", String(index)]
            oracle.expect(perfect + ["q"], share)
            oracle.expect(perfect + ["optimal_flat"], OracleRouter.flat(counts, share: share))
            oracle.expect(perfect + ["optimal_forced"], OracleRouter.forced(counts, share: share))
            oracle.expect(perfect + ["worst_forced"], OracleRouter.worst(counts, share: share))
        }
        let random = OracleRouter.curve(tenths) { RandomRouter.accuracy(counts, share: $0) }
        let flat = OracleRouter.curve(tenths) { OracleRouter.flat(counts, share: $0) }
        let forced = OracleRouter.curve(tenths) { OracleRouter.forced(counts, share: $0) }
        let worst = OracleRouter.curve(tenths) { OracleRouter.worst(counts, share: $0) }
        let exact = OracleRouter.flatCurve(counts)
        oracle.expect(["apgr", "random_11pt"], random.averageGapRecovered(slm: slm, llm: llm))
        oracle.expect(["apgr", "random_auc_11pt"], random.area)
        oracle.expect(["apgr", "optimal_flat_11pt"], flat.averageGapRecovered(slm: slm, llm: llm))
        oracle.expect(["apgr", "optimal_flat_auc_11pt"], flat.area)
        oracle.expect(["apgr", "optimal_flat_exact"], exact.averageGapRecovered(slm: slm, llm: llm))
        oracle.expect(["apgr", "optimal_forced_11pt"], forced.averageGapRecovered(slm: slm, llm: llm))
        oracle.expect(["apgr", "worst_forced_11pt"], worst.averageGapRecovered(slm: slm, llm: llm))
        for (index, part) in [Number.ratio(2, 10), .ratio(5, 10), .ratio(8, 10)].enumerated() {
            let path = ["cpt", String(index)]
            oracle.expect(path + ["pgr"], part)
            oracle.expect(path + ["random_strong_share"], random.costOfGapRecovered(part, slm: slm, llm: llm))
            oracle.expect(path + ["oracle_strong_share"], exact.costOfGapRecovered(part, slm: slm, llm: llm))
        }
    }

    /// Micro-dollars, from pico-dollars; the file has them as binary fractions, which are good for six decimals.
    private func micro(_ pico: Number) -> Number { pico * .ratio(1, 1_000_000) }

    private func costs(_ oracle: OracleFile) throws -> PairCosts {
        func pico(_ name: String) throws -> Int {
            Int((try oracle.input(["cost", "prices_usd_per_million", name]) * 1_000_000).rounded())
        }
        return PairCosts(
            table,
            prices: PairPrices(
                slmInput: try pico("weak_in"), slmOutput: try pico("weak_out"), llmInput: try pico("strong_in"),
                llmOutput: try pico("strong_out")))
    }

    private func expectCosts(_ oracle: OracleFile) throws {
        let costs = try costs(oracle)
        let (slmTokens, llmTokens) = (table.slmTokens, table.llmTokens)
        oracle.sentence(["cost", "unit"])
        oracle.expect(["cost", "prompt_tokens_total"], count: table.rows.reduce(0) { $0 + $1.promptTokens })
        oracle.expect(["cost", "weak_completion_tokens_total"], .whole(slmTokens))
        oracle.expect(["cost", "strong_completion_tokens_total"], .whole(llmTokens))
        oracle.expect(["cost", "always_weak"], micro(.whole(costs.slmTotal)), decimals: 6)
        oracle.expect(["cost", "always_strong"], micro(.whole(costs.llmTotal)), decimals: 6)
        oracle.expect(
            ["cost", "cost_ratio_weak_over_strong"], Number.quotient(costs.slmTotal, costs.llmTotal), decimals: 12)
        for (index, share) in tenths.enumerated() {
            let path = ["cost", "random_router", String(index)]
            oracle.expect(path + ["p"], share)
            oracle.expect(path + ["expected_cost"], micro(costs.random(share: share)), decimals: 6)
            oracle.expect(
                path + ["cost_vs_always_strong"], costs.random(share: share).divided(by: .whole(costs.llmTotal)),
                decimals: 12)
            let tokens = MatchedCost.tokenShare(
                requestShare: share, slmTokens: .whole(slmTokens), llmTokens: .whole(llmTokens))
            oracle.expect(path + ["strong_share_of_completion_tokens"], tokens, decimals: 12)
        }
        for index in oracle.keys(["cost", "request_share_for_token_share"]) {
            let path = ["cost", "request_share_for_token_share", index]
            let token = try oracle.input(path + ["token_share"])
            let exact = try #require(Decimals.number(Decimals.text(token, decimals: 4)))
            let share = try #require(
                MatchedCost.requestShare(
                    tokenShare: exact, slmTokens: .whole(slmTokens), llmTokens: .whole(llmTokens)))
            oracle.expect(path + ["p"], share, decimals: 12)
            oracle.expect(path + ["expected_accuracy"], RandomRouter.accuracy(counts, share: share))
        }
        let cascade = costs.cascade(falseAccept: .zero, falseReject: .zero)
        let path = ["cost", "cascade_perfect_verifier"]
        let (slm, llm) = (try #require(counts.slmAccuracy), try #require(counts.llmAccuracy))
        let match = PerformanceMatch(accuracy: cascade.accuracy, slm: slm, llm: llm)
        oracle.expect(path + ["accuracy"], cascade.accuracy)
        oracle.expect(path + ["cost"], micro(cascade.cost), decimals: 6)
        oracle.expect(path + ["strong_calls"], cascade.llmCalls)
        oracle.expect(path + ["performance_matched_random_p"], match.share)
        oracle.sentence(path + ["note"])
        #expect(match.status == "no_solution_above_llm")
    }

    private func expectFrontier(_ oracle: OracleFile) throws {
        let costs = try costs(oracle)
        oracle.expect(["cost", "oracle_cheapest_correct", "accuracy"], counts.union)
        for (name, paying) in [("llmrouterbench", true), ("routerbench", false)] {
            oracle.expect(
                ["cost", "oracle_cheapest_correct", "cost_\(name)_rule"],
                micro(.whole(costs.cheapestCorrect(payingForWrong: paying))), decimals: 6)
        }
        for (index, point) in costs.frontier(shares: tenths).enumerated() {
            let path = ["cost", "oracle_money_frontier", String(index)]
            oracle.expect(path + ["extra_budget_share"], tenths[index])
            oracle.expect(path + ["fixed_requests"], count: point.fixed)
            oracle.expect(path + ["accuracy"], point.accuracy)
            oracle.expect(path + ["cost"], micro(.whole(point.cost)), decimals: 6)
        }
        let segment = QualityCurve([
            QualityCurve.Point(cost: .whole(costs.slmTotal), accuracy: try #require(counts.slmAccuracy)),
            QualityCurve.Point(cost: .whole(costs.llmTotal), accuracy: try #require(counts.llmAccuracy)),
        ])
        oracle.expect(["cost", "aiq_weak_strong_segment", "formula_paper"], segment.averageQuality)
        oracle.expect(
            ["cost", "aiq_weak_strong_segment", "formula_code_trapz_over_xmax"], segment.averageQualityOverDearest)
    }

    private func expectBootstrap(_ oracle: OracleFile) throws {
        let statistics = "statistics"
        let seed = try oracle.input([statistics, "seed"])
        let replicates = try oracle.input([statistics, "replicates"])
        oracle.sentence([statistics, "rule"])
        let bootstrap = Bootstrap(seed: UInt64(seed), replicates: Int(replicates))
        var clusters = ClusterSums(width: 2)
        for row in table.rows { clusters.append([row.slmCorrect ? 1 : 0, row.llmCorrect ? 1 : 0]) }
        let sums = bootstrap.sums(clusters)
        for replicate in 0..<5 {
            let index = String(replicate)
            oracle.expect(
                [statistics, "bootstrap_first_replicates_weak_correct", index], count: Int(sums[2 * replicate]))
            oracle.expect(
                [statistics, "bootstrap_first_replicates_strong_correct", index], count: Int(sums[2 * replicate + 1]))
        }
        let all = stride(from: 0, to: sums.count, by: 2).reduce(0) { $0 + Int(sums[$1]) }
        oracle.expect([statistics, "bootstrap_sum_of_all_weak_correct"], count: all)
        let n = Int128(counts.requests)
        let measures: [(String, (ArraySlice<Int128>) -> Number?)] = [
            ("weak_accuracy", { Number.quotient($0[$0.startIndex], n) }),
            ("strong_accuracy", { Number.quotient($0[$0.startIndex + 1], n) }),
            ("paired_difference", { Number.quotient($0[$0.startIndex + 1] - $0[$0.startIndex], n) }),
            ("random_router_p_half", { Number.quotient($0[$0.startIndex + 1] + $0[$0.startIndex], 2 * n) }),
        ]
        for (name, measure) in measures {
            let interval = try #require(bootstrap.interval(sums: sums, width: 2, statistic: measure))
            oracle.expect([statistics, "bootstrap_95", name, "0"], interval.low)
            oracle.expect([statistics, "bootstrap_95", name, "1"], interval.high)
        }
    }

    private func expectFormulas(_ oracle: OracleFile) throws {
        for (name, correct) in [("weak", counts.slmCorrect), ("strong", counts.llmCorrect)] {
            let interval = try #require(Statistics.wilson(successes: correct, trials: counts.requests))
            oracle.expect(["statistics", "wilson_95", "\(name)_accuracy", "0"], interval.low)
            oracle.expect(["statistics", "wilson_95", "\(name)_accuracy", "1"], interval.high)
        }
        let path = ["statistics", "paired"]
        let (difference, error) = (try #require(counts.difference), try #require(counts.pairedStandardError))
        let interval = Statistics.normal(mean: difference, standardError: error, of: "paired")
        let test = try #require(Statistics.McNemar(firstOnly: counts.slmOnly, secondOnly: counts.llmOnly))
        oracle.expect(path + ["difference"], difference)
        oracle.expect(path + ["standard_error"], error)
        oracle.expect(path + ["normal_95", "0"], interval.low)
        oracle.expect(path + ["normal_95", "1"], interval.high)
        oracle.expect(path + ["unpaired_standard_error"], counts.unpairedStandardError)
        oracle.expect(path + ["mcnemar_b"], count: counts.llmOnly)
        oracle.expect(path + ["mcnemar_c"], count: counts.slmOnly)
        oracle.expect(path + ["mcnemar_chi2"], test.statistic)
        oracle.expect(path + ["mcnemar_chi2_continuity"], test.corrected)
    }

    @Test func `labels by two rules`() throws {
        let oracle = try OracleFile("gsm8k_label_noise")
        let noise = try #require(table.labelNoise)
        oracle.expect(["strict_weak"], noise.strict.slmAccuracy)
        oracle.expect(["strict_strong"], noise.strict.llmAccuracy)
        oracle.expect(["lenient_weak"], noise.lenient.slmAccuracy)
        oracle.expect(["lenient_strong"], noise.lenient.llmAccuracy)
        oracle.expect(["weak_labels_that_change"], count: noise.slmChanges)
        oracle.expect(["strong_labels_that_change"], count: noise.llmChanges)
        oracle.expect(["strict_gap"], noise.strict.difference)
        oracle.expect(["lenient_gap"], noise.lenient.difference)
        oracle.finish()
    }
}
