internal import Accounting
internal import Configuration
internal import Simulator

extension ScenarioLoader {
    private enum Basis: String, CaseIterable {
        case recorded, prices, parameters
        case generatedTokens = "generated_tokens"
        case billedTokens = "billed_tokens"
    }

    private enum Cache: String, CaseIterable { case reported, none, perfect, rule }

    func costModels(_ reader: inout SectionReader) -> [CostModel] {
        var models: [CostModel] = []
        for var section in reader.sections("cost_models") ?? [] {
            let name = section.text("name")
            if !name.isEmpty, models.contains(where: { $0.name == name }) {
                section.add(.duplicate, "name", "\(shown(name)) is the name of another cost model")
            }
            let basis = section.choice("basis", Basis.self)
            let prices = prices(&section)
            let cache = cache(&section)
            let parameters = parameters(&section)
            for (key, owner) in [("prices", Basis.prices), ("cache", .prices), ("parameters", .parameters)]
            where basis != nil && basis != owner && section.has(key) {
                section.add(.danglingReference, key, "belongs to basis: \(owner.rawValue)")
            }
            section.finish()
            switch basis {
            case .recorded: models.append(CostModel(name: name, basis: .recorded))
            case .generatedTokens: models.append(CostModel(name: name, basis: .generatedTokens))
            case .billedTokens: models.append(CostModel(name: name, basis: .billedTokens))
            case .prices:
                if prices.isEmpty { section.add(.missing, "prices", "is needed with basis: prices") }
                models.append(CostModel(name: name, basis: .prices(prices, cache)))
            case .parameters:
                if let parameters {
                    models.append(
                        CostModel(name: name, basis: .parameters(slm: parameters.slm, llm: parameters.llm)))
                } else {
                    section.add(.missing, "parameters", "is needed with basis: parameters")
                }
            case nil: break
            }
        }
        return models
    }

    private func parameters(_ section: inout SectionReader) -> (slm: Double, llm: Double)? {
        guard section.has("parameters") else {
            section.skip("parameters")
            return nil
        }
        var part = section.section("parameters")
        let found = (part.numberIfPresent("slm") ?? 0, part.numberIfPresent("llm") ?? 0)
        part.finish()
        return found
    }

    private func cache(_ section: inout SectionReader) -> CacheAssumption {
        let kind = section.choice("cache", Cache.self) ?? .reported
        let hasRule = section.has("cache_rule")
        var part = section.section("cache_rule")
        let rule = CacheRule(
            minimum: part.integer("minimum"), step: part.integer("step"),
            timeToLiveMilliseconds: part.durationIfPresent("ttl").map { time in
                let (seconds, attoseconds) = time.components
                // The reader takes up to a year.
                return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
            })
        part.finish()
        if hasRule, kind != .rule { section.add(.danglingReference, "cache_rule", "belongs to cache: rule") }
        if kind == .rule, !hasRule { section.add(.missing, "cache_rule", "is needed with cache: rule") }
        switch kind {
        case .reported: return .reported
        case .none: return .none
        case .perfect: return .perfect
        case .rule: return .rule(rule)
        }
    }

    private func prices(_ section: inout SectionReader) -> [ModelPrice] {
        (section.sections("prices") ?? []).map { item in
            var item = item
            let price = ModelPrice(
                model: item.text("model"), from: time(&item, "from") ?? Timestamp(microseconds: 0),
                input: perMillion(&item, "input") ?? 0, cachedInput: perMillion(&item, "cached_input"),
                cacheWrite: perMillion(&item, "cache_write"), output: perMillion(&item, "output") ?? 0,
                request: dollars(&item, "request"))
            item.finish()
            return price
        }
    }

    private func perMillion(_ item: inout SectionReader, _ key: String) -> Int? {
        guard let text = item.textIfPresent(key), !text.isEmpty else { return nil }
        do throws(MoneyError) {
            return try Money.pico(perMillion: text)
        } catch {
            item.add(.outOfRange, key, "\(error.description), not \(shown(text))")
            return nil
        }
    }

    private func dollars(_ item: inout SectionReader, _ key: String) -> Int {
        let text = item.text(key)
        do throws(MoneyError) {
            return try Money.pico(dollars: text)
        } catch {
            item.add(.outOfRange, key, "\(error.description), not \(shown(text))")
            return 0
        }
    }
}
