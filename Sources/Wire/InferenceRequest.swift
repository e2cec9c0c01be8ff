/// The body of `POST /v1/chat/completions` or `POST /v1/completions`, checked and divided into what the gateway acts on
/// and what goes to the model servers as it came.
///
/// Parsing does not depend on the policy, because the policy is found by the model's name. What a policy cannot honour
/// is refused in a second step, `refusals(for:)`. Between the two every field is honoured or refused, never dropped.
package struct InferenceRequest: Sendable {
    /// Bounds on what one request may ask for.
    package struct Limits: Sendable {
        /// The largest `n`.
        package var choices: Int
        /// The largest `max_tokens`; anything above is taken for a mistake.
        package var tokens: Int
        /// The longest single stop string in bytes.
        package var stopBytes: Int

        /// Creates limits. Defaults: 8 choices, 1,048,576 tokens, 256 bytes per stop string.
        package init(choices: Int = 8, tokens: Int = 1 << 20, stopBytes: Int = 256) {
            self.choices = choices
            self.tokens = tokens
            self.stopBytes = stopBytes
        }
    }

    /// A field that goes on untouched.
    package struct Field: Equatable, Sendable {
        /// The name.
        package let name: String
        /// The value as it was written: valid JSON.
        package let value: [UInt8]
        /// Whether only a single-model policy can honour it.
        package let singleOnly: Bool
    }

    /// The endpoint that was called.
    package let endpoint: Endpoint

    /// The public model name; never empty.
    package internal(set) var model = ""

    /// The messages of a chat request; empty on the other endpoint.
    package internal(set) var messages: [ChatMessage] = []

    /// `messages` as it was written, for a template endpoint or a chat server; empty on the other endpoint.
    package internal(set) var rawMessages: [UInt8] = []

    /// The prompt of a completion request as UTF-8; empty on the chat endpoint.
    package internal(set) var prompt: [UInt8] = []

    /// Whether the answer is to be streamed.
    package internal(set) var stream = false

    /// Whether a stream ends with a chunk of token counts.
    package internal(set) var includeUsage = false

    /// The number of answers; at least 1.
    package internal(set) var choices = 1

    /// The limit of visible tokens per answer, nil when the caller set none.
    package internal(set) var maxTokens: Int?

    /// Up to four strings that end an answer, none of them empty.
    package internal(set) var stop: [[UInt8]] = []

    /// The seed, which is among `passthrough` too: several choices need seeds that differ.
    package internal(set) var seed: Int?

    /// The members of `metadata` that are texts, numbers or booleans, their first 512 characters; of members with one
    /// name the last, as for the model server, to which it goes on untouched.
    package internal(set) var metadata: [String: String] = [:]

    /// `user`, which goes on untouched too.
    package internal(set) var user: String?

    /// Whether each chunk of a stream names the model that wrote it.
    package internal(set) var annotate = false

    /// All other fields in the caller's order.
    package internal(set) var passthrough: [Field] = []

    init(endpoint: Endpoint) {
        self.endpoint = endpoint
    }
}

/// How much of an answer one generation writes, which decides what can be passed through to it.
package enum PolicyClass: String, Sendable, CaseIterable {
    /// One model writes the whole answer in one generation.
    case single
    /// Two models take turns.
    case relay
}

extension InferenceRequest {
    /// What a policy of this class cannot honour, in the order of the request.
    package func refusals(for policy: PolicyClass) -> [WireError] {
        guard policy == .relay else { return [] }
        var refusals: [WireError] = []
        for field in passthrough where field.singleOnly {
            let why = Parameter.named(field.name)?.why ?? ""
            refusals.append(
                WireError(
                    .unsupportedParameter,
                    "'\(field.name)' is not supported by this model: \(why) Remove it or choose a single-model policy.",
                    param: field.name))
        }
        for (position, message) in messages.enumerated() {
            if message.hasNonText {
                refusals.append(.unsupported("messages[\(position)].content", "this model reads text parts only."))
            }
            if message.hasTools {
                refusals.append(.unsupported("messages[\(position)]", "this model has no part in tool calls."))
            }
        }
        return refusals
    }

    /// Throws the first of `refusals(for:)`.
    package func check(for policy: PolicyClass) throws(WireError) {
        if let first = refusals(for: policy).first { throw first }
    }
}
