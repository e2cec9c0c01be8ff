internal import Accounting
internal import HTTPServer
internal import RelayCore
internal import Wire

/// Parts of a model server's chunk that are passed on untouched.
struct ChunkExtras {
    var logprobs: [UInt8]?
    var toolCalls: [UInt8]?
}

/// Writes one response, whole or as a stream. *Loop thread.*
///
/// A stream's head leaves with its first text, not before: what fails until then is an HTTP error with its status.
struct ResponseWriter {
    private let request: InferenceRequest
    private let exchange: HTTPExchange
    private let chunks: ChunkWriter
    private let id: String
    private let created: Int
    private let headers: [(String, String)]
    private(set) var hasBegun = false
    private var hasWritten = false
    private var choices: [CompletionResponse.Choice]
    private var extras: [Int: ChunkExtras] = [:]
    private var buffer: [UInt8] = []

    init(
        _ request: InferenceRequest, id: UUID7, created: Int, policy: String, limits: [(String, String)],
        exchange: HTTPExchange
    ) {
        self.request = request
        self.exchange = exchange
        self.created = created
        self.id = request.endpoint.idPrefix.description + id.description
        chunks = ChunkWriter(
            endpoint: request.endpoint, id: self.id, created: created, model: request.model,
            includeUsage: request.includeUsage)
        headers = [("x-request-id", id.description), ("x-relay-policy", policy)] + limits
        choices =
            request.stream
            ? [] : Array(repeating: CompletionResponse.Choice(text: [], finishReason: "stop"), count: request.choices)
    }

    /// Keeps parts that go on as the model server wrote them for the next `write` of the same choice.
    mutating func attach(_ parts: ChunkExtras, choice: Int) { extras[choice] = parts }

    /// Writes parts that no text came for.
    mutating func writeAttached(choice: Int) {
        if request.stream, extras[choice] != nil { write([], by: .llm, choice: choice) }
    }

    mutating func write(_ text: [UInt8], by role: Role, choice: Int) {
        guard request.stream else {
            choices[choice].text += text
            return
        }
        begin()
        let writer: StaticString? = request.annotate ? (role == .slm ? "slm" : "llm") : nil
        let parts = extras.removeValue(forKey: choice)
        chunks.appendContent(
            text, choice: choice, writer: writer, logprobs: parts?.logprobs, toolCalls: parts?.toolCalls, to: &buffer)
        flush()
    }

    mutating func finish(_ reasons: [String], usage: TokenUsage, report: RelayReport) {
        guard request.stream else { return finishWhole(reasons, usage: usage, report: report) }
        begin()
        for (choice, reason) in reasons.enumerated() {
            let isLast = choice == reasons.count - 1
            chunks.appendFinish(
                reason, choice: choice, report: isLast && !request.includeUsage ? report : nil, to: &buffer)
        }
        if request.includeUsage { chunks.appendUsage(usage, report: report, to: &buffer) }
        ChunkWriter.appendDone(to: &buffer)
        flush()
        exchange.finishStream()
    }

    /// Sends a comment if nothing has left since the last call, so that proxies do not take a silent stream for dead.
    mutating func keepAlive() {
        defer { hasWritten = false }
        guard hasBegun, !hasWritten else { return }
        ChunkWriter.appendKeepAlive(to: &buffer)
        flush()
    }

    /// Ends the response with an error: a status if nothing has left yet, else an error event.
    mutating func fail(_ error: WireError, _ more: [(String, String)] = []) {
        guard hasBegun else { return exchange.respond(error, headers: headers + more) }
        ChunkWriter.appendError(error, to: &buffer)
        flush()
        exchange.finishStream()
    }

    private mutating func begin() {
        guard !hasBegun else { return }
        hasBegun = true
        let stream = [
            ("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ]
        exchange.startStream(status: 200, headers: stream + headers)
        for choice in 0..<request.choices { chunks.appendRole(choice: choice, to: &buffer) }
    }

    private mutating func flush() {
        hasWritten = true
        exchange.write(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private mutating func finishWhole(_ reasons: [String], usage: TokenUsage, report: RelayReport) {
        for (choice, reason) in reasons.enumerated() {
            choices[choice].finishReason = reason
            choices[choice].logprobs = extras[choice]?.logprobs
            choices[choice].toolCalls = extras[choice]?.toolCalls
        }
        let body = CompletionResponse(
            endpoint: request.endpoint, id: id, created: created, model: request.model, choices: choices,
            usage: usage, report: report
        ).body()
        let counts =
            [
                ("x-relay-llm-tokens", String(report.llmTokens)), ("x-relay-calls", String(report.calls)),
            ] + (report.degraded.map { [("x-relay-degraded", $0)] } ?? [])
        exchange.respond(
            status: 200, headers: [("content-type", "application/json")] + headers + counts, body: body)
    }
}

extension HTTPExchange {
    /// Answers with an error in OpenAI's shape.
    func respond(_ error: WireError, headers: [(String, String)] = [], closing: Bool = false) {
        var headers = headers
        headers.append(("content-type", "application/json"))
        switch error.code {
        case .unavailable, .rateLimitExceeded:
            if !headers.contains(where: { $0.0 == "retry-after" }) { headers.append(("retry-after", "1")) }
        // The official clients would send it again at once, in vain.
        case .insufficientQuota: headers.append(("x-should-retry", "false"))
        default: break
        }
        if closing {
            respondAndClose(status: error.status, headers: headers, body: error.body())
        } else {
            respond(status: error.status, headers: headers, body: error.body())
        }
    }
}
