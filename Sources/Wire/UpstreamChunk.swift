/// What a model server said in one event of a stream, or in the whole body of an answer that was not streamed.
///
/// Servers differ in just these fields (null, missing, early, late), so every one of them is optional, and no value a
/// server can send traps: a count that is negative, fractional, a string or beyond 2^53 is unknown, which is nil.
package struct UpstreamChunk: Equatable, Sendable {
    /// What made vLLM stop.
    package enum StopReason: Equatable, Sendable {
        /// The stop string that matched.
        case string([UInt8])
        /// The id of the stop token that matched.
        case token(Int)
        /// `null`: the server names stop strings, and none matched.
        case unmatched
    }

    /// The prompt and completion counts as far as the server told them and they can be true.
    package struct Usage: Equatable, Sendable {
        /// `prompt_tokens`.
        package var prompt: Int?
        /// `completion_tokens`.
        package var completion: Int?
        /// `prompt_tokens_details.cached_tokens`, or DeepSeek's `prompt_cache_hit_tokens`.
        package var cachedPrompt: Int?
        /// `prompt_tokens_details.cache_write_tokens`, as some routers of hosted models say it.
        package var cacheWrite: Int?
    }

    /// The number of entries in `choices`. All fields below are those of the first one: the gateway asks for one.
    package internal(set) var choiceCount = 0

    /// `index` of the choice.
    package internal(set) var index = 0

    /// New text as UTF-8; empty when there is none.
    package internal(set) var text: [UInt8] = []

    /// Bytes of what was generated and is not `text`: reasoning, tool calls, other choices.
    package internal(set) var otherBytes = 0

    /// `finish_reason`, nil while the generation runs.
    package internal(set) var finishReason: String?

    /// `stop_reason` of vLLM.
    package internal(set) var stopReason: StopReason?

    /// `usage`, wherever the server puts it: on its last chunk, alone behind it, or on every chunk.
    package internal(set) var usage: Usage?

    /// Generated tokens up to and including this chunk, when the server tells them: llama.cpp in `timings.predicted_n`,
    /// vLLM in the usage that `continuous_usage_stats` puts on every chunk.
    package internal(set) var runningTokens: Int?

    /// `logprobs` as it was written, nil when null or missing.
    package internal(set) var logprobs: [UInt8]?

    /// `tool_calls` as it was written, nil when null or missing.
    package internal(set) var toolCalls: [UInt8]?

    /// An error object in place of an answer.
    package internal(set) var fault: UpstreamFault?
}

/// An error that a model server reported, in whichever of the shapes in use.
package struct UpstreamFault: Equatable, Sendable {
    /// What the server says, at most 500 characters. It may quote the prompt, so it is for logs, not for callers.
    package let message: String
    /// `type`, at most 100 characters.
    package let type: String?
    /// `code` as text, at most 100 characters.
    package let code: String?

    /// Whether the prompt and what was to be generated do not fit the model's context window.
    package var isContextExceeded: Bool {
        if type == "exceed_context_size_error" || code == "context_length_exceeded" { return true }
        return message.contains("maximum context length") || message.contains("context length exceeded")
            || message.contains("exceeds the available context size")
            || message.contains("longer than the model's context length")
    }
}
