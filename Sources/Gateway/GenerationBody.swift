internal import RelayCore
internal import Wire

/// Writes the body that asks a server for one generation, in its dialect.
struct GenerationBody {
    let request: InferenceRequest
    let upstream: Upstream
    let tags: CommandTags

    /// - Parameters:
    ///   - generation: what the relay machine wants.
    ///   - prompt: what the model is to read first.
    ///   - view: the transcript as this model sees it.
    ///   - maxTokens: the limit of tokens, at least 1.
    ///   - choice: which of the request's answers this is; a seed is moved by it.
    func write(
        _ generation: Generation, prompt: PromptBook.Prompt, view: [UInt8], maxTokens: Int, choice: Int
    ) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(view.count + 1024)
        body.append(json: #"{"model":"#)
        body.append(jsonString: upstream.model)
        switch prompt {
        case .text(let text):
            body.append(json: #","prompt":"#)
            body.append(jsonString: text + view)
        case .chat:
            appendMessages(view, to: &body)
        }
        body.append(json: #","max_tokens":"#)
        body.append(jsonInteger: maxTokens)
        if !generation.stop.isEmpty {
            body.append(json: #","stop":["#)
            for (index, stop) in generation.stop.enumerated() {
                if index > 0 { body.append(json: ",") }
                body.append(jsonString: stop)
            }
            body.append(json: "]")
            if upstream.dialect.includesStopString { body.append(json: #","include_stop_str_in_output":true"#) }
        }
        appendStreaming(to: &body)
        if generation.commandsForbidden { appendBan(to: &body) }
        appendPassthrough(choice, skipping: bannedField(generation), to: &body)
        body.append(json: "}")
        return body
    }

    private func appendMessages(_ view: [UInt8], to body: inout [UInt8]) {
        body.append(json: #","messages":"#)
        guard !view.isEmpty else { return body.append(rawJSON: request.rawMessages) }
        // The array is reopened behind its last element; the request's parser has checked that it is one.
        let last = request.rawMessages.lastIndex(of: UInt8(ascii: "]")) ?? request.rawMessages.count
        body.append(rawJSON: Array(request.rawMessages[..<last]))
        body.append(json: #",{"role":"assistant","content":"#)
        body.append(jsonString: view)
        body.append(json: "}]")
        if case .flags = upstream.dialect.chatContinuation {
            body.append(json: #","continue_final_message":true,"add_generation_prompt":false"#)
        }
    }

    /// A whole answer with parts that are passed on untouched is asked for as a whole: putting it together from a
    /// stream would mean to understand those parts.
    private var isStreamed: Bool { request.stream || !request.passthrough.contains { $0.singleOnly } }

    private func appendStreaming(to body: inout [UInt8]) {
        guard isStreamed else { return }
        body.append(json: #","stream":true,"stream_options":{"include_usage":true"#)
        if case .continuous = upstream.dialect.runningUsage { body.append(json: #","continuous_usage_stats":true"#) }
        body.append(json: "}")
        if case .timings = upstream.dialect.runningUsage { body.append(json: #","timings_per_token":true"#) }
    }

    private func appendBan(to body: inout [UInt8]) {
        switch upstream.dialect.ban {
        case .none:
            break
        case .badWords:
            // The caller's own words stay forbidden beside ours.
            body.append(json: #","bad_words":["#)
            let own = request.passthrough.first { $0.name == "bad_words" }?.value.dropFirst().dropLast() ?? []
            if own.contains(where: { $0 > 0x20 }) {
                body.append(rawJSON: Array(own))
                body.append(json: ",")
            }
            body.append(jsonString: tags.open)
            body.append(json: ",")
            body.append(jsonString: tags.close)
            body.append(json: "]")
        case .grammar(let field):
            // A grammar or a schema of the caller's own is stronger: it stays.
            guard !request.passthrough.contains(where: { $0.singleOnly }) else { return }
            body.append(json: ",\"")
            body.append(json: field)
            body.append(json: "\":")
            body.append(jsonString: TagBan.grammar(forbidding: String(decoding: tags.open, as: UTF8.self)))
        }
    }

    /// The caller's field that the ban has taken over.
    private func bannedField(_ generation: Generation) -> String? {
        if case .badWords = upstream.dialect.ban, generation.commandsForbidden { "bad_words" } else { nil }
    }

    private func appendPassthrough(_ choice: Int, skipping skipped: String?, to body: inout [UInt8]) {
        for field in request.passthrough where field.name != skipped {
            body.append(json: ",")
            body.append(jsonString: field.name)
            body.append(json: ":")
            if field.name == "seed", let seed = request.seed {
                // Several answers with one seed would be one answer several times.
                body.append(jsonInteger: seed &+ choice)
            } else {
                body.append(rawJSON: field.value)
            }
        }
    }
}
