package import Configuration
package import RelayCore
internal import Wire

/// A public model name: which pair answers, by which policy.
package struct PublicModel: Sendable {
    package let name: String
    package let policy: Policy
    let pair: ModelPair
    let relay: RelayConfiguration
    let prompted: PromptedExamples?

    /// What parameters can be honoured.
    var policyClass: PolicyClass {
        switch policy {
        case .slm, .llm, .random: .single
        case .relay, .prompted, .fixed: .relay
        }
    }
}

/// One SLM and one LLM, each with its replicas.
struct ModelPair: Sendable {
    let name: String
    let slm: [Upstream]
    let llm: [Upstream]

    func upstreams(_ role: Role) -> [Upstream] {
        switch role {
        case .slm: slm
        case .llm: llm
        }
    }
}

/// One server of one model.
struct Upstream: Sendable {
    let configuration: UpstreamConfiguration
    let dialect: Dialect
    /// The place in the list of all upstreams; what loops keep per upstream is indexed by it.
    let index: Int

    var name: String { configuration.name }
    var model: String { configuration.model }
}

/// Everything that is served, made from the configuration once.
package struct Catalog: Sendable {
    package let models: [PublicModel]
    let upstreams: [Upstream]
    private let byName: [String: Int]

    /// The configuration must have been checked: its names resolve, its policies parse.
    package init(_ configuration: GatewayConfiguration) {
        let upstreams = configuration.upstreams.enumerated().map { index, upstream in
            Upstream(configuration: upstream, dialect: Dialect(upstream), index: index)
        }
        let upstreamsByName = Dictionary(uniqueKeysWithValues: upstreams.map { ($0.name, $0) })
        let pairs = configuration.pairs.map { pair in
            ModelPair(
                name: pair.name, slm: pair.slm.compactMap { upstreamsByName[$0] },
                llm: pair.llm.compactMap { upstreamsByName[$0] })
        }
        let pairsByName = Dictionary(uniqueKeysWithValues: pairs.map { ($0.name, $0) })
        models = configuration.models.compactMap { model in
            guard let policy = Policy(model.policy), let pair = pairsByName[model.pair] else { return nil }
            return PublicModel(model, policy: policy, pair: pair)
        }
        precondition(models.count == configuration.models.count, "a checked configuration resolves")
        self.upstreams = upstreams
        byName = Dictionary(uniqueKeysWithValues: models.enumerated().map { ($0.element.name, $0.offset) })
    }

    /// The model of this public name.
    package func model(_ name: String) -> PublicModel? { byName[name].map { models[$0] } }
}

extension PublicModel {
    init(_ model: ModelConfiguration, policy: Policy, pair: ModelPair) {
        name = model.name
        self.policy = policy
        self.pair = pair
        let prompted = policy == .prompted || model.prompted != nil ? PromptedExamples(model.prompted) : nil
        self.prompted = prompted
        guard let tags = CommandTags(open: model.tags.open, close: model.tags.close) else {
            preconditionFailure("a checked configuration has usable tags")
        }
        relay = RelayConfiguration(
            tags: tags, maxCalls: model.maxCalls,
            maxCallTokens: model.maxCallTokens, maxMalformed: model.maxMalformed,
            onLLMEndOfSequence: model.onLLMEndOfSequence == .finish ? .finish : .resume,
            onRefusal: model.onRefused == .degrade ? .degrade : .fail,
            slmEndMarkers: prompted == nil ? [] : PromptedExamples.endMarkers)
    }
}
