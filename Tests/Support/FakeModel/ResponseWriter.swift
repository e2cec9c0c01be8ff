import Wire

/// The usage that a response tells: the truth, or a turn's lie about it.
struct ReportedUsage {
    var prompt: Int
    var completion: Int
    var lie: Script.UsageLie?

    /// Appends the object after a comma and its key; nothing when the usage is missing.
    func append(_ dialect: Dialect, to bytes: inout [UInt8]) {
        if lie == .missing { return }
        bytes.append(json: #","usage":{"prompt_tokens":"#)
        append(prompt, to: &bytes)
        bytes.append(json: #","completion_tokens":"#)
        append(completion, to: &bytes)
        bytes.append(json: #","total_tokens":"#)
        append(prompt + completion, to: &bytes)
        switch dialect {
        case .llamacpp, .openai: bytes.append(json: #","prompt_tokens_details":{"cached_tokens":0}"#)
        case .vllm: bytes.append(json: #","prompt_tokens_details":null"#)
        default: break
        }
        bytes.append(json: "}")
    }

    private func append(_ count: Int, to bytes: inout [UInt8]) {
        switch lie {
        case .zero: bytes.append(json: "0")
        case .x100: bytes.append(jsonInteger: count &* 100)
        case .negative: bytes.append(jsonInteger: -max(1, count))
        case .string: bytes.append(json: #""7""#)
        case .huge: bytes.append(json: "1e400")
        case .missing, nil: bytes.append(jsonInteger: count)
        }
    }
}

/// Writes the responses of one request in the dialect's shape; the parts that stay the same are made once.
struct ResponseWriter {
    private let dialect: Dialect
    private let behaviour: Behaviour
    private let isChat: Bool
    private let chunkTail: [UInt8]
    private let wholeTail: [UInt8]

    init(dialect: Dialect, behaviour: Behaviour, isChat: Bool, id: Int, created: Int, model: String) {
        self.dialect = dialect
        self.behaviour = behaviour
        self.isChat = isChat
        func tail(_ object: StaticString) -> [UInt8] {
            var bytes: [UInt8] = []
            if dialect != .transformers {
                bytes.append(json: #","created":"#)
                bytes.append(jsonInteger: created)
            }
            bytes.append(json: #","model":"#)
            bytes.append(jsonString: model)
            bytes.append(json: #","system_fingerprint":"fake","object":""#)
            bytes.append(json: object)
            bytes.append(json: isChat ? #"","id":"chatcmpl-"# : #"","id":"cmpl-"#)
            bytes.append(jsonInteger: id)
            bytes.append(json: #"""#)
            return bytes
        }
        chunkTail = tail(isChat ? "chat.completion.chunk" : "text_completion")
        wholeTail = tail(isChat ? "chat.completion" : "text_completion")
    }

    /// The chunk that begins a streamed chat answer; completions have none.
    func appendRole(choice: Int, to bytes: inout [UInt8]) {
        guard isChat else { return }
        bytes.append(json: #"data: {"choices":[{"finish_reason":null,"index":"#)
        bytes.append(jsonInteger: choice)
        bytes.append(json: #","delta":{"role":"assistant","content":"#)
        bytes.append(json: dialect == .llamacpp ? "null}}]" : #"""}}]"#)
        bytes.append(contentsOf: chunkTail)
        bytes.append(json: "}\n\n")
    }

    /// A chunk of text, with a finish reason when it is the last of its choice.
    ///
    /// - Parameters:
    ///   - usage: goes with the chunk where the dialect has it there, also as a running count.
    ///   - predicted: llama.cpp's running count of generated tokens.
    func appendChunk(
        _ text: [UInt8], choice: Int, finish: String?, matched: [UInt8]?, usage: ReportedUsage?, predicted: Int?,
        to bytes: inout [UInt8]
    ) {
        bytes.append(json: isChat ? #"data: {"choices":[{"delta":{"# : #"data: {"choices":[{"text":"#)
        if !isChat {
            bytes.append(jsonString: text)
        } else if finish == nil || !text.isEmpty {
            bytes.append(json: #""content":"#)
            bytes.append(jsonString: text)
        }
        bytes.append(json: isChat ? #"},"index":"# : #","index":"#)
        bytes.append(jsonInteger: choice)
        bytes.append(json: #","logprobs":null,"finish_reason":"#)
        bytes.append(jsonString: finish)
        if finish != nil { appendMatched(matched, to: &bytes) }
        bytes.append(json: "}]")
        bytes.append(contentsOf: chunkTail)
        usage?.append(dialect, to: &bytes)
        if let predicted {
            bytes.append(json: #","timings":{"predicted_n":"#)
            bytes.append(jsonInteger: predicted)
            bytes.append(json: "}")
        }
        bytes.append(json: "}\n\n")
    }

    /// The chunk with no choices that carries the usage.
    func appendUsage(_ usage: ReportedUsage, to bytes: inout [UInt8]) {
        bytes.append(json: #"data: {"choices":[]"#)
        bytes.append(contentsOf: chunkTail)
        usage.append(dialect, to: &bytes)
        bytes.append(json: "}\n\n")
    }

    /// A whole answer: one entry for each choice.
    func whole(_ choices: [(text: [UInt8], finish: String, matched: [UInt8]?)], usage: ReportedUsage?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(json: #"{"choices":["#)
        for (index, choice) in choices.enumerated() {
            if index > 0 { bytes.append(json: ",") }
            bytes.append(json: #"{"index":"#)
            bytes.append(jsonInteger: index)
            bytes.append(json: isChat ? #","message":{"role":"assistant","content":"# : #","text":"#)
            bytes.append(jsonString: choice.text)
            bytes.append(json: isChat ? #"},"logprobs":null,"finish_reason":"# : #","logprobs":null,"finish_reason":"#)
            bytes.append(jsonString: choice.finish)
            appendMatched(choice.matched, to: &bytes)
            bytes.append(json: "}")
        }
        bytes.append(json: "]")
        bytes.append(contentsOf: wholeTail)
        usage?.append(dialect, to: &bytes)
        bytes.append(json: "}")
        return bytes
    }

    private func appendMatched(_ stop: [UInt8]?, to bytes: inout [UInt8]) {
        switch behaviour.matchedStop {
        case .unreported: return
        case .stopReason: bytes.append(json: #","stop_reason":"#)
        case .matchedStop: bytes.append(json: #","matched_stop":"#)
        }
        if let stop { bytes.append(jsonString: stop) } else { bytes.append(json: "null") }
    }
}
