package import Accounting

/// Which requests to read.
package struct TraceFilter: Sendable {
    /// A tenant's name.
    package var tenant: String?
    /// Requests that started at this time or later, by their id.
    package var since: Timestamp?
    /// Requests that started before this time.
    package var until: Timestamp?
    /// The public model name.
    package var model: String?
    /// The policy, as configured.
    package var policy: String?
    package var outcome: Outcome?
    /// Tags that a request must have, all of them.
    package var tags: [RequestTag] = []
    /// Conditions that it must fulfil, all of them.
    package var conditions: [TraceCondition] = []
    /// Only requests with a larger id: where an export goes on.
    package var after: UUID7?
    /// At most so many. Default: 50 for a list, all for an export.
    package var limit: Int?

    package init(
        tenant: String? = nil, since: Timestamp? = nil, until: Timestamp? = nil, model: String? = nil,
        limit: Int? = nil
    ) {
        self.tenant = tenant
        self.since = since
        self.until = until
        self.model = model
        self.limit = limit
    }
}

/// A comparison of one number of a request, such as `llm_tokens>0`.
package struct TraceCondition: Sendable, Equatable {
    /// The numbers that can be compared.
    package enum Field: String, Sendable, CaseIterable {
        case promptTokens = "prompt_tokens"
        case slmTokens = "slm_tokens"
        case llmTokens = "llm_tokens"
        case commandTokens = "command_tokens"
        case visibleTokens = "visible_tokens"
        case calls, malformed, choices
        /// From the start to the end.
        case milliseconds = "ms"
        /// 1 where the relay went on without the LLM.
        case degraded
    }

    /// How it is compared. A longer one is found before its beginning.
    package enum Comparison: String, Sendable, CaseIterable {
        case atLeast = ">="
        case atMost = "<="
        case differs = "!="
        case above = ">"
        case below = "<"
        case equals = "="
    }

    package let field: Field
    package let comparison: Comparison
    package let value: Double

    /// Reads `FIELD OPERATOR NUMBER`, with or without spaces; nil for anything else.
    package init?(_ text: String) {
        let plain = text.filter { $0 != " " }
        let name = plain.prefix { !"<>=!".contains($0) }
        let rest = plain.dropFirst(name.count)
        guard let field = Field(rawValue: String(name)),
            let comparison = Comparison.allCases.first(where: { rest.hasPrefix($0.rawValue) }),
            let value = Double(String(rest.dropFirst(comparison.rawValue.count))), value.isFinite
        else { return nil }
        self.field = field
        self.comparison = comparison
        self.value = value
    }
}
