import Wire

/// What a caller asks of the fake, read as leniently as the dialect does.
struct CompletionRequest {
    var isChat: Bool
    var model: String?
    var prompt: [UInt8] = []
    /// The assistant message that is continued; empty when none is.
    var prefill: [UInt8] = []
    var maxTokens: Int?
    var stops: [[UInt8]] = []
    var isStream = false
    var includeUsage = false
    var wantsRunningUsage = false
    var includesStop = false
    var choices = 1
    var seed = 0
    /// The request forbids the tags of commands in the way its dialect has for that.
    var commandsForbidden = false

    /// Fields that every server knows; the strict ones refuse all others.
    private static let known: Set<String> = [
        "model", "prompt", "messages", "max_tokens", "max_completion_tokens", "stop", "stream", "stream_options", "n",
        "seed", "temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs",
        "top_logprobs", "user", "metadata", "service_tier", "tools", "tool_choice", "response_format", "echo",
        "best_of", "suffix", "store", "parallel_tool_calls",
    ]

    /// Reads a body. Fails with what the dialect's server would answer.
    static func read(
        _ root: JSON, isChat: Bool, dialect: Dialect, behaviour: Behaviour
    ) -> Result<CompletionRequest, Refusal> {
        var request = CompletionRequest(isChat: isChat)
        for member in root.children {
            if case .refused(let status) = behaviour.unknownField, !known.contains(member.key) {
                return .failure(unknownField(member.key, status, dialect))
            }
            if let refusal = request.take(member, dialect) { return .failure(refusal) }
        }
        if isChat {
            if let refusal = request.readMessages(root, behaviour) { return .failure(refusal) }
        } else if root["prompt"] == nil {
            return .failure(missingPrompt(dialect))
        }
        if behaviour.refusesEmpty, request.maxTokens.map({ $0 < 1 }) == true {
            return .failure(.badRequest("max_tokens must be at least 1.", param: "max_tokens"))
        }
        if behaviour.refusesEmpty, request.prompt.isEmpty {
            return .failure(.badRequest("The prompt must not be empty.", param: "prompt"))
        }
        request.maxTokens = request.maxTokens.map { max(1, $0) }
        return .success(request)
    }

    private mutating func take(_ member: JSON, _ dialect: Dialect) -> Refusal? {
        switch member.key {
        case "model": model = member.string
        case "prompt":
            let prompt = member.isArray && member.count == 1 ? member[0] ?? member : member
            guard let bytes = prompt.bytes else { return .badRequest("prompt must be a string", param: "prompt") }
            self.prompt = bytes
        case "max_tokens", "max_completion_tokens":
            if member.isNull { return nil }
            guard let count = member.int else {
                return .badRequest("Field '\(member.key)': type must be number", param: member.key)
            }
            maxTokens = count
        case "stop":
            if let stop = member.bytes { stops = [stop] }
            if member.isArray { stops = member.children.compactMap(\.bytes) }
            stops.removeAll(where: \.isEmpty)
        case "stream": isStream = member.bool ?? false
        case "stream_options":
            includeUsage = member["include_usage"]?.bool ?? false
            let isRunning = member["continuous_usage_stats"]?.bool ?? false
            if isRunning, dialect == .vllm || dialect == .sglang { wantsRunningUsage = true }
        case "timings_per_token":
            if dialect == .llamacpp { wantsRunningUsage = member.bool ?? false }
        case "n": choices = max(1, min(member.int ?? 1, 128))
        case "seed": seed = member.int ?? 0
        case "include_stop_str_in_output": includesStop = dialect == .vllm && member.bool == true
        case "no_stop_trim": includesStop = dialect == .sglang && member.bool == true
        case "grammar", "logit_bias", "bad_words": takeBan(member, dialect)
        default: break
        }
        return nil
    }

    /// A ban is recognised by `<` in its text or by the id of that token: good enough for who asks the fake.
    private mutating func takeBan(_ member: JSON, _ dialect: Dialect) {
        switch (member.key, dialect) {
        case ("bad_words", .vllm), ("grammar", .llamacpp):
            // A grammar may write the character by its number.
            let isTagged = member.raw.contains(Vocabulary.less[0]) || member.string?.contains("\\x3c") == true
            if isTagged { commandsForbidden = true }
        case ("logit_bias", .llamacpp), ("logit_bias", .vllm), ("logit_bias", .sglang), ("logit_bias", .openai):
            let bans = member.children.contains { item in
                let token = item.isArray ? item[0]?.string ?? item[0]?.int.map(String.init) ?? "" : item.key
                let bias = item.isArray ? item[1] : item
                let isBan = bias?.bool == false || bias?.double.map { $0 <= -50 } == true
                return isBan && (token.utf8.contains(Vocabulary.less[0]) || token == String(Vocabulary.less[0]))
            }
            if bans { commandsForbidden = true }
        default: break
        }
    }

    private mutating func readMessages(_ root: JSON, _ behaviour: Behaviour) -> Refusal? {
        guard let list = root["messages"], list.isArray, list.count > 0 else {
            return .badRequest("messages must be a list with at least one message", param: "messages")
        }
        var messages: [FakeMessage] = []
        for item in list.children {
            messages.append(
                FakeMessage(
                    role: item["role"]?.string ?? "user",
                    content: item["content"]?.bytes ?? item["content"]?.children.flatMap { $0["text"]?.bytes ?? [] }
                        ?? []))
        }
        let endsWithAssistant = messages.last?.role == "assistant"
        let isAsked = root["continue_final_message"]?.bool == true
        let addsPrompt = root["add_generation_prompt"]?.bool ?? true
        let knowsFlags = behaviour.finalAssistant != .newTurn
        if knowsFlags, isAsked, addsPrompt {
            return .badRequest("Cannot set both add_generation_prompt and continue_final_message to true.")
        }
        let continues =
            switch behaviour.finalAssistant {
            case .continued: endsWithAssistant
            case .onRequest: endsWithAssistant && isAsked
            case .newTurn: false
            }
        if behaviour.finalAssistant == .continued, messages.suffix(2).filter({ $0.role == "assistant" }).count == 2 {
            return .badRequest("Cannot have 2 or more assistant messages at the end of the list.")
        }
        prompt = ChatTemplate.render(messages, continuesLast: continues)
        if continues { prefill = messages.last?.content ?? [] }
        return nil
    }

    private static func unknownField(_ name: String, _ status: Int, _ dialect: Dialect) -> Refusal {
        let message =
            dialect == .transformers
            ? "Unexpected fields in the request: {'\(name)'}" : "Unrecognized request argument supplied: \(name)"
        return Refusal(status: status, kind: .unknownField(name), message: message)
    }

    private static func missingPrompt(_ dialect: Dialect) -> Refusal {
        switch dialect {
        case .llamacpp: .badRequest("[json.exception.out_of_range.403] key 'prompt' not found")
        case .transformers: Refusal(status: 500, kind: .failed(status: 500), message: "Internal Server Error")
        default: .badRequest("Missing required parameter: 'prompt'.", param: "prompt")
        }
    }
}
