internal import Configuration

/// How one kind of server wants to be asked, as data. `Docs/dialects.md` lists what each was seen to do.
struct Dialect: Sendable {
    /// How the server tells how many tokens it has generated while it generates.
    enum RunningUsage: Sendable {
        case none
        /// `timings_per_token` puts `timings.predicted_n` on every chunk (llama.cpp).
        case timings
        /// `stream_options.continuous_usage_stats` puts `usage` on every chunk (vLLM, SGLang).
        case continuous
    }

    /// How the server can be kept from writing a command (rule T4).
    enum Ban: Sendable {
        case none
        /// Field `bad_words`: a list of strings (vLLM).
        case badWords
        /// A grammar that has every text but those with the tag, in a field of this name (llama.cpp `grammar`, SGLang
        /// `ebnf`).
        case grammar(field: StaticString)
    }

    /// How the server is asked to go on with an answer that has begun, when it is asked through chat.
    enum ChatContinuation: Sendable {
        /// It always goes on with a final assistant message (llama.cpp).
        case always
        /// `continue_final_message` and no generation prompt (vLLM, SGLang).
        case flags
    }

    /// The endpoint that renders messages with the model's own template.
    enum TemplateEndpoint: Sendable {
        case none
        /// `POST /apply-template` gives the text (llama.cpp).
        case applyTemplate
        /// `POST /tokenize` gives the tokens, `POST /detokenize` their text (vLLM).
        case tokenize
    }

    /// How `POST /tokenize` wants the text.
    enum TokenizerField: Sendable {
        case none
        /// `content` (llama.cpp).
        case content
        /// `prompt` beside the model's name (vLLM, SGLang).
        case prompt
    }

    let runningUsage: RunningUsage
    let tokenizer: TokenizerField
    let ban: Ban
    let chatContinuation: ChatContinuation
    let template: TemplateEndpoint
    /// Whether the server is asked to leave the stop string in its text. vLLM then holds no text back while a stop
    /// string may be forming, so its running count belongs to the text it comes with.
    let includesStopString: Bool

    init(_ upstream: UpstreamConfiguration) {
        let runningUsage: RunningUsage
        let ban: Ban
        switch upstream.dialect {
        case .llamacpp:
            (runningUsage, ban, chatContinuation, template) = (
                .timings, .grammar(field: "grammar"), .always, .applyTemplate
            )
        case .vllm:
            (runningUsage, ban, chatContinuation, template) = (.continuous, .badWords, .flags, .tokenize)
        case .sglang:
            (runningUsage, ban, chatContinuation, template) = (.continuous, .grammar(field: "ebnf"), .flags, .none)
        case .openai:
            (runningUsage, ban, chatContinuation, template) = (.none, .none, .flags, .none)
        }
        tokenizer =
            switch upstream.dialect {
            case .llamacpp: .content
            case .vllm, .sglang: .prompt
            case .openai: .none
            }
        includesStopString = upstream.dialect == .vllm
        // A server behind the plain dialect may know `continuous_usage_stats` all the same: the operator says so.
        self.runningUsage =
            switch upstream.runningUsage {
            case false: .none
            case true where upstream.dialect == .openai: .continuous
            default: runningUsage
            }
        self.ban = upstream.forbid == .none ? .none : ban
    }
}
