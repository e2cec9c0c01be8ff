import Wire

/// An error that a server answers with, in the shape of its dialect.
struct Refusal: Error, Equatable {
    /// What is wrong, as far as bodies differ.
    enum Kind: Equatable {
        case badRequest(param: String?)
        case unknownField(String)
        case unknownModel(String)
        case contextExceeded(prompt: Int, window: Int)
        case unknownRoute
        case failed(status: Int)
    }

    var status: Int
    var kind: Kind
    var message: String

    static func badRequest(_ message: String, param: String? = nil) -> Refusal {
        Refusal(status: 400, kind: .badRequest(param: param), message: message)
    }

    static func contextExceeded(prompt: Int, window: Int, _ dialect: Dialect) -> Refusal {
        let message =
            switch dialect {
            case .llamacpp:
                "request (\(prompt) tokens) exceeds the available context size (\(window) tokens), try increasing it"
            case .sglang:
                "The input (\(prompt) tokens) is longer than the model's context length (\(window) tokens)."
            default:
                "This model's maximum context length is \(window) tokens. However, your prompt contains at least "
                    + "\(prompt) input tokens, please reduce the length of the prompt."
            }
        return Refusal(status: 400, kind: .contextExceeded(prompt: prompt, window: window), message: message)
    }

    /// The body, as the dialect writes it.
    func body(_ dialect: Dialect) -> [UInt8] {
        var bytes: [UInt8] = []
        switch (dialect, kind) {
        case (.vllm, .unknownRoute), (.sglang, .unknownRoute), (.transformers, _):
            bytes.append(json: #"{"detail":"#)
            bytes.append(jsonString: message)
        case (.sglang, _):
            bytes.append(json: #"{"object":"error","message":"#)
            bytes.append(jsonString: message)
            bytes.append(json: #","type":"BadRequestError","param":null,"code":"#)
            bytes.append(jsonInteger: status)
        default:
            bytes.append(json: #"{"error":{"message":"#)
            bytes.append(jsonString: message)
            bytes.append(json: #","type":"#)
            bytes.append(jsonString: type(dialect))
            appendDetails(dialect, to: &bytes)
            bytes.append(json: "}")
        }
        bytes.append(json: "}")
        return bytes
    }

    private func type(_ dialect: Dialect) -> String {
        switch (dialect, kind) {
        case (.llamacpp, .contextExceeded): "exceed_context_size_error"
        case (.llamacpp, .unknownRoute): "not_found_error"
        case (.vllm, .unknownModel): "NotFoundError"
        case (.vllm, .failed): "InternalServerError"
        case (.vllm, _): "BadRequestError"
        case (_, .failed): status == 429 ? "rate_limit_error" : "server_error"
        default: "invalid_request_error"
        }
    }

    private func appendDetails(_ dialect: Dialect, to bytes: inout [UInt8]) {
        if dialect == .openai {
            bytes.append(json: #","param":"#)
            bytes.append(jsonString: parameter)
            bytes.append(json: #","code":"#)
            switch kind {
            case .contextExceeded: bytes.append(json: #""context_length_exceeded""#)
            case .unknownModel: bytes.append(json: #""model_not_found""#)
            default: bytes.append(json: "null")
            }
            return
        }
        if dialect == .vllm {
            bytes.append(json: #","param":"#)
            bytes.append(jsonString: parameter)
        }
        bytes.append(json: #","code":"#)
        bytes.append(jsonInteger: status)
        if dialect == .llamacpp, case .contextExceeded(let prompt, let window) = kind {
            bytes.append(json: #","n_prompt_tokens":"#)
            bytes.append(jsonInteger: prompt)
            bytes.append(json: #","n_ctx":"#)
            bytes.append(jsonInteger: window)
        }
    }

    private var parameter: String? {
        switch kind {
        case .badRequest(let param): param
        case .unknownField(let name): name
        case .unknownModel: "model"
        case .contextExceeded: "input_tokens"
        default: nil
        }
    }
}
