package import Accounting

/// The quantity that is made equal when policies are compared at matched cost; it is printed with each result.
package enum MatchedQuantity: String, Sendable, CaseIterable {
    /// Tokens that the LLM generated, as a share of all generated tokens: the paper's call ratio.
    case llmTokens = "llm_tokens"
    /// All generated tokens, commands included.
    case generatedTokens = "generated_tokens"
    /// Prompt and generated tokens of every attempt.
    case billedTokens = "billed_tokens"
    case money
    /// Generated tokens times the parameters of the model that generated them (the rule of R2R).
    case activatedParameters = "activated_parameters"
    /// Requests that the LLM answered whole.
    case requests
}

/// Which prompt tokens a server would have had in its cache.
package struct CacheRule: Sendable, Equatable {
    /// Nothing shorter than this is cached, in tokens.
    package var minimum: Int
    /// A cached prefix is a multiple of this, in tokens; at least 1.
    package var step: Int
    /// How long a prefix is kept, in milliseconds; nil for ever.
    package var timeToLiveMilliseconds: Int?

    package init(minimum: Int, step: Int, timeToLiveMilliseconds: Int?) {
        self.minimum = minimum
        self.step = step
        self.timeToLiveMilliseconds = timeToLiveMilliseconds
    }
}

/// How cached prompt tokens are counted in a cost model.
package enum CacheAssumption: Sendable, Equatable {
    /// As the server reported them.
    case reported
    case none
    case rule(CacheRule)
    /// Every prefix that an earlier call of the same request shares.
    case perfect
}

/// A price of one model from a time on, in pico-dollars for a token or a request.
package struct ModelPrice: Sendable, Equatable {
    /// The name of the model as it served, or `slm` or `llm` for every model in that role.
    package var model: String
    /// Requests that arrive at this time or later have it, until the next price of the same model.
    package var from: Timestamp
    package var input: Int
    /// Nil: as `input`.
    package var cachedInput: Int?
    /// Nil: as `input`.
    package var cacheWrite: Int?
    package var output: Int
    package var request: Int

    package init(
        model: String, from: Timestamp, input: Int, cachedInput: Int?, cacheWrite: Int?, output: Int, request: Int
    ) {
        self.model = model
        self.from = from
        self.input = input
        self.cachedInput = cachedInput
        self.cacheWrite = cacheWrite
        self.output = output
        self.request = request
    }
}

/// What a request costs, by name; several stand side by side in a report.
package struct CostModel: Sendable, Equatable {
    package enum Basis: Sendable, Equatable {
        /// As recorded in `cost_pico`.
        case recorded
        case prices([ModelPrice], CacheAssumption)
        /// Billions of parameters of the SLM and of the LLM, times generated tokens.
        case parameters(slm: Double, llm: Double)
        case generatedTokens
        case billedTokens
    }

    package var name: String
    package var basis: Basis

    package init(name: String, basis: Basis) {
        self.name = name
        self.basis = basis
    }
}

/// A limit on LLM tokens over a calendar window, as a budget of the gateway has it.
package struct BudgetRule: Sendable, Equatable {
    package enum Window: String, Sendable, CaseIterable { case hour, day, month, total }
    package enum OnExhausted: String, Sendable, CaseIterable { case degrade, reject }

    /// Nil: one budget for each tenant.
    package var tenant: String?
    package var tokens: Int
    package var window: Window
    package var onExhausted: OnExhausted

    package init(tenant: String?, tokens: Int, window: Window, onExhausted: OnExhausted) {
        self.tenant = tenant
        self.tokens = tokens
        self.window = window
        self.onExhausted = onExhausted
    }
}

/// What could have been done instead with the requests of a trace.
package indirect enum Counterfactual: Sendable, Equatable {
    case asLogged
    case slmOnly
    case llmOnly
    /// A random router with this share of requests.
    case randomRouter(share: Double)
    /// A random router that spends as much of the quantity as the log did (resource-equivalent).
    case randomRouterAtCost(MatchedQuantity)
    /// A random router that is right as often as the log was (performance-matched).
    case randomRouterAtAccuracy
    /// Every command's n replaced by this (paper, section 5.4).
    case fixedLength(Int)
    /// Every n above this cut to it.
    case capTokensPerCall(Int)
    case capCalls(Int)
    case capTokensPerRequest(Int)
    case budgets([BudgetRule])
    /// The first policy for this share of requests, the second for the rest.
    case timeShared(Counterfactual, Counterfactual, share: Double)
    /// Knows which answers will be right; fewest LLM requests first.
    case oracleRouter
    /// Requests whose score is at least this go to the LLM; scores are numbers in the tag of this name.
    case thresholdRouter(score: String, threshold: Double)
    /// The same with a threshold that meets an aim, chosen on the training part and reported on the rest.
    case chosenThreshold(score: String, aim: ThresholdAim)
    /// The SLM first, then the LLM when a judge says wrong; the judge errs with these rates.
    case cascade(falseAccept: Double, falseReject: Double)
}

/// A named policy of a scenario.
package struct PolicyEntry: Sendable, Equatable {
    package var name: String
    package var counterfactual: Counterfactual

    package init(name: String, counterfactual: Counterfactual) {
        self.name = name
        self.counterfactual = counterfactual
    }
}

/// By what requests belong together when intervals are drawn: those of one cluster are not independent.
package enum Cluster: Sendable, Equatable {
    case request, tenant
    /// Requests with the same value of this tag; `question` for example.
    case tag(String)
}

/// Which requests of the source are simulated; all conditions hold.
package struct TraceSelection: Sendable, Equatable {
    /// Included; nil: from the first.
    package var from: Timestamp?
    /// Not included; nil: to the last.
    package var to: Timestamp?
    /// Any of these; empty: all.
    package var tenants: [String] = []
    /// Any of these names as logged; empty: all.
    package var policies: [String] = []
    /// All of these.
    package var tags: [(key: String, value: String)] = []

    package init() {}

    package static func == (left: TraceSelection, right: TraceSelection) -> Bool {
        left.from == right.from && left.to == right.to && left.tenants == right.tenants
            && left.policies == right.policies && left.tags.elementsEqual(right.tags, by: ==)
    }
}

/// What is asked of a trace: the whole of a scenario file but for where the data are.
package struct Scenario: Sendable, Equatable {
    package var title: String
    package var selection = TraceSelection()
    package var policies: [PolicyEntry] = []
    /// Whether `policies` are those of every report, for which nobody asked.
    package var hasUsualPolicies = false
    package var costModels: [CostModel] = []
    /// What resource-equivalent comparisons match.
    package var matched = MatchedQuantity.llmTokens
    /// The source of verdicts that is believed; nil: the only one there is, and an error when there are several.
    package var verdictSource: String?
    /// Splits the report: `tenant`, `model` or a tag's name, such as `benchmark`; nil for none.
    package var groupBy: String?
    package var cluster = Cluster.request
    package var seed: UInt64 = 20_260_108
    /// Of the bootstrap; 0 for none.
    package var replicates = 2_000
    /// How requests are split for thresholds that are chosen; nil: in halves.
    package var train: TrainSplit?
    /// What bounds on changed answers need to know of the gateway that wrote the trace.
    package var relay = RelayLimits()

    package init(title: String) { self.title = title }
}
