extension UpstreamChunk {
    /// Parses the data of one event, or a whole body. Completions and chat are told apart by what is there.
    ///
    /// - Throws: `WireError` with code `invalid_upstream_body` when the bytes are no JSON object.
    package init(parsing data: Span<UInt8>, with parser: inout JSONParser) throws(WireError) {
        do {
            self = try parser.read(data) { (root) throws(WireError) in
                guard root.isObject else { throw WireError(.invalidUpstreamBody, "not an object") }
                return UpstreamChunk(root)
            }
        } catch {
            throw WireError(.invalidUpstreamBody, "The model server sent a body that is no JSON object.")
        }
    }

    /// Parses data held in an array; see `init(parsing:with:)` above.
    package init(parsing data: [UInt8], with parser: inout JSONParser) throws(WireError) {
        try self.init(parsing: data.span, with: &parser)
    }

    private init(_ root: JSON) {
        self.init()
        var timed: Int?
        for member in root.children {
            if member.hasKey("choices") {
                choiceCount = member.count
                if let choice = member[0] { read(choice: choice) }
                // Nobody asked for a second one.
                for other in member.children.dropFirst() { otherBytes += other.raw.count }
            } else if member.hasKey("usage") {
                if member.isObject { usage = Usage(member) }
            } else if member.hasKey("timings") {
                timed = member["predicted_n"].flatMap(Self.count)
            } else if member.hasKey("error") || member.hasKey("detail") {
                if !member.isNull { fault = UpstreamFault(member) }
            } else if member.hasKey("object"), member.equals("error") {
                // Older vLLM puts the fields of the error at the top.
                fault = UpstreamFault(root)
            }
        }
        if choiceCount > 0 { runningTokens = timed ?? usage?.completion }
    }

    private mutating func read(choice: JSON) {
        for member in choice.children {
            if member.hasKey("text") {
                text = member.bytes ?? []
            } else if member.hasKey("delta") || member.hasKey("message") {
                read(message: member)
            } else if member.hasKey("finish_reason") {
                // Bounded, because it goes on into records that keep it.
                finishReason = member.string.map { String($0.prefix(64)) }
            } else if member.hasKey("stop_reason") {
                stopReason = Self.stopReason(member)
            } else if member.hasKey("index") {
                index = Self.count(member) ?? 0
            } else if member.hasKey("logprobs") {
                logprobs = member.isNull ? nil : member.raw
            }
        }
    }

    private mutating func read(message: JSON) {
        for member in message.children {
            if member.hasKey("content") {
                text = member.bytes ?? []
            } else if member.hasKey("tool_calls") {
                toolCalls = member.isNull ? nil : member.raw
                otherBytes += toolCalls?.count ?? 0
            } else if member.hasKey("reasoning_content") || member.hasKey("reasoning") {
                otherBytes += member.bytes?.count ?? 0
            }
        }
    }

    private static func stopReason(_ value: JSON) -> StopReason? {
        if value.isNull { return .unmatched }
        if let text = value.bytes { return .string(text) }
        return value.int.map(StopReason.token)
    }

    /// A count that can be believed, else nil.
    fileprivate static func count(_ value: JSON) -> Int? {
        guard let count = value.int, count >= 0, count <= TokenUsage.countLimit else { return nil }
        return count
    }
}

extension UpstreamChunk.Usage {
    fileprivate init(_ json: JSON) {
        for member in json.children {
            if member.hasKey("prompt_tokens") {
                prompt = UpstreamChunk.count(member)
            } else if member.hasKey("completion_tokens") {
                completion = UpstreamChunk.count(member)
            } else if member.hasKey("prompt_tokens_details") {
                cachedPrompt = member["cached_tokens"].flatMap(UpstreamChunk.count)
                cacheWrite = member["cache_write_tokens"].flatMap(UpstreamChunk.count)
            } else if member.hasKey("prompt_cache_hit_tokens") {
                cachedPrompt = cachedPrompt ?? UpstreamChunk.count(member)
            }
        }
        // No prompt is empty, and no part of it is larger than the whole.
        if prompt == 0 { prompt = nil }
        if let prompt, (cachedPrompt ?? 0) + (cacheWrite ?? 0) > prompt { (cachedPrompt, cacheWrite) = (nil, nil) }
    }
}

extension UpstreamFault {
    /// Reads `{"error":{…}}`, `{"error":"…"}`, `{"detail":"…"}` and `{"detail":[…]}`; `json` is the inner value, or the
    /// root where the fields stand there.
    fileprivate init(_ json: JSON) {
        let code = json["code"] ?? json
        self.init(
            message: Self.cut(json["message"]?.string ?? json.string, to: 500) ?? Self.shown(json),
            type: Self.cut(json["type"]?.string, to: 100),
            code: Self.cut(json.isObject ? code.string ?? code.int.map(String.init) : nil, to: 100))
    }

    private static func cut(_ text: String?, to limit: Int) -> String? { text.map { String($0.prefix(limit)) } }

    private static func shown(_ json: JSON) -> String {
        String(String(decoding: json.raw.prefix(500), as: UTF8.self).prefix(500))
    }
}
