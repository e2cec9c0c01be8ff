internal import Accounting
internal import Arguments
internal import Scenarios
internal import Simulator

/// The options of `relaygate simulate` that make up a question.
enum SimulateOptions {
    static func selection(_ arguments: ParsedArguments) throws(CommandExit) -> TraceSelection {
        var selection = TraceSelection()
        selection.from = try arguments.moment("from")
        selection.to = try arguments.moment("to")
        if let from = selection.from, let to = selection.to, from >= to {
            throw .badUsage("--to: must be after --from")
        }
        selection.tenants = arguments.texts("tenant")
        selection.policies = arguments.texts("served")
        for text in arguments.texts("tag") {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw .badUsage("--tag: must be KEY=VALUE, such as benchmark=gsm8k, not \(text.json)")
            }
            selection.tags.append((parts[0], parts[1]))
        }
        return selection
    }

    /// `--relay max_calls=8,max_tokens=1024`, by the names of a scenario file.
    static func limits(_ arguments: ParsedArguments) throws(CommandExit) -> RelayLimits {
        var limits = RelayLimits()
        for text in arguments.texts("relay").flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false) }) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let number = parts.count == 2 ? Int(parts[1]).flatMap { (0...1_000_000_000).contains($0) ? $0 : nil } : nil
            switch (parts[0], number) {
            case ("max_calls", let number?): limits.calls = number
            case ("max_call_tokens", let number?) where number > 0: limits.callTokens = number
            case ("max_malformed", let number?): limits.malformed = number
            case ("max_tokens", let number?) where number > 0: limits.answerTokens = number
            case ("budgets_refuse", nil) where parts.count == 1: limits.budgetsRefuse = true
            default:
                throw .badUsage(
                    "--relay: must be max_calls=N, max_call_tokens=N, max_malformed=N, max_tokens=N or budgets_refuse, with "
                        + "commas, not \(String(text).json)")
            }
        }
        return limits
    }

    static func policies(_ arguments: ParsedArguments) throws(CommandExit) -> [PolicyEntry] {
        var entries: [PolicyEntry] = []
        func add(_ policy: Counterfactual, _ name: String) {
            if !entries.contains(where: { $0.counterfactual == policy }) {
                entries.append(PolicyEntry(name: name, counterfactual: policy))
            }
        }
        for text in arguments.texts("policy") {
            for word in text.split(separator: ",", omittingEmptySubsequences: false) {
                let policy = try policy(String(word), "policy")
                add(policy, PolicyWord.word(policy) ?? String(word))
            }
        }
        let shares = arguments.text("random-router")?.split(separator: ",", omittingEmptySubsequences: false) ?? []
        for share in shares {
            let policy = try policy("random:\(share)", "random-router")
            add(policy, "random:\(share)")
        }
        if let count = arguments.integer("cap-n") { add(.capTokensPerCall(count), "cap-n:\(count)") }
        if let count = arguments.integer("cap-calls") { add(.capCalls(count), "cap-calls:\(count)") }
        if let count = arguments.integer("cap-tokens") { add(.capTokensPerRequest(count), "cap-tokens:\(count)") }
        for text in arguments.texts("budget") { add(.budgets([try budget(text)]), "budget:\(text)") }
        return entries
    }

    private static func policy(_ word: String, _ option: String) throws(CommandExit) -> Counterfactual {
        do throws(PolicyWord.Fault) {
            return try PolicyWord.policy(word)
        } catch {
            throw .badUsage("--\(option): \(error.message)")
        }
    }

    /// Reads `50k/day` or `2M/month/reject`: one budget of each tenant.
    private static func budget(_ text: String) throws(CommandExit) -> BudgetRule {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let windows = BudgetRule.Window.allCases.map(\.rawValue).joined(separator: ", ")
        guard (2...3).contains(parts.count), let window = BudgetRule.Window(rawValue: parts[1]),
            let atEnd = parts.count == 2 ? .degrade : BudgetRule.OnExhausted(rawValue: parts[2])
        else {
            throw .badUsage(
                "--budget: must be TOKENS/WINDOW, such as 50k/day or 2M/month/reject, not \(text.json); windows are "
                    + windows)
        }
        return BudgetRule(
            tenant: nil, tokens: try BudgetText.amount(parts[0], "budget"), window: window, onExhausted: atEnd)
    }

    static func costModels(_ arguments: ParsedArguments) throws(CommandExit) -> [CostModel] {
        var models: [CostModel] = []
        var prices: [ModelPrice] = []
        for text in arguments.texts("price") {
            let price = try price(text)
            guard !prices.contains(where: { $0.model == price.model }) else {
                throw .badUsage(
                    "--price: \(price.model.json) has two prices; give one, or dates with them in a scenario file")
            }
            prices.append(price)
        }
        if !prices.isEmpty { models.append(CostModel(name: "prices given", basis: .prices(prices, .reported))) }
        if let text = arguments.text("parameters") {
            let sizes = text.split(separator: "/", omittingEmptySubsequences: false).map { Double($0) }
            guard sizes.count == 2, let slm = sizes[0], let llm = sizes[1], [slm, llm].allSatisfy((0...1e6).contains)
            else { throw .badUsage("--parameters: must be billions of parameters, SLM/LLM, such as 1.7/8") }
            models.append(CostModel(name: "activated parameters", basis: .parameters(slm: slm, llm: llm)))
        }
        return models
    }

    /// Reads `llm=2.50/10` or `llm=2.50/10/0.25`.
    private static func price(_ text: String) throws(CommandExit) -> ModelPrice {
        // A model's name may have an equals sign; a price has none.
        guard let sign = text.lastIndex(of: "="), sign > text.startIndex else {
            throw .badUsage("--price: must be MODEL=IN/OUT in dollars for a million tokens, such as llm=2.50/10")
        }
        let amounts = text[text.index(after: sign)...].split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(amounts.count) else {
            throw .badUsage("--price: must be MODEL=IN/OUT or MODEL=IN/OUT/CACHED, such as llm=2.50/10/0.25")
        }
        var pico: [Int] = []
        for amount in amounts {
            do throws(MoneyError) {
                pico.append(try Money.pico(perMillion: String(amount)))
            } catch {
                throw .badUsage("--price: \(error.description)")
            }
        }
        return ModelPrice(
            model: String(text[..<sign]), from: Timestamp(microseconds: 0), input: pico[0],
            cachedInput: pico.count > 2 ? pico[2] : nil, cacheWrite: nil, output: pico[1], request: 0)
    }
}
