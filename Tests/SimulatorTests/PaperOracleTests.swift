import Foundation
import Testing

@testable import Simulator

/// Every number of `oracles.json` that follows from the paper's tables alone.
@Suite struct PaperOracleTests {
    private let paper: PaperDerivation

    init() throws { paper = try PaperDerivation(PaperData()) }

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: OracleFile.original.path), "stands beside no shared data"))
    func `the copy of the expected numbers is the original`() throws {
        #expect(try Data(contentsOf: OracleFile.copy) == Data(contentsOf: OracleFile.original))
    }

    @Test func `each section of the file has its test`() throws {
        #expect(
            try OracleFile.sections()
                == ["paper", "billing", "call_ratio_definitions", "gsm8k", "gsm8k_label_noise"])
    }

    @Test func `the paper`() throws {
        let oracle = try OracleFile("paper")
        oracle.sentence(["note"])
        try expectRowMeans(oracle)
        for system in paper.systems {
            try expect(oracle, ["headline", system.title], paper.comparison(system))
            for (index, benchmark) in paper.data.benchmarks.enumerated() {
                let comparison = try paper.comparison(system, benchmark: index)
                expect(oracle, ["per_benchmark", system.title, benchmark.title], comparison)
            }
        }
        for system in paper.data.domains where system.name != "Base" && system.name != "LLM" {
            for (index, title) in paper.data.domainTitles.enumerated() {
                let comparison = try paper.domainComparison(system, domain: index)
                expect(oracle, ["table2_matched_p", system.title, title], comparison)
            }
        }
        try expectFixedLength(oracle)
        try expectAblations(oracle)
        try expectTrainedBaseline(oracle)
        try expectCostModels(oracle)
        oracle.finish()
    }

    private func expect(_ oracle: OracleFile, _ path: [String], _ comparison: RouterComparison) {
        oracle.expect(path + ["accuracy"], comparison.accuracy, decimals: 2)
        oracle.expect(path + ["slm"], comparison.slm, decimals: path[0] == "trained_slm_as_baseline" ? 12 : 2)
        oracle.expect(path + ["llm"], comparison.llm, decimals: 2)
        oracle.expect(path + ["performance_matched_p"], comparison.match.share)
        oracle.expect(path + ["status"], text: comparison.match.status)
        guard comparison.llmShare != nil else { return }
        oracle.expect(path + ["resource_equivalent_accuracy"], comparison.resourceEquivalent, decimals: 6)
        oracle.expect(path + ["gain_over_random"], comparison.gain, decimals: 6)
        oracle.expect(path + ["cost_reduction_vs_matched"], comparison.reduction)
    }

    private func expectRowMeans(_ oracle: OracleFile) throws {
        for system in paper.data.mathematics {
            let path = ["row_means", system.title]
            let mean = paper.rowMean(system)
            let average = try #require(system.average)
            oracle.expect(path + ["mean"], mean, decimals: 6)
            oracle.expect(path + ["published"], average.number, decimals: 2)
            oracle.expect(path + ["difference"], mean - average.number, decimals: 6)
            oracle.expect(path + ["agrees_to_rounding"], flag: average.agrees(mean))
            let cells = paper.fractionless(system)
            for (index, benchmark) in cells.enumerated() {
                oracle.expect(path + ["cells_that_are_no_k_over_n", String(index)], text: benchmark.title)
            }
            // An empty list is no leaf.
            #expect(oracle.keys(path + ["cells_that_are_no_k_over_n"]).count == cells.count)
        }
        // The paper's one exact tie.
        let simple = try paper.data.system("1.7B RelayLLM-Simple")
        #expect(Decimals.text(paper.rowMean(simple), decimals: 4) == "49.2950")
        #expect(Decimals.text(paper.rowMean(simple), decimals: 2) == "49.30")
    }

    private func expectFixedLength(_ oracle: OracleFile) throws {
        for name in ["Fixed-20", "Fixed-100", "Fixed-500"] {
            let system = try paper.data.system("1.7B " + name)
            let fixed = try #require(try paper.fixedLength(system))
            let path = ["fixed_length", name]
            oracle.expect(path + ["accuracy_difference"], fixed.accuracyDifference)
            oracle.expect(path + ["call_ratio_multiple"], fixed.callRatioMultiple)
            oracle.expect(path + ["llm_token_saving"], fixed.saving)
            oracle.expect(path + ["time_share_lambda"], fixed.timeShare)
            oracle.expect(path + ["time_shared_accuracy"], fixed.timeSharedAccuracy)
            oracle.expect(path + ["gain_at_matched_cost"], fixed.gainAtMatchedCost)
            oracle.expect(path + ["points_per_percent_of_llm_tokens"], fixed.pointsPerPercent)
        }
        try oracle.expect(
            ["fixed_length", "RelayLLM", "points_per_percent_of_llm_tokens"], paper.pointsPerPercent(paper.relay))
        try oracle.expect(
            ["fixed_length", "marginal_relay_to_fixed500_points_per_percent"],
            paper.marginalPointsPerPercent(paper.data.system("1.7B Fixed-500")))
    }

    private func expectAblations(_ oracle: OracleFile) throws {
        let ratio = try #require(paper.relay.callRatio)
        for ablation in paper.data.ablations where ablation.name.hasPrefix("w/o") {
            oracle.expect(["ablation_call_ratio_multiple", ablation.name], ablation.callRatio?.divided(by: ratio))
        }
    }

    private func expectTrainedBaseline(_ oracle: OracleFile) throws {
        for name in ["RelayLLM-Simple", "RelayLLM-Difficulty"] {
            let baseline = try #require(try paper.trainedBaseline(paper.data.system("1.7B " + name)))
            let path = ["trained_slm_as_baseline", name]
            expect(oracle, path, baseline.comparison)
            oracle.expect(path + ["teacher_free_six_mean"], baseline.teacherFree)
            oracle.expect(path + ["gain_from_training"], baseline.gainFromTraining)
            oracle.expect(path + ["gain_from_calls"], baseline.gainFromCalls)
        }
    }

    private func expectCostModels(_ oracle: OracleFile) throws {
        for model in try paper.costModels() {
            let path = ["cost_model_sensitivity", model.name]
            oracle.expect(path + ["relay"], model.relay)
            oracle.expect(path + ["matched_random"], model.matchedRandom)
            oracle.expect(path + ["reduction"], model.reduction)
        }
    }

    @Test func `bills of calls`() throws {
        let oracle = try OracleFile("billing")
        // Prompt 120; SLM 300 and a command of 6; LLM 20; SLM 250 and a command; LLM 40; SLM 190.
        let calls = [
            RelayBill.Call(input: 120 + 300, output: 20, reusable: 0),
            RelayBill.Call(input: 120 + 300 + 20 + 250, output: 40, reusable: 120 + 300 + 20),
        ]
        for (index, call) in calls.enumerated() {
            oracle.expect(["llm_calls", String(index), "input"], count: call.input)
            oracle.expect(["llm_calls", String(index), "output"], count: call.output)
            oracle.expect(["llm_calls", String(index), "reusable_prefix"], count: call.reusable)
        }
        let slm = 300 + 6 + 250 + 6 + 190
        let bill = RelayBill(calls, cache: nil)
        oracle.expect(["slm_generated"], count: slm)
        oracle.expect(["llm_generated"], count: bill.outputTokens)
        oracle.expect(["visible_text_tokens"], count: slm - 12 + bill.outputTokens)
        oracle.expect(["llm_input_tokens"], count: bill.inputTokens)
        for (name, tokens) in [("with", slm), ("without", slm - 12)] {
            var ratios = CallRatios()
            ratios.add(llmTokens: bill.outputTokens, slmTokens: tokens, requested: 60)
            oracle.expect(["call_ratio_\(name)_commands"], ratios.pooled, decimals: 12)
        }
        // Micro-dollars for a token are dollars for a million.
        let prices = RelayBill.Prices(input: .one, cachedInput: .ratio(1, 10), output: .whole(4))
        let alone = RelayBill([RelayBill.Call(input: 120, output: 800, reusable: 0)], cache: nil).cost(prices)
        oracle.expect(["llm_only_cost_micro_usd"], alone)
        let rules: [(String, CacheRule?)] = [
            ("none", nil), ("block16", CacheRule(minimum: 0, step: 16, timeToLiveMilliseconds: nil)),
            ("min1024_step128", CacheRule(minimum: 1024, step: 128, timeToLiveMilliseconds: nil)),
            ("perfect", CacheRule(minimum: 0, step: 1, timeToLiveMilliseconds: nil)),
        ]
        for (name, rule) in rules {
            let bill = RelayBill(calls, cache: rule)
            oracle.expect(["rules", name, "cached_input_tokens"], count: bill.cachedTokens)
            oracle.expect(["rules", name, "relay_llm_cost_micro_usd"], bill.cost(prices))
            let reduction = bill.cost(prices).divided(by: alone).map { .one - $0 }
            oracle.expect(["rules", name, "reduction_vs_llm_only"], reduction, decimals: 12)
        }
        oracle.expect(["generated_tokens_only_reduction"], .one - .ratio(60, 800))
        for (index, row) in try paper.bills().enumerated() {
            let path = ["call_ratio_1.07_by_mean_call_length", String(index)]
            oracle.expect(path + ["mean_call_tokens"], count: row.meanCallTokens)
            oracle.expect(path + ["calls_per_request"], row.bill.calls)
            oracle.expect(path + ["prefill_tokens_per_request"], row.bill.prefill)
            oracle.expect(path + ["cost_share_of_llm_only"], row.bill.share)
            oracle.expect(path + ["multiple_of_call_ratio"], row.bill.multiple)
            oracle.expect(path + ["reduction_vs_matched_random"], row.reduction)
        }
        oracle.finish()
    }

    @Test func `four call ratios of the same responses`() throws {
        let oracle = try OracleFile("call_ratio_definitions")
        var (first, second) = (CallRatios(), CallRatios())
        for index in oracle.keys(["responses"]) {
            func tokens(_ name: String) throws -> Int { Int(try oracle.input(["responses", index, name])) }
            let (llm, slm, requested) = try (tokens("llm_tokens"), tokens("slm_tokens"), tokens("requested"))
            if index == "1" {
                second.add(llmTokens: llm, slmTokens: slm, requested: requested)
            } else {
                first.add(llmTokens: llm, slmTokens: slm, requested: requested)
            }
        }
        second.merge(first)
        oracle.expect(["pooled_ratio_of_sums (RelayLLM eval)"], second.pooled, decimals: 12)
        oracle.expect(["mean_of_ratios (Co-LLM, CITER)"], second.meanOfRatios, decimals: 12)
        oracle.expect(["requested_over_length (RelayLLM reward)"], second.requestedOverLength, decimals: 12)
        oracle.expect(["request_share (RouteLLM)"], second.requestShare, decimals: 12)
        oracle.finish()
    }
}
