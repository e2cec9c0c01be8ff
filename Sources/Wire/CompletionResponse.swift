/// The body of a response that is not streamed.
package struct CompletionResponse: Sendable {
    /// One answer.
    package struct Choice: Sendable {
        /// The visible text as UTF-8.
        package var text: [UInt8]
        /// `stop`, `length` or another of OpenAI's finish reasons.
        package var finishReason: String
        /// `logprobs` as the model server wrote it.
        package var logprobs: [UInt8]?
        /// `tool_calls` as the model server wrote it; chat only.
        package var toolCalls: [UInt8]?

        /// Creates an answer.
        package init(
            text: [UInt8], finishReason: String, logprobs: [UInt8]? = nil, toolCalls: [UInt8]? = nil
        ) {
            self.text = text
            self.finishReason = finishReason
            self.logprobs = logprobs
            self.toolCalls = toolCalls
        }
    }

    /// Decides the form.
    package var endpoint: Endpoint
    /// The response's id, prefix included.
    package var id: String
    /// Seconds since 1970.
    package var created: Int
    /// The public model name.
    package var model: String
    /// The answers; their position is their index.
    package var choices: [Choice]
    /// Token counts over all answers.
    package var usage: TokenUsage
    /// The relay's report.
    package var report: RelayReport?

    /// Creates a response.
    package init(
        endpoint: Endpoint, id: String, created: Int, model: String, choices: [Choice], usage: TokenUsage,
        report: RelayReport? = nil
    ) {
        self.endpoint = endpoint
        self.id = id
        self.created = created
        self.model = model
        self.choices = choices
        self.usage = usage
        self.report = report
    }

    /// Appends the body.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(json: #"{"id":"#)
        bytes.append(jsonString: id)
        bytes.append(json: #","object":""#)
        bytes.append(json: endpoint.object)
        bytes.append(json: #"","created":"#)
        bytes.append(jsonInteger: created)
        bytes.append(json: #","model":"#)
        bytes.append(jsonString: model)
        bytes.append(json: #","choices":["#)
        for (position, choice) in choices.enumerated() {
            if position > 0 { bytes.append(json: ",") }
            append(choice, at: position, to: &bytes)
        }
        bytes.append(json: #"],"usage":"#)
        usage.append(to: &bytes)
        if let report {
            bytes.append(json: #","relay":"#)
            report.append(to: &bytes)
        }
        bytes.append(json: "}")
    }

    /// The body as bytes.
    package func body() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(choices.reduce(1024) { $0 + $1.text.count })
        append(to: &bytes)
        return bytes
    }

    private func append(_ choice: Choice, at index: Int, to bytes: inout [UInt8]) {
        bytes.append(json: #"{"index":"#)
        bytes.append(jsonInteger: index)
        if endpoint == .chat {
            bytes.append(json: #","message":{"role":"assistant","content":"#)
            if choice.toolCalls != nil && choice.text.isEmpty {
                bytes.append(json: "null")
            } else {
                bytes.append(jsonString: choice.text)
            }
            if let toolCalls = choice.toolCalls {
                bytes.append(json: #","tool_calls":"#)
                bytes.append(rawJSON: toolCalls)
            }
            bytes.append(json: "}")
        } else {
            bytes.append(json: #","text":"#)
            bytes.append(jsonString: choice.text)
        }
        bytes.append(json: #","logprobs":"#)
        if let logprobs = choice.logprobs { bytes.append(rawJSON: logprobs) } else { bytes.append(json: "null") }
        bytes.append(json: #","finish_reason":"#)
        bytes.append(jsonString: choice.finishReason)
        bytes.append(json: "}")
    }
}
