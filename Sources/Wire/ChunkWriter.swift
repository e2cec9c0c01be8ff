/// Writes the chunks of one streamed response as server-sent events.
///
/// Whatever is the same in all chunks is put together once, so that a content chunk, of which there is one per token,
/// is a few appends to the caller's buffer.
package struct ChunkWriter: Sendable {
    private let isChat: Bool
    private let includeUsage: Bool
    /// From `data: ` to the value of `choices[0].index`, which comes next.
    private let prefix: [UInt8]
    /// From `data: ` to the `[` of `choices`.
    private let head: [UInt8]

    /// Creates a writer.
    ///
    /// - Parameters:
    ///   - endpoint: decides the form of the chunks.
    ///   - id: the response's id, prefix included.
    ///   - created: seconds since 1970.
    ///   - model: the public model name.
    ///   - includeUsage: whether the caller asked for a usage chunk; then all others say `"usage":null`.
    package init(endpoint: Endpoint, id: String, created: Int, model: String, includeUsage: Bool) {
        isChat = endpoint == .chat
        self.includeUsage = includeUsage
        var head: [UInt8] = []
        head.append(json: #"data: {"id":"#)
        head.append(jsonString: id)
        head.append(json: #","object":""#)
        head.append(json: endpoint.chunkObject)
        head.append(json: #"","created":"#)
        head.append(jsonInteger: created)
        head.append(json: #","model":"#)
        head.append(jsonString: model)
        head.append(json: #","choices":["#)
        self.head = head
        head.append(json: #"{"index":"#)
        prefix = head
    }

    /// Appends the first chunk of a choice, which names the role of the speaker. Completions have none.
    package func appendRole(choice: Int = 0, to bytes: inout [UInt8]) {
        guard isChat else { return }
        begin(choice, &bytes)
        bytes.append(json: #","delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]"#)
        end(nil, &bytes)
    }

    /// Appends a chunk with text.
    ///
    /// - Parameters:
    ///   - text: UTF-8, whole characters only.
    ///   - choice: the answer it belongs to.
    ///   - writer: `slm` or `llm` when the caller asked for annotations, else nil.
    ///   - logprobs: `logprobs` as the model server wrote it.
    ///   - toolCalls: `tool_calls` as the model server wrote it; chat only.
    ///   - bytes: the buffer.
    package func appendContent(
        _ text: [UInt8], choice: Int = 0, writer: StaticString? = nil, logprobs: [UInt8]? = nil,
        toolCalls: [UInt8]? = nil, to bytes: inout [UInt8]
    ) {
        begin(choice, &bytes)
        if isChat {
            bytes.append(json: #","delta":{"content":"#)
            // A chunk that only carries tool calls has no content, which is not the same as empty content.
            if toolCalls != nil && text.isEmpty { bytes.append(json: "null") } else { bytes.append(jsonString: text) }
            if let toolCalls {
                bytes.append(json: #","tool_calls":"#)
                bytes.append(rawJSON: toolCalls)
            }
            bytes.append(json: "}")
        } else {
            bytes.append(json: #","text":"#)
            bytes.append(jsonString: text)
        }
        bytes.append(json: #","logprobs":"#)
        if let logprobs { bytes.append(rawJSON: logprobs) } else { bytes.append(json: "null") }
        bytes.append(json: #","finish_reason":null}]"#)
        if let writer {
            bytes.append(json: #","relay":{"role":""#)
            bytes.append(json: writer)
            bytes.append(json: #""}"#)
        }
        end(nil, &bytes)
    }

    /// Appends the last chunk of a choice.
    ///
    /// - Parameters:
    ///   - reason: `stop`, `length` or another of OpenAI's finish reasons.
    ///   - choice: the answer that ends.
    ///   - report: the relay's report, on the last choice that ends when no usage chunk follows; else nil.
    ///   - bytes: the buffer.
    package func appendFinish(
        _ reason: String, choice: Int = 0, report: RelayReport? = nil, to bytes: inout [UInt8]
    ) {
        begin(choice, &bytes)
        if isChat { bytes.append(json: #","delta":{}"#) } else { bytes.append(json: #","text":"""#) }
        bytes.append(json: #","logprobs":null,"finish_reason":"#)
        bytes.append(jsonString: reason)
        bytes.append(json: "}]")
        end(report, &bytes)
    }

    /// Appends the chunk of token counts, whose `choices` is empty.
    package func appendUsage(_ usage: TokenUsage, report: RelayReport? = nil, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: head)
        bytes.append(json: #"],"usage":"#)
        usage.append(to: &bytes)
        if let report {
            bytes.append(json: #","relay":"#)
            report.append(to: &bytes)
        }
        bytes.append(json: "}\n\n")
    }

    /// Appends `[DONE]`.
    package static func appendDone(to bytes: inout [UInt8]) {
        bytes.append(json: "data: [DONE]\n\n")
    }

    /// Appends an error event, after which the stream is closed without `[DONE]`.
    package static func appendError(_ error: WireError, to bytes: inout [UInt8]) {
        bytes.append(json: "data: ")
        error.append(to: &bytes)
        bytes.append(json: "\n\n")
    }

    /// Appends a comment, which clients skip: it keeps proxies from closing a stream that is silent.
    package static func appendKeepAlive(to bytes: inout [UInt8]) {
        bytes.append(json: ": keep-alive\n\n")
    }

    private func begin(_ choice: Int, _ bytes: inout [UInt8]) {
        bytes.append(contentsOf: prefix)
        bytes.append(jsonInteger: choice)
    }

    private func end(_ report: RelayReport?, _ bytes: inout [UInt8]) {
        if includeUsage { bytes.append(json: #","usage":null"#) }
        if let report {
            bytes.append(json: #","relay":"#)
            report.append(to: &bytes)
        }
        bytes.append(json: "}\n\n")
    }
}
