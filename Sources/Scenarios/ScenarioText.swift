internal import Accounting
package import Simulator

extension Scenario {
    /// What the names in a report stand for, so that it can be read without the scenario: cost models with prices,
    /// dates and cache rules, and policies whose name is not their word.
    package var meanings: [Report.Definition] {
        costModels.map { Report.Definition("cost model \($0.name)", $0.basis.text) }
            + policies.compactMap { entry in
                let text = entry.counterfactual.text
                return text == entry.name ? nil : Report.Definition("policy \(entry.name)", text)
            }
    }
}

extension CostModel.Basis {
    fileprivate var text: String {
        switch self {
        case .recorded: "what the ledger wrote, by the prices that held"
        case .prices(let prices, let cache):
            (prices.map(\.text) + ["cache: \(cache.text)"]).joined(separator: "; ")
        case .parameters(let slm, let llm):
            "generated tokens times billions of parameters: \(Number.plain(slm)) of the SLM, \(Number.plain(llm)) of the LLM"
        case .generatedTokens: "tokens of both models"
        case .billedTokens: "prompt tokens and generated tokens of both models"
        }
    }
}

extension ModelPrice {
    fileprivate var text: String {
        var parts = ["input \(Money.perMillion(pico: input))"]
        if let cachedInput { parts.append("cached input \(Money.perMillion(pico: cachedInput))") }
        if let cacheWrite { parts.append("cache write \(Money.perMillion(pico: cacheWrite))") }
        parts.append("output \(Money.perMillion(pico: output)) $ for a million tokens")
        if request != 0 { parts.append("\(Money.dollars(pico: request)) $ for a request") }
        // The first one of a model holds from the beginning.
        let since = from.microseconds > 0 ? " from \(from.rfc3339)" : ""
        return "\(model)\(since): " + parts.joined(separator: ", ")
    }
}

extension CacheAssumption {
    fileprivate var text: String {
        switch self {
        case .reported: "as the servers reported"
        case .none: "none"
        case .perfect: "every prefix that an earlier call of the request shares"
        case .rule(let rule):
            "from \(rule.minimum) tokens in steps of \(rule.step)"
                + (rule.timeToLiveMilliseconds.map { ", for \($0) ms" } ?? "")
        }
    }
}

extension Counterfactual {
    fileprivate var text: String {
        switch self {
        case .budgets(let rules): "budgets of " + rules.map(\.text).joined(separator: "; ")
        case .timeShared(let first, let second, let share):
            "\(first.text) for \(Number.plain(share)) of the requests, \(second.text) for the rest"
        default: PolicyWord.word(self) ?? ""
        }
    }
}

extension BudgetRule {
    fileprivate var text: String {
        "\(tokens) LLM tokens \(window == .total ? "in total" : "each \(window.rawValue)") for "
            + (tenant.map { "tenant \($0)" } ?? "each tenant")
            + (onExhausted == .reject ? ", then rejected" : ", then degraded")
    }
}
