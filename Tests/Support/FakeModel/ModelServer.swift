import Glibc
import HTTPServer
import Reactor
import Wire

/// The routes of the fake, and what its requests share. *Loop thread.*
final class ModelServer: HTTPHandler {
    let loop: EventLoop
    let options: Options
    private let script: Script
    private let log: TruthLog
    private var parser = JSONParser()
    private var tokenizer = Tokenizer()
    private var requests = 0
    private var turns: [String: Int] = [:]
    private var isFlushScheduled = false

    init(loop: EventLoop, options: Options, script: Script, log: TruthLog) {
        self.loop = loop
        self.options = options
        self.script = script
        self.log = log
    }

    /// Microseconds since 1970.
    func microseconds() -> Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
    }

    func began(_ exchange: HTTPExchange) {}

    func received(_ exchange: HTTPExchange) {
        if exchange.isBodyOver {
            return refuse(
                exchange, Refusal(status: 413, kind: .badRequest(param: nil), message: "the body is too long"))
        }
        switch (exchange.method, exchange.path) {
        case ("POST", "/v1/completions"): complete(exchange, isChat: false)
        case ("POST", "/v1/chat/completions"): complete(exchange, isChat: true)
        case ("GET", "/v1/models"): exchange.respond(models())
        case ("GET", "/health"):
            exchange.respond(
                options.dialect == .vllm ? FakeResponse(status: 200, body: []) : .json(#"{"status":"ok"}"#))
        case ("GET", "/metrics"): exchange.respond(metrics())
        case ("GET", "/fake/log"): exchange.respond(FakeResponse(status: 200, body: log.body))
        case ("POST", "/fake/reset"):
            log.reset()
            turns = [:]
            exchange.respond(.json("{}"))
        case ("POST", "/apply-template") where options.dialect == .llamacpp: applyTemplate(exchange)
        case ("POST", "/tokenize") where options.dialect != .openai: tokenize(exchange)
        case ("POST", "/detokenize") where options.dialect != .openai: detokenize(exchange)
        default:
            let message = options.dialect == .llamacpp ? "File Not Found" : "Not Found"
            refuse(exchange, Refusal(status: 404, kind: .unknownRoute, message: message))
        }
    }

    private func refuse(_ exchange: HTTPExchange, _ refusal: Refusal) {
        exchange.respond(FakeResponse(status: refusal.status, body: refusal.body(options.dialect)))
    }

    /// Adds a line to the truth log. The file gets it at the end of the turn.
    func note(_ record: TruthRecord) {
        log.append(record)
        guard log.hasPending, !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.atTurnEnd { [weak self] in
            self?.isFlushScheduled = false
            self?.log.flush()
        }
    }

    // MARK: Completions

    private func complete(_ exchange: HTTPExchange, isChat: Bool) {
        let result: Result<CompletionRequest, Refusal>
        do {
            result = try parser.read(exchange.body) { (root) throws(WireError) in
                CompletionRequest.read(root, isChat: isChat, dialect: options.dialect, behaviour: options.behaviour)
            }
        } catch {
            return refuse(exchange, .badRequest(error.message))
        }
        switch result {
        case .failure(let refusal): refuse(exchange, refusal)
        case .success(let request): start(exchange, request)
        }
    }

    private func start(_ exchange: HTTPExchange, _ request: CompletionRequest) {
        if case .refused(let status) = options.behaviour.unknownModel, let model = request.model, model != options.name
        {
            let message = "The model `\(model)` does not exist. Valid aliases: \(options.name)."
            return refuse(exchange, Refusal(status: status, kind: .unknownModel(model), message: message))
        }
        requests += 1
        var request = request
        let promptTokens = Tokenizer.count(request.prompt)
        let marker = Script.marker(in: request.prompt)
        var record = TruthRecord(
            number: requests, role: options.role, model: options.name, marker: marker, isStream: request.isStream,
            promptTokens: promptTokens, maxTokens: request.maxTokens, commandsForbidden: request.commandsForbidden,
            requestID: exchange.header("x-request-id"), startedMicroseconds: microseconds())
        if let window = options.contextWindow {
            guard promptTokens < window else {
                record.finish = "context_exceeded"
                record.endedMicroseconds = record.startedMicroseconds
                note(record)
                return refuse(exchange, .contextExceeded(prompt: promptTokens, window: window, options.dialect))
            }
            // A context that fills up while generating ends the answer with `length`.
            request.maxTokens = min(request.maxTokens ?? .max, window - promptTokens)
        }
        let task = CompletionTask(self, exchange, request, record: record, turn: marker.flatMap(nextTurn))
        exchange.context = task
        task.start()
    }

    /// The turn that the next request of a marker gets; nil when the script has no such entry.
    private func nextTurn(_ marker: String) -> Script.Turn? {
        let name = String(marker.prefix { $0 != "#" })
        guard let turn = script.turn(name, options.role, turns[marker, default: 0]) else { return nil }
        turns[marker, default: 0] += 1
        return turn
    }

    // MARK: The smaller routes

    private func models() -> FakeResponse {
        var bytes: [UInt8] = []
        bytes.append(json: #"{"object":"list","data":[{"id":"#)
        bytes.append(jsonString: options.name)
        bytes.append(json: #","object":"model","created":1,"owned_by":"fake""#)
        if let window = options.contextWindow {
            bytes.append(json: #","max_model_len":"#)
            bytes.append(jsonInteger: window)
            bytes.append(json: #","meta":{"n_ctx":"#)
            bytes.append(jsonInteger: window)
            bytes.append(json: "}")
        }
        bytes.append(json: "}]}")
        return FakeResponse(status: 200, body: bytes)
    }

    private func metrics() -> FakeResponse {
        let text = """
            \(options.dialect.rawValue):prompt_tokens_total \(log.promptTokens)
            \(options.dialect.rawValue):tokens_predicted_total \(log.generatedTokens)
            \(options.dialect.rawValue):requests_total \(requests)

            """
        return FakeResponse(status: 200, body: Array(text.utf8), contentType: "text/plain; version=0.0.4")
    }

    /// Reads a body and answers with what `body` makes of it.
    private func answer(_ exchange: HTTPExchange, _ body: (JSON, inout Tokenizer) -> FakeResponse?) {
        let response = try? parser.read(exchange.body) { (root) throws(WireError) in body(root, &tokenizer) }
        if let response = response ?? nil { return exchange.respond(response) }
        refuse(exchange, .badRequest("the body is not what this route reads"))
    }

    private func applyTemplate(_ exchange: HTTPExchange) {
        let behaviour = options.behaviour
        answer(exchange) { root, _ in
            let result = CompletionRequest.read(root, isChat: true, dialect: .llamacpp, behaviour: behaviour)
            guard case .success(let request) = result else { return nil }
            var bytes: [UInt8] = []
            bytes.append(json: #"{"prompt":"#)
            bytes.append(jsonString: request.prompt)
            bytes.append(json: "}")
            return FakeResponse(status: 200, body: bytes)
        }
    }

    /// llama.cpp reads `content` and answers with ids alone, vLLM reads `prompt` and counts them.
    private func tokenize(_ exchange: HTTPExchange) {
        let isLlama = options.dialect == .llamacpp
        let window = options.contextWindow ?? 4096
        answer(exchange) { root, tokenizer in
            guard let text = root[isLlama ? "content" : "prompt"]?.bytes else { return nil }
            let tokens = tokenizer.encode(text)
            let list = tokens.map { String($0) }.joined(separator: ",")
            if isLlama { return .json(#"{"tokens":[\#(list)]}"#) }
            return .json(#"{"count":\#(tokens.count),"max_model_len":\#(window),"tokens":[\#(list)]}"#)
        }
    }

    private func detokenize(_ exchange: HTTPExchange) {
        let isLlama = options.dialect == .llamacpp
        answer(exchange) { root, tokenizer in
            guard let list = root["tokens"], list.isArray else { return nil }
            guard let text = tokenizer.decode(list.children.map { $0.int ?? -1 }) else { return nil }
            var bytes: [UInt8] = []
            bytes.append(json: isLlama ? #"{"content":"# : #"{"prompt":"#)
            bytes.append(jsonString: String(decoding: text, as: UTF8.self))
            bytes.append(json: "}")
            return FakeResponse(status: 200, body: bytes)
        }
    }
}
