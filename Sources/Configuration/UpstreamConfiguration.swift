/// One item of `upstreams`: a model on a server.
package struct UpstreamConfiguration: Sendable {
    /// The kind of server.
    package enum Dialect: String, Sendable, CaseIterable {
        case llamacpp, vllm, sglang, openai
    }

    /// Who renders chat messages to a prompt.
    package enum Template: String, Sendable, CaseIterable {
        case server, chatml, llama3, plain
    }

    /// The endpoint that continues a text.
    package enum Continuation: String, Sendable, CaseIterable {
        case completions, chat
    }

    /// How commands are forbidden (rule T4).
    package enum Forbid: String, Sendable, CaseIterable {
        case auto, none
    }

    package var name: String
    /// The model's name on the server.
    package var model: String
    package var url: BaseURL
    package var dialect: Dialect
    /// Bearer token; nil sends none.
    package var apiKey: Secret?
    /// In tokens; nil means unknown: the server decides.
    package var contextWindow: Int?
    package var template: Template
    package var continuation: Continuation
    package var idleConnections: Int
    package var connectTimeout: Duration
    package var firstByteTimeout: Duration
    package var idleTimeout: Duration
    /// New attempts before the first byte (rule F5).
    package var retries: Int
    /// In tokens, when the caller sets no length.
    package var maxTokens: Int
    /// nil means what the dialect offers.
    package var runningUsage: Bool?
    package var forbid: Forbid
}

/// One item of `pairs`: the replicas of an SLM and of the LLM behind it, by upstream name.
package struct PairConfiguration: Sendable, Equatable {
    package var name: String
    /// At least one upstream name.
    package var slm: [String]
    /// At least one upstream name.
    package var llm: [String]
}
