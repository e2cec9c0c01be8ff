internal import Configuration
internal import Simulator

extension ScenarioLoader {
    private static let kinds = [
        "policy", "cap_n", "cap_calls", "cap_tokens", "budgets", "time_share", "threshold", "cascade",
    ]

    func policies(_ reader: inout SectionReader) -> [PolicyEntry] {
        var entries: [PolicyEntry] = []
        for var section in reader.sections("policies") ?? [] {
            let given = ScenarioLoader.kinds.filter(section.has)
            let problemsBefore = problems.problems.count
            let name = section.textIfPresent("name")
            let policy = policy(&section)
            section.finish()
            guard given.count == 1, let policy else {
                if given.count != 1 {
                    let known = ScenarioLoader.kinds.joined(separator: ", ")
                    let message =
                        given.isEmpty
                        ? "says no policy; give one of \(known)"
                        : "has \(given.joined(separator: " and ")); give one, and another item for the other"
                    problems.add(.missing, at: section.position, path: section.path, message)
                }
                continue
            }
            let chosen = name ?? ScenarioLoader.name(policy)
            // A value that was refused is read as another, whose name says nothing.
            if problems.problems.count == problemsBefore, entries.contains(where: { $0.name == chosen }) {
                problems.add(
                    .duplicate, at: section.position, path: section.path,
                    "is the second policy named \(shown(chosen)); give it another name")
            }
            entries.append(PolicyEntry(name: chosen, counterfactual: policy))
        }
        return entries
    }

    /// What a policy is called when nobody named it.
    private static func name(_ policy: Counterfactual) -> String {
        if let word = PolicyWord.word(policy) { return word }
        switch policy {
        case .budgets(let rules):
            return "budgets: " + rules.map { "\($0.tokens)/\($0.window.rawValue)" }.joined(separator: ", ")
        case .timeShared(let first, let second, let share): return "\(share) \(name(first)), else \(name(second))"
        default: return "policy"
        }
    }

    /// Reads all keys, so that each is checked, and returns the one that is there.
    private func policy(_ section: inout SectionReader) -> Counterfactual? {
        var found: Counterfactual?
        if let text = section.textIfPresent("policy") { found = word(text, "policy", section) }
        if let count = section.integerIfPresent("cap_n") { found = .capTokensPerCall(count) }
        if let count = section.integerIfPresent("cap_calls") { found = .capCalls(count) }
        if let count = section.integerIfPresent("cap_tokens") { found = .capTokensPerRequest(count) }
        if let rules = budgets(&section) { found = .budgets(rules) }
        // A section that is not there has no required keys.
        if section.has("time_share") {
            var part = section.section("time_share")
            let first = word(part.text("first"), "first", part)
            let second = word(part.text("second"), "second", part)
            let share = part.numberIfPresent("share") ?? 0
            part.finish()
            if let first, let second { found = .timeShared(first, second, share: share) }
        } else {
            section.skip("time_share")
        }
        if section.has("threshold") {
            var part = section.section("threshold")
            found = threshold(&part)
            part.finish()
        } else {
            section.skip("threshold")
        }
        if section.has("cascade") {
            var part = section.section("cascade")
            found = .cascade(
                falseAccept: part.numberIfPresent("false_accept") ?? 0,
                falseReject: part.numberIfPresent("false_reject") ?? 0)
            part.finish()
        } else {
            section.skip("cascade")
        }
        return found
    }

    /// One that is given, or one that is to meet an aim.
    private func threshold(_ part: inout SectionReader) -> Counterfactual? {
        let score = part.text("score")
        let least = part.numberIfPresent("at_least")
        let keys = ["at_least"] + PolicyWord.aims.map(ScenarioLoader.key)
        let given = keys.filter(part.has)
        var aim: ThresholdAim?
        for name in PolicyWord.aims {
            if let value = part.numberIfPresent(ScenarioLoader.key(name)) { aim = PolicyWord.aim(name, value) }
        }
        guard given.count == 1 else {
            let message = given.isEmpty ? "says no threshold" : "has \(given.joined(separator: " and "))"
            problems.add(
                .missing, at: part.position, path: part.path, "\(message); give one of \(keys.joined(separator: ", "))")
            return nil
        }
        if let aim { return .chosenThreshold(score: score, aim: aim) }
        return least.map { .thresholdRouter(score: score, threshold: $0) }
    }

    private static func key(_ aim: String) -> String { String(aim.map { $0 == "-" ? "_" : $0 }) }

    private func word(_ text: String, _ key: String, _ section: SectionReader) -> Counterfactual? {
        // An absent or empty text has its problem already.
        if text.isEmpty { return nil }
        do throws(PolicyWord.Fault) {
            return try PolicyWord.policy(text)
        } catch {
            section.add(.outOfRange, key, error.message)
            return nil
        }
    }

    private func budgets(_ section: inout SectionReader) -> [BudgetRule]? {
        guard let items = section.sections("budgets") else { return nil }
        if items.isEmpty { section.add(.missing, "budgets", "is empty; list at least one budget") }
        return items.map { item in
            var item = item
            let rule = BudgetRule(
                tenant: item.textIfPresent("tenant"), tokens: item.integer("tokens"),
                window: item.choice("window", BudgetRule.Window.self) ?? .day,
                onExhausted: item.choice("on_exhausted", BudgetRule.OnExhausted.self) ?? .degrade)
            item.finish()
            return rule
        }
    }
}
