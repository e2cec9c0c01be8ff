extension ConfigurationLoader {
    /// The list `models`, or the models that every pair gets by default.
    func models(_ reader: inout SectionReader, pairs: [String]) -> [ModelConfiguration] {
        guard let readers = reader.sections("models") else { return defaultModels(pairs) }
        if readers.isEmpty {
            reader.add(.missing, "models", "must have at least one item, or be removed")
        }
        let models = readers.map { model($0, pairs: pairs) }
        checkUnique(models.map(\.name), readers)
        return models
    }

    private func model(_ section: SectionReader, pairs: [String]) -> ModelConfiguration {
        var reader = section
        defer { reader.finish() }
        let pair = reader.text("pair")
        if !pair.isEmpty, let message = dangling(pair, known: pairs, kind: "pair") {
            reader.add(.danglingReference, "pair", message)
        }
        let policy = reader.text("policy")
        let prompted = prompted(&reader)
        if prompted != nil, policy == "llm" {
            reader.add(.outOfRange, "prompted", "has no effect with policy \(shown(policy)), remove it")
        } else if prompted != nil, policy == "relay" {
            reader.add(.outOfRange, "prompted", "makes policy \"relay\" what policy \"prompted\" is, write that")
        }
        let name = reader.text("name")
        return settings(&reader, name: name, pair: pair, policy: policy, prompted: prompted)
    }

    /// The keys that have defaults, which are the same whether the file has the model or not.
    private func settings(
        _ reader: inout SectionReader, name: String, pair: String, policy: String,
        prompted: ModelConfiguration.Prompted?
    ) -> ModelConfiguration {
        ModelConfiguration(
            name: name, pair: pair, policy: policy, maxCalls: reader.integer("max_calls"),
            maxCallTokens: reader.integer("max_call_tokens"),
            maxMalformed: reader.integer("max_malformed"),
            onLLMEndOfSequence: reader.choice("on_llm_eos", ModelConfiguration.EndOfSequence.self)
                ?? .finish,
            onRefused: reader.choice("on_refused", ModelConfiguration.Refusal.self) ?? .degrade,
            tags: tags(reader.section("tags")), prompted: prompted)
    }

    private func tags(_ section: SectionReader) -> ModelConfiguration.Tags {
        var reader = section
        defer { reader.finish() }
        let tags = ModelConfiguration.Tags(open: reader.text("open"), close: reader.text("close"))
        for (key, tag) in [("open", tags.open), ("close", tags.close)] {
            // Digits and white space are what stands between the tags, so a tag made of them could not be told apart.
            if tag.unicodeScalars.contains(where: {
                $0.properties.isWhitespace || $0.properties.numericType != nil
            }) {
                reader.add(.outOfRange, key, "must not hold white space or digits")
            } else if tag.utf8.count < 2 || !tag.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
                // One character, or half of another, is too likely to be text; a ban by grammar works on ASCII.
                reader.add(.outOfRange, key, "must be at least two printable ASCII characters")
            }
        }
        if !tags.open.isEmpty, !tags.close.isEmpty,
            contains(tags.open, tags.close) || contains(tags.close, tags.open)
        {
            let key = reader.has("close") ? "close" : "open"
            reader.add(.outOfRange, key, "the opening and the closing tag must not hold each other")
        }
        return tags
    }

    private func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard part.count <= text.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }

    private func prompted(_ model: inout SectionReader) -> ModelConfiguration.Prompted? {
        let isPresent = model.has("prompted")
        var reader = model.section("prompted")
        defer { reader.finish() }
        let system = reader.textIfPresent("system")
        let examples = reader.sections("examples")?.map { section in
            var reader = section
            defer { reader.finish() }
            return ModelConfiguration.Prompted.Example(
                question: reader.text("question"), answer: reader.text("answer"))
        }
        return isPresent ? .init(system: system, examples: examples) : nil
    }

    /// What `models` is when the file has none: the four policies that need no choice, for each pair.
    private func defaultModels(_ pairs: [String]) -> [ModelConfiguration] {
        pairs.flatMap { pair in
            ["relay", "prompted", "slm", "llm"].map { policy in
                // The defaults of the other keys are in the reference, so an item without keys is read for them.
                var reader = SectionReader(
                    nil, path: "models[]", referencePath: "models[]", position: .start, problems: problems)
                let name = pairs.count == 1 ? policy : "\(pair)-\(policy)"
                return settings(&reader, name: name, pair: pair, policy: policy, prompted: nil)
            }
        }
    }
}
