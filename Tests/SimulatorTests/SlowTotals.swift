import Accounting

@testable import Simulator

/// What answers come to, counted anew from their segments.
struct SlowTotals {
    var calls = 0, reached = 0, llmTokens = 0, slmTokens = 0, correct = 0, refused = 0, degraded = 0
    /// LLM tokens by all tokens in 10^-12, half rounded up.
    var callShare = 0
    var answered: Int { llmTokens + slmTokens > 0 ? 1 : 0 }
    /// By `SlowTotals.costModels`.
    var costs = [Int](repeating: 0, count: SlowTotals.costCount)

    /// In the order of `Quantity`, then the cost models.
    var values: [Int] {
        [correct, calls, reached, llmTokens, slmTokens, callShare, refused, degraded, answered] + costs
    }

    /// A request that was refused whole.
    static var refusal: SlowTotals {
        var totals = SlowTotals([])
        totals.refused = 1
        return totals
    }

    init(_ runs: [SlowRelay.Run]) {
        for run in runs {
            calls += run.calls
            correct += run.verdict
            if run.isDegraded { degraded = 1 }
            for segment in run.segments {
                if segment.isLLM { llmTokens += segment.tokens } else { slmTokens += segment.tokens }
                if segment.isLLM, segment.wasCalled { reached = 1 }
            }
            for (index, cost) in SlowTotals.costs(run).enumerated() { costs[index] += cost }
        }
        if !runs.isEmpty { correct = (correct + runs.count / 2) / runs.count }
        shareTokens()
    }

    /// The answer of the SLM, which a judge called wrong, and then that of the LLM.
    init(_ slm: SlowTotals, then llm: SlowTotals) {
        self = llm
        calls += slm.calls
        slmTokens += slm.slmTokens
        refused += slm.refused
        degraded += slm.degraded
        for index in costs.indices { costs[index] += slm.costs[index] }
        shareTokens()
    }

    private mutating func shareTokens() {
        let tokens = llmTokens + slmTokens
        if tokens > 0 { callShare = (llmTokens * 1_000_000_000_000 + tokens / 2) / tokens }
    }

    // MARK: Costs

    static let costCount = 9

    /// The first model of each kind is what is matched.
    static let money = 2
    /// Whose costs of an answer that was not logged are open, whatever else is known.
    static let recorded = 5
    static let reported = 6

    static func costModels() -> [CostModel] {
        let start = Timestamp(microseconds: 0)
        func price(_ model: String, _ input: Int, _ cached: Int?, _ write: Int?, _ output: Int, _ request: Int)
            -> ModelPrice
        {
            ModelPrice(
                model: model, from: start, input: input, cachedInput: cached, cacheWrite: write, output: output,
                request: request)
        }
        let plain = [price("llm", 7, nil, nil, 31, 1000), price("slm", 2, nil, nil, 3, 10)]
        let cheaper = [price("llm", 7, 1, 9, 31, 1000), price("slm", 2, 1, nil, 3, 10)]
        let rule = CacheRule(minimum: 8, step: 4, timeToLiveMilliseconds: 12)
        return [
            CostModel(name: "generated", basis: .generatedTokens), CostModel(name: "billed", basis: .billedTokens),
            CostModel(name: "money", basis: .prices(plain, .none)),
            // The SLM's servers bill requests, and no prompts.
            CostModel(
                name: "prompts",
                basis: .prices([price("llm", 1, nil, nil, 0, 0), price("slm", 0, nil, nil, 0, 5)], .none)),
            CostModel(name: "parameters", basis: .parameters(slm: 1.7, llm: 8)),
            CostModel(name: "recorded", basis: .recorded),
            CostModel(name: "reported", basis: .prices(cheaper, .reported)),
            CostModel(name: "perfect", basis: .prices(cheaper, .perfect)),
            CostModel(name: "rule", basis: .prices(cheaper, .rule(rule))),
        ]
    }

    /// One answer. An attempt that gave neither text nor a count was not served and costs nothing.
    private static func costs(_ run: SlowRelay.Run) -> [Int] {
        var costs = [Int](repeating: 0, count: costCount)
        // What the generation before it of the same model left in the cache, and when.
        var left = [(tokens: 0, at: 0), (tokens: 0, at: 0)]
        for segment in run.segments {
            guard let prompt = segment.prompt else { continue }
            let (isLLM, tokens) = (segment.isLLM, segment.tokens)
            func cost(_ read: Int, _ written: Int) -> Int {
                isLLM
                    ? 1000 + 7 * (prompt - read - written) + read + 9 * written + 31 * tokens
                    : 10 + 2 * (prompt - read) + read + 3 * tokens
            }
            let shared = min(prompt, left[isLLM ? 1 : 0].tokens)
            let isKept = segment.began - left[isLLM ? 1 : 0].at <= 12_000
            let held = isKept && shared >= 8 ? shared - shared % 4 : 0
            let holds = prompt >= 8 ? prompt - prompt % 4 : 0
            costs[0] += tokens
            costs[1] += tokens + prompt
            costs[2] += isLLM ? 1000 + 7 * prompt + 31 * tokens : 10 + 2 * prompt + 3 * tokens
            costs[3] += isLLM ? prompt : 5
            costs[4] += tokens * (isLLM ? 8_000_000 : 1_700_000)
            costs[5] += ScriptedModels.bill(prompt, tokens, isLLM: isLLM)
            costs[6] += cost(segment.cached, segment.cacheWritten)
            costs[7] += cost(shared, 0)
            costs[8] += cost(held, holds > held ? holds - held : 0)
            left[isLLM ? 1 : 0] = (prompt + tokens, segment.ended)
        }
        return costs
    }
}
